"""Our Redis transport keeps kombu's promises with fewer round trips, and takes messages in batches."""

import json
from collections.abc import Iterator

import pytest
import redis
from kombu import Consumer, Message, Queue
from kombu.simple import SimpleQueue
from pydantic import SecretStr

from config.settings import Settings
from tests.integration.workers.messages import a_message
from workers.apps import make_app
from workers.redis_transport import Channel, acknowledge


@pytest.fixture
def channel(broker_url: str) -> Iterator[Channel]:
    """Open a channel as workers, beat, the bell and the notifier do."""
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        yield channel


def test_a_channel_keeps_its_client_until_its_pool_is_replaced(channel: Channel) -> None:
    """kombu drops the pool after a fork or a broken connection; the next client uses the new pool."""
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
    channel._disconnect_pools()  # type: ignore[attr-defined]  # left out of the stubs
    with channel.conn_or_acquire() as third:
        assert third is not first
        assert third.ping()


def test_a_client_that_is_passed_in_is_used(channel: Channel, broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as given, channel.conn_or_acquire(given) as used:
        assert used is given


def test_a_message_is_delivered_requeued_and_acknowledged(channel: Channel) -> None:
    """After the acknowledgement nothing is left at the broker, not even a record of it as unacknowledged."""
    with SimpleQueue(channel, "carried") as queue:
        queue.put({"order": 1})
        queue.get(timeout=60).requeue()
        message = queue.get(timeout=60)
        assert message.payload == {"order": 1}
        message.ack()
    with channel.conn_or_acquire() as client:
        assert client.exists("carried", "number-orders:unacked", "number-orders:unacked_index") == 0


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


def take(channel: Channel, *, capacity: int) -> list[Message]:
    """Read the queue `orders` once, and return the messages delivered."""
    delivered: list[Message] = []
    channel.take_in_batches("orders", lambda: capacity)
    with Consumer(channel, [Queue("orders", routing_key="orders")], on_message=delivered.append):
        channel.connection.client.drain_events(timeout=60)
    return delivered


def recorded(broker: redis.Redis) -> dict[str, list[object]]:
    """Return what the broker has recorded as unacknowledged, by delivery tag."""
    assert set(broker.zrange("number-orders:unacked_index", 0, -1)) == broker.hgetall("number-orders:unacked").keys()
    return {str(tag): json.loads(text) for tag, text in broker.hgetall("number-orders:unacked").items()}


def test_waiting_messages_are_delivered_in_one_batch_each_recorded_as_kombu_does_it(
    channel: Channel, broker: redis.Redis
) -> None:
    """The first is recorded by the client, the others by the script; the records have the same form."""
    sent = [a_message({"task": "orders.submit", "id": str(i), "näme": "ö"}, f'[["{i}"]]') for i in range(7)]
    broker.lpush("orders", *sent)
    delivered = take(channel, capacity=5)
    assert [message.headers["id"] for message in delivered] == ["0", "1", "2", "3", "4"]
    assert broker.llen("orders") == 2
    assert recorded(broker) == {
        json.loads(text)["properties"]["delivery_tag"]: [json.loads(text), "", "orders"] for text in sent[:5]
    }
    acknowledge(delivered[:4])
    assert list(recorded(broker)) == [delivered[4].delivery_tag]
    delivered[4].requeue()
    assert recorded(broker) == {}
    again = {message.headers["id"]: message for message in take(channel, capacity=5)}
    assert again.keys() == {"4", "5", "6"}
    assert set(recorded(broker)) == {message.delivery_tag for message in again.values()}
    again["4"].ack()
    assert set(recorded(broker)) == {again["5"].delivery_tag, again["6"].delivery_tag}


def test_a_channel_that_closes_requeues_what_it_has_taken(channel: Channel, broker: redis.Redis) -> None:
    broker.lpush("orders", *(a_message({"task": "orders.submit", "id": str(i)}) for i in range(4)))
    assert len(take(channel, capacity=10)) == 4
    channel.close()
    assert broker.llen("orders") == 4
    assert recorded(broker) == {}


def malformed(name: str, value: object, *, inside: str | None = None) -> str:
    """Return a message with one field replaced, at the top or inside its properties."""
    message = json.loads(a_message({"task": "orders.submit", "id": "malformed"}))
    (message["properties"] if inside else message)[name] = value
    return json.dumps(message)


MALFORMED = {
    "not JSON": "no message",
    "not an object": "7",
    "an empty object": "{}",
    "no properties": malformed("properties", None),
    "no headers": malformed("headers", None),
    "a body as a number": malformed("body", 7),
    "base64 of the wrong length": malformed("body", "W1tdLCB7fSwge31"),
    "a body that is not base64": malformed("body", "ÄÖÜß"),
    "a delivery tag as a number": malformed("delivery_tag", 7, inside="properties"),
    "an unknown body encoding": malformed("body_encoding", "rot13", inside="properties"),
    "no routing key": malformed("delivery_info", {"exchange": ""}, inside="properties"),
    "JSON nested too deeply": '{"headers": ' + "[" * 5000,
}


@pytest.mark.parametrize("item", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_item_is_left_in_the_queue_to_be_taken_alone(
    channel: Channel, broker: redis.Redis, item: str
) -> None:
    """Taken in a batch, it would be lost before the consumer could make a dead letter of it."""
    good = [a_message({"task": "orders.submit", "id": str(i)}) for i in range(3)]
    broker.lpush("orders", good[0], good[1], item, good[2])
    assert [message.headers["id"] for message in take(channel, capacity=10)] == ["0", "1"]
    assert broker.lrange("orders", 0, -1) == [good[2], item]


def test_a_configured_key_prefix_is_used_for_batches(broker_url: str, broker: redis.Redis) -> None:
    app = make_app(Settings(broker_url=SecretStr(broker_url)))
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "global_keyprefix": "ours:"}
    broker.lpush("ours:orders", *(a_message({"task": "orders.submit", "id": str(i)}) for i in range(3)))
    with app.connection_for_write() as connection:
        assert isinstance(connection.default_channel, Channel)
        delivered = take(connection.default_channel, capacity=10)
        assert len(delivered) == broker.hlen("ours:number-orders:unacked") == 3
        acknowledge(delivered)
    assert not broker.exists("ours:number-orders:unacked", "number-orders:unacked", "orders", "ours:orders")
