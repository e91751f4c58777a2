"""kombu's Redis transport, with fewer ways to the server.

One client per channel where the original makes one per command: making a client costs more than most commands
(redis-py fills a table of some 170 entries each time), and a message takes three or four. A client keeps no state
between commands but its pool, so one does as well as many.

Many messages of one queue at a time, where its consumer says so (`Channel.take_in_batches`): those behind the one that
BRPOP brought come with the way to the server on which that one is noted as unacknowledged. They are taken and noted
in one act, so a worker that is killed loses none of them. What is written is what kombu writes, to the letter: any
other worker on the same broker finds its way.

And it looks at what lies in a queue before kombu does: a queue is a list that anybody can write to, and over what is no
message kombu's own transport ends its worker.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from kombu import Message
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as original
from kombu.utils.json import dumps

from workers.message_format import as_message, read_message

_ALIASES: Final = {"redis": f"{__name__}:Transport", "rediss": f"{__name__}:Transport"}

_TAKE: Final = """
local function whither(item)
  assert(not item:find('[\\128-\\255]') and not item:find('__type__', 1, true))
  local message = cjson.decode(item)
  local body, properties = message.body, message.properties
  local tag, sent = properties.delivery_tag, properties.delivery_info
  assert(type(message.headers) == 'table' and type(tag) == 'string' and properties.body_encoding == 'base64')
  assert(#body % 4 == 0 and body:find('^[%w+/]*=?=?$'))
  assert(type(sent.exchange) == 'string' and type(sent.routing_key) == 'string')
  return tag, cjson.encode(sent.exchange) .. ', ' .. cjson.encode(sent.routing_key)
end
local taken, bytes = {}, 0
while #taken < tonumber(ARGV[1]) and bytes < tonumber(ARGV[2]) do
  local item = redis.call('RPOP', KEYS[1])
  if not item then break end
  local is_message, tag, sent_to = pcall(whither, item)
  if not is_message then
    redis.call('RPUSH', KEYS[1], item)
    break
  end
  redis.call('ZADD', KEYS[2], ARGV[3], tag)
  redis.call('HSET', KEYS[3], tag, '[' .. item .. ', ' .. sent_to .. ']')
  taken[#taken + 1] = {tag, item}
  bytes = bytes + #item
end
return taken
"""
"""Takes up to ARGV[1] messages of a queue, or ARGV[2] bytes, and notes each as unacknowledged since ARGV[3], just as
`QoS.append` does, and returns it behind its tag. What is not plainly a message is left where it was: BRPOP brings it by
itself. So is what is more than ASCII, or names types: Lua may read that and Python not; Celery writes no such thing."""
_BYTES: Final = 1024 * 1024


def install() -> None:
    """Let every connection of this process to a Redis or Valkey, made from now on, use this transport."""
    TRANSPORT_ALIASES.update(_ALIASES)


class Unacknowledged(original.QoS):
    """What a channel has delivered and nobody has acknowledged yet."""

    channel: "Channel"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noted: set[str] = set()

    def append(self, message: Message, delivery_tag: str) -> None:
        """Note a message, unless it was noted as it was taken; with it, take what may come along."""
        if delivery_tag in self._noted:
            self._noted.discard(delivery_tag)
            return
        delivery = message.delivery_info
        queue = delivery["routing_key"]
        room = self.channel.room_for(queue)
        if not room:
            super().append(message, delivery_tag)
            return
        with self.pipe_or_acquire() as pipe:
            now = time.time()
            pipe.zadd(self.unacked_index_key, {delivery_tag: now})
            raw: Any = message._raw  # type: ignore[attr-defined]  # noqa: SLF001  what is noted is what came, to the letter
            pipe.hset(self.unacked_key, delivery_tag, dumps([raw, delivery["exchange"], queue]))
            keys = [self.channel.global_keyprefix + key for key in (queue, self.unacked_index_key, self.unacked_key)]
            pipe.eval(_TAKE, len(keys), *keys, room, _BYTES, now)
            *_, taken = pipe.execute()
        virtual.QoS.append(self, message, delivery_tag)
        self.channel.deliver_soon(queue, [self._readable(str(tag, "ascii"), item, queue) for tag, item in taken])

    def _readable(self, noted_as: str, item: bytes, queue: str) -> Any:
        """Return a message that the server has noted already: it is given back if this channel ends first."""
        kept, message = read_message(item, queue)
        delivery_tag = message["properties"]["delivery_tag"]
        if kept is not item:  # it looked like a message, but cannot be taken for one: noted as what was made of it
            with self.pipe_or_acquire() as pipe:
                pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
                pipe.hset(self.unacked_key, delivery_tag, dumps([message, "", queue]))
                pipe.zrem(self.unacked_index_key, noted_as).hdel(self.unacked_key, noted_as).execute()
        self._noted.add(delivery_tag)
        virtual.QoS.append(self, message, delivery_tag)
        return message

    def ack_all(self, delivery_tags: Sequence[str]) -> None:
        """Acknowledge many messages on one way to the server."""
        with self.pipe_or_acquire() as pipe:
            pipe.zrem(self.unacked_index_key, *delivery_tags).hdel(self.unacked_key, *delivery_tags).execute()
        for delivery_tag in delivery_tags:
            virtual.QoS.ack(self, delivery_tag)


class Channel(original.Channel):
    """A channel that keeps its client, and takes many messages where it may."""

    QoS = Unacknowledged
    qos: Unacknowledged
    connection: Any
    global_keyprefix: str
    _closing: bool
    _kept: redis.Redis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._rooms: dict[str, Callable[[], int]] = {}
        self._coming: list[tuple[str, dict[str, Any]]] = []
        super().__init__(*args, **kwargs)

    def take_in_batches(self, queue: str, room: Callable[[], int]) -> None:
        """From now on, take as many messages of a queue at a time as `room` says there is room for."""
        self._rooms[queue] = room

    def room_for(self, queue: str) -> int:
        """Return how many more messages of a queue may come along with one."""
        room = self._rooms.get(queue)
        return max(room() - 1, 0) if room and not self._closing else 0

    def deliver_soon(self, queue: str, messages: Sequence[dict[str, Any]]) -> None:
        """Deliver these after the one in hand."""
        self._coming.extend((queue, message) for message in messages)

    def _brpop_read(self, **options: Any) -> Any:
        """Deliver the message that has come, and those that came along with it."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # left out of the stubs
        finally:
            coming, self._coming = self._coming, []
            for queue, message in coming:
                self.connection._deliver(message, queue)  # noqa: SLF001  the transport's, as for the one that BRPOP brought

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Enter with the client given, or with the channel's own; a new pool, as after a fork, means a new client."""
        if client is None:
            if self._kept is None or self._kept.connection_pool is not self.pool:
                self._kept = self._create_client()
            client = self._kept
        yield client

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous)  # type: ignore[misc]  # left out of the stubs
        client.set_response_callback("BRPOP", self._popped)
        return client

    def _popped(self, found: Sequence[bytes] | None, **_: Any) -> tuple[bytes, bytes] | None:
        """Make a message of whatever was popped from a queue."""
        if not found:
            return None
        key, item = found
        return key, as_message(item, key.decode(errors="replace").rsplit(self.sep, 1)[0])


class Transport(original.Transport):
    """The transport of such channels."""

    Channel = Channel


def acknowledge(messages: Sequence[Message]) -> None:
    """Acknowledge messages, all at once where their channel can.

    Raises:
        What the transport calls a connection error: they are unacknowledged, and come again.
    """
    channels = {message.channel for message in messages}
    for channel in channels:
        theirs = [message for message in messages if message.channel is channel and not message.acknowledged]
        if not isinstance(channel, Channel):
            for message in theirs:
                message.ack()
            continue
        if theirs:
            channel.qos.ack_all([str(message.delivery_tag) for message in theirs])
            for message in theirs:
                message._state = "ACK"  # type: ignore[attr-defined]  # noqa: SLF001  as `ack` leaves it
