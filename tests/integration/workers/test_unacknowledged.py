"""Unacknowledged messages are recorded by the broker's clock, apart from those of other applications."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from kombu import Connection, Consumer, Message, Queue
from kombu.transport.redis import Transport as KombuTransport
from pydantic import SecretStr

from config.queues import TRANSPORT
from config.settings import Settings
from tests.integration.workers.messages import a_message
from workers.apps import make_app
from workers.redis_transport import Channel

RECORDS, INDEX = TRANSPORT["unacked_key"], TRANSPORT["unacked_index_key"]
TIMEOUT_S = TRANSPORT["visibility_timeout"]


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def channel(broker_url: str) -> Iterator[Channel]:
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        yield channel


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets this machine's clock ahead by so many seconds."""
    true_time = time.time
    return lambda ahead_s: monkeypatch.setattr(time, "time", lambda: true_time() + ahead_s)


def take(channel: Channel, *, queue: str = "orders", capacity: int = 1) -> list[Message]:
    """Read a queue once, and return the messages delivered."""
    delivered: list[Message] = []
    channel.take_in_batches(queue, lambda: capacity)
    with Consumer(channel, [Queue(queue, routing_key=queue)], on_message=delivered.append):
        channel.connection.client.drain_events(timeout=60)
    return delivered


def restore(channel: Channel, *queues: str) -> None:
    """Restore as a worker does that consumes these queues."""
    with Consumer(channel, [Queue(queue, routing_key=queue) for queue in queues], on_message=print):
        channel.qos.restore_visible(num=None, interval=1)


def a_task(name: str, queue: str = "orders") -> str:
    delivery = {"exchange": "", "routing_key": queue}
    properties = {"delivery_info": delivery, "delivery_tag": str(uuid4()), "body_encoding": "base64", "priority": 0}
    return a_message({"task": "orders.submit", "id": name}, properties=properties)


@pytest.mark.parametrize("capacity", [1, 3])
def test_a_message_is_recorded_by_the_brokers_clock(
    channel: Channel, broker: redis.Redis, set_clock: Callable[[float], None], capacity: int
) -> None:
    set_clock(-300)
    broker.lpush("orders", *(a_task(str(i)) for i in range(capacity)))
    assert len(take(channel, capacity=capacity)) == capacity
    now, _ = broker.time()
    recorded: Any = broker.zrange(INDEX, 0, -1, withscores=True)
    scores = [float(score) for _, score in recorded]
    assert all(abs(score - now) < 60 for score in scores), scores
    assert len(scores) == capacity


@pytest.mark.parametrize("ahead_s", [-300, 300])
def test_a_message_comes_back_after_the_timeout_by_the_brokers_clock(
    channel: Channel, broker: redis.Redis, set_clock: Callable[[float], None], ahead_s: float
) -> None:
    """A worker five minutes ahead gives nothing to a second one; five minutes behind it forgets nothing."""
    set_clock(ahead_s)
    broker.lpush("orders", a_task("1"))
    (message,) = take(channel)
    restore(channel, "orders")
    assert broker.llen("orders") == 0
    now, _ = broker.time()
    broker.zadd(INDEX, {str(message.delivery_tag): now - TIMEOUT_S - 1})
    restore(channel, "orders")
    assert broker.llen("orders") == 1
    assert not broker.exists(RECORDS, INDEX)


def test_a_message_comes_back_to_the_queue_that_it_was_in(channel: Channel, broker: redis.Redis) -> None:
    """Not to the one that it names: its sender may not be allowed to write there."""
    broker.lpush("orders", a_task("1"), a_task("2", "orders.operators"))
    (first,) = take(channel, capacity=3)
    (second,) = take(channel, capacity=3)
    records: Any = broker.hvals(RECORDS)
    assert [json.loads(record)[1:] for record in records] == [["", "orders"]] * 2
    for message in (first, second):
        message.requeue()
    assert (broker.llen("orders"), broker.llen("orders.operators")) == (2, 0)


def leave_with_kombu(broker_url: str, broker: redis.Redis, queue: str, *, age_s: float) -> None:
    """Take a message as a plain kombu does, let it be unacknowledged for so long, and die."""
    broker.lpush(queue, a_task(f"of {queue}", queue))
    taken: list[Message] = []
    connection = Connection(broker_url, transport=KombuTransport)
    with Consumer(connection, [Queue(queue, routing_key=queue)], on_message=taken.append):
        connection.drain_events(timeout=60)
    (message,) = taken
    assert broker.hexists("unacked", str(message.delivery_tag))
    broker.zadd("unacked_index", {str(message.delivery_tag): time.time() - age_s})
    channel: Any = connection.default_channel
    channel.qos._delivered.clear()  # what is killed gives nothing back
    connection.close()


def test_what_another_application_has_not_acknowledged_is_left_alone(
    channel: Channel, broker: redis.Redis, broker_url: str
) -> None:
    """Its tasks may take an hour, or wait for their countdown; our timeout is ninety seconds."""
    leave_with_kombu(broker_url, broker, "crm", age_s=3000)
    restore(channel, "orders")
    assert broker.llen("crm") == 0
    assert broker.hlen("unacked") == 1


def test_what_another_application_restores_is_not_ours(channel: Channel, broker: redis.Redis, broker_url: str) -> None:
    broker.lpush("orders", a_task("1"))
    (message,) = take(channel)
    broker.zadd(INDEX, {str(message.delivery_tag): 1})
    with Connection(broker_url, transport=KombuTransport, transport_options={"visibility_timeout": 1}) as neighbour:
        neighbours: Any = neighbour.default_channel
        neighbours.qos.restore_visible(num=None, interval=1)
    assert broker.llen("orders") == 0


