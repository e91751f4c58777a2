"""The transport to Redis: kombu's own, with fewer ways to the server."""

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
    """A channel as workers, beat, bells and documents have it."""
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        yield channel


def test_a_channel_keeps_its_client_until_its_pool_is_another(channel: Channel) -> None:
    """After a fork, or a broken connection, kombu drops the pool: what is made then is made on the new one."""
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
    channel._disconnect_pools()  # type: ignore[attr-defined]  # left out of the stubs
    with channel.conn_or_acquire() as third:
        assert third is not first
        assert third.ping()


def test_a_client_that_is_given_is_the_one_that_is_used(channel: Channel, broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as given, channel.conn_or_acquire(given) as used:
        assert used is given


def test_messages_go_through(channel: Channel) -> None:
    """Put, taken, given back, taken again, acknowledged: and then there is nothing left, not even in the safe."""
    with SimpleQueue(channel, "carried") as queue:
        queue.put({"order": 1})
        queue.get(timeout=5).requeue()
        message = queue.get(timeout=5)
        assert message.payload == {"order": 1}
        message.ack()
    with channel.conn_or_acquire() as client:
        assert client.exists("carried", "unacked", "unacked_index") == 0


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


def take(channel: Channel, *, room: int) -> list[Message]:
    """Look once for messages in `orders`, and return those that came."""
    came: list[Message] = []
    channel.take_in_batches("orders", lambda: room)
    with Consumer(channel, [Queue("orders", routing_key="orders")], on_message=came.append):
        channel.connection.client.drain_events(timeout=5)
    return came


def noted(broker: redis.Redis) -> dict[str, list[object]]:
    """Return what the broker has noted as unacknowledged, by delivery tag."""
    assert set(broker.zrange("unacked_index", 0, -1)) == broker.hgetall("unacked").keys()
    return {str(tag): json.loads(text) for tag, text in broker.hgetall("unacked").items()}


def test_the_messages_that_wait_come_at_one_look_each_noted_as_kombu_notes_it(
    channel: Channel, broker: redis.Redis
) -> None:
    """The first is noted by kombu, the others by the script that takes them: nobody can tell them apart."""
    sent = [a_message({"task": "orders.submit", "id": str(i), "näme": "ö"}, f'[["{i}"]]') for i in range(7)]
    broker.lpush("orders", *sent)
    came = take(channel, room=5)
    assert [message.headers["id"] for message in came] == ["0", "1", "2", "3", "4"]
    assert broker.llen("orders") == 2
    assert noted(broker) == {
        json.loads(text)["properties"]["delivery_tag"]: [json.loads(text), "", "orders"] for text in sent[:5]
    }
    acknowledge(came[:4])
    assert list(noted(broker)) == [came[4].delivery_tag]
    came[4].requeue()
    assert noted(broker) == {}
    again = {message.headers["id"]: message for message in take(channel, room=5)}
    assert again.keys() == {"4", "5", "6"}
    assert set(noted(broker)) == {message.delivery_tag for message in again.values()}
    again["4"].ack()
    assert set(noted(broker)) == {again["5"].delivery_tag, again["6"].delivery_tag}


def test_what_a_channel_has_taken_is_given_back_when_it_closes(channel: Channel, broker: redis.Redis) -> None:
    broker.lpush("orders", *(a_message({"task": "orders.submit", "id": str(i)}) for i in range(4)))
    assert len(take(channel, room=10)) == 4
    channel.close()
    assert broker.llen("orders") == 4
    assert noted(broker) == {}


def spoiled(name: str, value: object, *, inside: str | None = None) -> str:
    """Return a message with one thing wrong."""
    message = json.loads(a_message({"task": "orders.submit", "id": "spoiled"}))
    (message["properties"] if inside else message)[name] = value
    return json.dumps(message)


SPOILED = {
    "no JSON": "no message",
    "no object": "7",
    "an empty one": "{}",
    "no properties": spoiled("properties", None),
    "no headers": spoiled("headers", None),
    "a body that is none": spoiled("body", 7),
    "a body cut short": spoiled("body", "W1tdLCB7fSwge31"),
    "a body of other letters": spoiled("body", "ÄÖÜß"),
    "a tag that is none": spoiled("delivery_tag", 7, inside="properties"),
    "a body in another dress": spoiled("body_encoding", "rot13", inside="properties"),
    "nowhere to go": spoiled("delivery_info", {"exchange": ""}, inside="properties"),
    "nesting without end": '{"headers": ' + "[" * 5000,
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED.keys())
def test_what_cannot_be_read_is_left_to_be_taken_alone(channel: Channel, broker: redis.Redis, spoiled: str) -> None:
    """Taken in passing, it would be dropped with nobody having seen it."""
    good = [a_message({"task": "orders.submit", "id": str(i)}) for i in range(3)]
    broker.lpush("orders", good[0], good[1], spoiled, good[2])
    assert [message.headers["id"] for message in take(channel, room=10)] == ["0", "1"]
    assert broker.lrange("orders", 0, -1) == [good[2], spoiled]


def test_a_key_prefix_is_kept(broker_url: str, broker: redis.Redis) -> None:
    app = make_app(Settings(broker_url=SecretStr(broker_url)))
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "global_keyprefix": "ours:"}
    broker.lpush("ours:orders", *(a_message({"task": "orders.submit", "id": str(i)}) for i in range(3)))
    with app.connection_for_write() as connection:
        assert isinstance(connection.default_channel, Channel)
        came = take(connection.default_channel, room=10)
        assert len(came) == broker.hlen("ours:unacked") == 3
        acknowledge(came)
    assert not broker.exists("ours:unacked", "unacked", "orders", "ours:orders")
