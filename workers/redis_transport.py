"""kombu's Redis transport with fewer round trips and checked messages.

It differs from kombu's transport in three points:

- One Redis client per channel. kombu makes one per command, which costs more than most commands (redis-py fills a table
  of some 170 entries each time), and a message takes three or four commands. A client keeps no state between commands
  except its connection pool, so one client is enough.
- Batches. A consumer may ask for many messages of a queue at a time (`Channel.take_in_batches`). BRPOP returns the
  first message; the round trip that records it as unacknowledged also runs a script that takes the messages waiting
  behind it. The script takes and records them atomically, so a killed worker loses none. Its records are exactly
  kombu's, so any other worker on the same broker can restore them.
- Checks. A queue is a Redis list, to which anybody can write, and an item that is not a message crashes kombu's worker.
  Every item is therefore checked before kombu parses it (`workers.message_format`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from kombu import Message
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps

from workers.message_format import as_message, read_message

_ALIASES: Final = {
    "redis": f"{__name__}:Transport",
    "rediss": f"{__name__}:Transport",
    "sentinel": f"{__name__}:SentinelTransport",
}

_TAKE_MORE: Final = """
local function parse(item)
  assert(not item:find('[\\128-\\255]') and not item:find('__type__', 1, true))
  local message = cjson.decode(item)
  local body, properties = message.body, message.properties
  local tag, info = properties.delivery_tag, properties.delivery_info
  assert(type(message.headers) == 'table' and type(tag) == 'string' and properties.body_encoding == 'base64')
  assert(#body % 4 == 0 and body:find('^[%w+/]*=?=?$'))
  assert(type(info.exchange) == 'string' and type(info.routing_key) == 'string')
  return tag, cjson.encode(info.exchange) .. ', ' .. cjson.encode(info.routing_key)
end
local taken, bytes = {}, 0
while #taken < tonumber(ARGV[1]) and bytes < tonumber(ARGV[2]) do
  local item = redis.call('RPOP', KEYS[1])
  if not item then break end
  local is_message, tag, route = pcall(parse, item)
  if not is_message then
    redis.call('RPUSH', KEYS[1], item)
    break
  end
  redis.call('ZADD', KEYS[2], ARGV[3], tag)
  redis.call('HSET', KEYS[3], tag, '[' .. item .. ', ' .. route .. ']')
  taken[#taken + 1] = {tag, item}
  bytes = bytes + #item
end
return taken
"""
"""Take up to ARGV[1] messages or ARGV[2] bytes from a queue; return each with its delivery tag.

Each is recorded as unacknowledged since ARGV[3], in the form that `QoS.append` uses. The script stops at an item that
may not be a message and puts it back; the next BRPOP returns that item alone. It also stops at items that contain
non-ASCII bytes or typed values (`__type__`): Lua might accept some that Python rejects, and Celery writes neither.
"""
_BYTES_MAX: Final = 1024 * 1024


def install() -> None:
    """Make every Redis or Valkey connection that this process opens from now on use this transport."""
    TRANSPORT_ALIASES.update(_ALIASES)


class BatchQoS(kombu_redis.QoS):
    """The messages that a channel has delivered and that are not acknowledged yet."""

    channel: "Channel"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorded: set[str] = set()
        """Delivery tags of the messages that the script has recorded and that are not delivered yet."""

    def append(self, message: Message, delivery_tag: str) -> None:
        """Record a message as unacknowledged and, in the same round trip, take those waiting behind it."""
        if delivery_tag in self._recorded:
            self._recorded.discard(delivery_tag)
            return
        delivery = message.delivery_info
        queue = delivery["routing_key"]
        more = self.channel.batch_capacity(queue)
        if not more:
            super().append(message, delivery_tag)
            return
        with self.pipe_or_acquire() as pipe:
            now = time.time()
            pipe.zadd(self.unacked_index_key, {delivery_tag: now})
            raw: Any = message._raw  # type: ignore[attr-defined]  # noqa: SLF001  the item as it was parsed
            pipe.hset(self.unacked_key, delivery_tag, dumps([raw, delivery["exchange"], queue]))
            keys = [self.channel.global_keyprefix + key for key in (queue, self.unacked_index_key, self.unacked_key)]
            pipe.eval(_TAKE_MORE, len(keys), *keys, more, _BYTES_MAX, now)
            *_, taken = pipe.execute()
        virtual.QoS.append(self, message, delivery_tag)
        self.channel.deliver_next(queue, [self._register(str(tag, "ascii"), item, queue) for tag, item in taken])

    def _register(self, recorded_tag: str, item: bytes, queue: str) -> Any:
        """Return the message in an item that the script took. It is requeued if this channel closes before delivery."""
        readable, message = read_message(item, queue)
        delivery_tag = message["properties"]["delivery_tag"]
        is_wrapped = readable is not item
        if is_wrapped:  # the script accepted the item, Python does not: record the wrapping message instead
            with self.pipe_or_acquire() as pipe:
                pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
                pipe.hset(self.unacked_key, delivery_tag, dumps([message, "", queue]))
                pipe.zrem(self.unacked_index_key, recorded_tag).hdel(self.unacked_key, recorded_tag).execute()
        self._recorded.add(delivery_tag)
        virtual.QoS.append(self, message, delivery_tag)
        return message

    def ack_all(self, delivery_tags: Sequence[str]) -> None:
        """Acknowledge many messages in one round trip."""
        with self.pipe_or_acquire() as pipe:
            pipe.zrem(self.unacked_index_key, *delivery_tags).hdel(self.unacked_key, *delivery_tags).execute()
        for delivery_tag in delivery_tags:
            virtual.QoS.ack(self, delivery_tag)


class Channel(kombu_redis.Channel):
    """A channel that keeps its client and can take messages in batches."""

    QoS = BatchQoS
    qos: BatchQoS
    connection: Any
    global_keyprefix: str
    _closing: bool
    _kept_client: redis.Redis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._capacities: dict[str, Callable[[], int]] = {}
        self._next: list[tuple[str, dict[str, Any]]] = []
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

    def _brpop_read(self, **options: Any) -> Any:
        """Deliver the message that BRPOP returned, and then those that were taken with it."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # missing in the stubs
        finally:
            taken, self._next = self._next, []
            for queue, message in taken:
                self.connection._deliver(message, queue)  # noqa: SLF001  as kombu delivers what BRPOP returned

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
        return key, as_message(item, key.decode(errors="replace").rsplit(self.sep, 1)[0])


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
