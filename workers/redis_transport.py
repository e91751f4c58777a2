"""kombu's Redis transport with fewer round trips and checked messages.

It differs from kombu's transport in these points:

- One Redis client per channel. kombu makes one per command, which costs more than most commands (redis-py fills a table
  of some 170 entries each time), and a message takes three or four commands. A client keeps no state between commands
  except its connection pool, so one client is enough.
- Batches. A consumer may ask for many messages of a queue at a time (`Channel.take_in_batches`). BRPOP returns the
  first message; the round trip that records it as unacknowledged also runs a script that takes the messages waiting
  behind it. The script takes and records them atomically, so a killed worker loses none (`workers.unacknowledged`).
- Checks. A queue is a Redis list, to which anybody can write, and an item that is not a message crashes kombu's worker.
  Every item is therefore checked before kombu parses it (`workers.message_format`).
- Keys of another type. One queue whose key is no list makes BRPOP fail for all queues; here only that queue waits.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any, Final

import redis
import structlog
from kombu import Message
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from workers.message_format import as_message
from workers.unacknowledged import Unacknowledged

log = structlog.get_logger(__name__)

_ALIASES: Final = {
    "redis": f"{__name__}:Transport",
    "rediss": f"{__name__}:Transport",
    "sentinel": f"{__name__}:SentinelTransport",
}
_LOOK_AGAIN_S: Final = 5.0
"""How long a queue whose key is no list is left alone before it is read again."""


def install() -> None:
    """Make every Redis or Valkey connection that this process opens from now on use this transport."""
    TRANSPORT_ALIASES.update(_ALIASES)


class Channel(kombu_redis.Channel):
    """A channel that keeps its client and can take messages in batches."""

    QoS = Unacknowledged
    qos: Unacknowledged
    connection: Any
    global_keyprefix: str
    _closing: bool
    _queue_cycle: Any
    _kept_client: redis.Redis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._capacities: dict[str, Callable[[], int]] = {}
        self._next: list[tuple[str, dict[str, Any]]] = []
        self._set_aside_until: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    def take_in_batches(self, queue: str, capacity: Callable[[], int]) -> None:
        """Take up to `capacity()` messages of a queue at a time from now on."""
        self._capacities[queue] = capacity

    def batch_capacity(self, queue: str) -> int:
        """Return how many messages may be taken from a queue in addition to the one that BRPOP returned."""
        capacity = self._capacities.get(queue)
        return max(capacity() - 1, 0) if capacity and not self._closing else 0

    def deliver_next(self, queue: str, messages: Sequence[dict[str, Any]]) -> None:
        """Deliver these messages after the one that is being delivered."""
        self._next.extend((queue, message) for message in messages)

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Wait for a message of any queue, except those that are set aside."""
        now = time.monotonic()
        if any(until <= now for until in self._set_aside_until.values()):
            self._set_aside_until = {queue: until for queue, until in self._set_aside_until.items() if until > now}
            self._update_queue_cycle()
        super()._brpop_start(timeout)  # type: ignore[misc]  # missing in the stubs

    def _update_queue_cycle(self) -> None:
        self._queue_cycle.update([queue for queue in self.active_queues if queue not in self._set_aside_until])

    def _brpop_read(self, **options: Any) -> Any:
        """Deliver the message that BRPOP returned, and then those that were taken with it."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # missing in the stubs
        except redis.ResponseError as refusal:
            if not self._set_wrong_queues_aside():
                raise
            raise Empty from refusal
        finally:
            taken, self._next = self._next, []
            for queue, message in taken:
                self.connection._deliver(message, queue)  # noqa: SLF001  as kombu delivers what BRPOP returned

    def _set_wrong_queues_aside(self) -> bool:
        """Find the queues whose key is no list, and read them no more for a while; return whether there are any."""
        key_of: Any = self._q_for_pri  # type: ignore[attr-defined]  # missing in the stubs
        keys = [(queue, key_of(queue, step)) for queue in self.active_queues for step in self.priority_steps]
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for _, key in keys:
                pipe.type(self.global_keyprefix + key)
            types = [str(kind, "ascii") for kind in pipe.execute()]
        wrong = {queue: kind for (queue, _), kind in zip(keys, types, strict=True) if kind not in {"list", "none"}}
        for queue, kind in wrong.items():
            self._set_aside_until[queue] = time.monotonic() + _LOOK_AGAIN_S
            log.error("queue_unusable", queue=queue, trouble=f"the key holds a {kind}, and a queue is a list")
        self._update_queue_cycle()
        return bool(wrong)

    def _size(self, queue: str) -> int:
        """Return how many messages wait in a queue; 0 if its key is no list, so that it can be declared nonetheless."""
        try:
            size: int = super()._size(queue)
        except redis.ResponseError as refusal:
            log.warning("queue_unusable", queue=queue, trouble=str(refusal))
            return 0
        return size

    def _queue_bind(self, exchange: str, *args: Any) -> None:
        """Bind a queue. A fanout queue receives its messages even if the table of bindings cannot be written."""
        try:
            super()._queue_bind(exchange, *args)  # type: ignore[misc]  # missing in the stubs
        except redis.ResponseError as refusal:
            if self.typeof(exchange).type != "fanout":
                raise
            log.warning("binding_not_written", exchange=exchange, trouble=str(refusal))

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield the given client, or else the channel's client. A new pool, as after a fork, gets a new client."""
        if client is None:
            if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
                self._kept_client = self._create_client()
            client = self._kept_client
        yield client

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous)  # type: ignore[misc]  # missing in the stubs
        client.set_response_callback("BRPOP", self._parse_brpop)
        return client

    def _parse_brpop(self, answer: Sequence[bytes] | None, **_: Any) -> tuple[bytes, bytes] | None:
        """Return the answer to BRPOP; an item that kombu cannot parse is wrapped into a message."""
        if not answer:
            return None
        key, item = answer
        queue = key.decode(errors="replace").removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0]
        return key, as_message(item, queue)


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with these channels."""

    Channel = Channel


class SentinelChannel(Channel, kombu_redis.SentinelChannel):
    """The same channel on the master that the sentinels name."""


class SentinelTransport(kombu_redis.SentinelTransport):
    """kombu's Sentinel transport with these channels."""

    Channel = SentinelChannel


def acknowledge(messages: Sequence[Message]) -> None:
    """Acknowledge messages, in one round trip per channel of this transport.

    Raises:
        One of the transport's connection errors: the messages stay unacknowledged and are delivered again.
    """
    channels = {message.channel for message in messages}
    for channel in channels:
        pending = [message for message in messages if message.channel is channel and not message.acknowledged]
        if not isinstance(channel, Channel):
            for message in pending:
                message.ack()
            continue
        if pending:
            channel.qos.ack_all([str(message.delivery_tag) for message in pending])
            for message in pending:
                message._state = "ACK"  # type: ignore[attr-defined]  # noqa: SLF001  as `message.ack()` sets it
