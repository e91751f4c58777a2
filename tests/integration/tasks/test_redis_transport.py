"""The transport to Redis: kombu's own, with one client a channel instead of one a command."""

from collections.abc import Iterator

import pytest
import redis
from kombu.simple import SimpleQueue
from pydantic import SecretStr

from config.settings import Settings
from workers.apps import make_app
from workers.redis_transport import Channel


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