def test_what_a_worker_of_an_earlier_release_left_comes_back(
    channel: Channel, broker: redis.Redis, broker_url: str
) -> None:
    """Its records are under kombu's names, among those of other applications."""
    leave_with_kombu(broker_url, broker, "orders", age_s=TIMEOUT_S + 1)
    leave_with_kombu(broker_url, broker, "orders", age_s=1)
    for _ in range(3):
        leave_with_kombu(broker_url, broker, "crm", age_s=3000)
    restore(channel, "orders")
    (item,) = broker.lrange("orders", 0, -1)
    assert json.loads(item)["headers"]["id"] == "of orders"
    assert broker.hlen("unacked") == broker.zcard("unacked_index") == 4
    assert broker.llen("crm") == 0


def test_all_records_under_kombus_names_are_looked_at_in_turn(
    channel: Channel, broker: redis.Redis, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of another application's may be before ours; a worker looks at some hundred at a time."""
    monkeypatch.setattr("workers.unacknowledged._KOMBU_PAGE", 2)
    monkeypatch.setattr("workers.unacknowledged._KOMBU_EVERY_S", 0.0)
    for _ in range(5):
        leave_with_kombu(broker_url, broker, "crm", age_s=1000)
    leave_with_kombu(broker_url, broker, "orders", age_s=3000)
    for _ in range(3):
        restore(channel, "orders")
    assert broker.llen("orders") == 1
    assert broker.hlen("unacked") == 5


@pytest.mark.parametrize("key", [RECORDS, INDEX])
def test_a_message_that_cannot_be_recorded_is_delivered_all_the_same(
    channel: Channel, broker: redis.Redis, key: str
) -> None:
    """Somebody has written something else to our key: the message is answered, or given back, but not lost."""
    broker.set(key, "something else")
    broker.lpush("orders", a_task("1"), a_task("2"))
    (first,) = take(channel)
    first.ack()
    (second,) = take(channel)
    second.requeue()
    assert [json.loads(item)["headers"]["id"] for item in broker.lrange("orders", 0, -1)] == ["2"]


def test_a_lock_of_somebody_does_not_keep_messages_from_coming_back(channel: Channel, broker: redis.Redis) -> None:
    """kombu takes a lock first, and one that never expires would close it for ever."""
    broker.set(TRANSPORT["unacked_mutex_key"], "something else")
    broker.lpush("orders", a_task("1"))
    (message,) = take(channel)
    broker.zadd(INDEX, {str(message.delivery_tag): 1})
    restore(channel, "orders")
    assert broker.llen("orders") == 1


@pytest.mark.parametrize("capacity", [1, 3])
def test_what_a_wiped_broker_has_lost_is_given_back_from_memory(
    channel: Channel, broker: redis.Redis, capacity: int
) -> None:
    """As after FLUSHALL, or a failover to a replica that was behind: nobody else has these messages."""
    broker.lpush("orders", *(a_task(str(i)) for i in range(capacity)))
    messages = take(channel, capacity=capacity)
    broker.flushall()
    for message in messages:
        message.reject(requeue=True)
    back = [json.loads(item) for item in broker.lrange("orders", 0, -1)]
    assert sorted(item["headers"]["id"] for item in back) == sorted(m.headers["id"] for m in messages)
    assert all(item["properties"]["delivery_info"]["redelivered"] for item in back)
    assert [message.headers["id"] for message in take(channel, capacity=capacity)] == [
        item["headers"]["id"] for item in reversed(back)
    ]


def test_a_channel_that_closes_gives_back_what_a_wiped_broker_has_lost(broker: redis.Redis, broker_url: str) -> None:
    broker.lpush("orders", a_task("done"), a_task("held"))
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        done, held = take(channel, capacity=2)
        done.ack()
        broker.flushall()
    (back,) = [json.loads(item) for item in broker.lrange("orders", 0, -1)]
    assert back["headers"]["id"] == held.headers["id"]


@pytest.mark.parametrize("how", ["ack", "reject"])
def test_a_message_whose_acknowledgement_is_not_answered_does_not_come_again(
    broker: redis.Redis, broker_url: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The broker has received it, so the record is gone, and the work is done: it must not be done twice."""
    executed = redis.client.Pipeline.execute

    def lost(pipe: redis.client.Pipeline, *args: Any, **kwargs: Any) -> None:
        executed(pipe, *args, **kwargs)
        raise redis.ConnectionError("the answer is lost")

    broker.lpush("orders", a_task("done"), a_task("held"))
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        done, held = take(channel, capacity=2)
        with monkeypatch.context() as patched:
            patched.setattr(redis.client.Pipeline, "execute", lost)
            with pytest.raises(redis.ConnectionError):
                getattr(done, how)()
    (back,) = [json.loads(item) for item in broker.lrange("orders", 0, -1)]
    assert back["headers"]["id"] == held.headers["id"]


def test_a_message_whose_acknowledgement_never_arrived_comes_again(
    broker: redis.Redis, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise redis.ConnectionError("cannot be reached")

    broker.lpush("orders", a_task("done"))
    with make_app(Settings(broker_url=SecretStr(broker_url))).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        (done,) = take(channel)
        with monkeypatch.context() as patched:
            patched.setattr(redis.client.Pipeline, "execute", refused)
            with pytest.raises(redis.ConnectionError):
                done.ack()
    assert broker.llen("orders") == 1
