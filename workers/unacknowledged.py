"""The messages that a worker has taken from a Redis and not acknowledged yet, as the broker records them.

It differs from kombu's bookkeeping in these points:

- Time is the broker's. kombu notes when a message was taken by the clock of the worker that takes it, and compares that
  with the clock of another, so messages come back at once or late where clocks differ.
- Batches: the script that records a message also takes the messages that wait behind it (`workers.redis_transport`).
- Own names (`config.queues`). What a worker of 0.1.0 left under kombu's names comes back too, if its queue is ours; the
  records of other applications are left alone.
- A record that the broker refuses, for want of memory or because the key is something else, does not stop the message.
- A worker that gives a message back does so from its own memory if the broker has lost the record, as after FLUSHALL or
  a failover to a replica that was behind. Nobody else has that message then.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import redis
import structlog
from kombu import Message
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps, loads

from workers.message_format import read_message

log = structlog.get_logger(__name__)

_RECORD: Final = """
local function now()
  local time = redis.call('TIME')
  return time[1] .. '.' .. string.format('%06d', time[2])
end
local function parse(item)
  assert(not item:find('[\\128-\\255]') and not item:find('__type__', 1, true))
  local message = cjson.decode(item)
  local body, properties = message.body, message.properties
  local tag, info = properties.delivery_tag, properties.delivery_info
  assert(type(message.headers) == 'table' and type(tag) == 'string' and properties.body_encoding == 'base64')
  assert(#body % 4 == 0 and body:find('^[%w+/]*=?=?$'))
  assert(type(info.exchange) == 'string' and info.routing_key == ARGV[5])
  return tag, cjson.encode(info.exchange) .. ', ' .. cjson.encode(info.routing_key)
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now(), ARGV[1])
local taken, bytes = {}, 0
while #taken < tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do
  local item = redis.call('RPOP', KEYS[1])
  if not item then break end
  local is_message, tag, route = pcall(parse, item)
  if not is_message then
    redis.call('RPUSH', KEYS[1], item)
    break
  end
  redis.call('ZADD', KEYS[2], now(), tag)
  redis.call('HSET', KEYS[3], tag, '[' .. item .. ', ' .. route .. ']')
  taken[#taken + 1] = {tag, item}
  bytes = bytes + #item
end
return taken
"""
"""Record a message as unacknowledged; then take up to ARGV[3] messages or ARGV[4] bytes from its queue.

Each is recorded in the form that kombu uses; those taken are returned with their delivery tags. The script stops at an
item that may not be a message and puts it back; the next BRPOP returns that item alone. It also stops at items that
contain non-ASCII bytes or typed values (`__type__`): Lua might accept some that Python rejects, and Celery writes
neither. It stops at those that name another queue than ARGV[5], to which they would be restored.
"""
_BYTES_MAX: Final = 1024 * 1024
_KOMBU_KEY: Final = "unacked"
_KOMBU_INDEX: Final = "unacked_index"
_KOMBU_EVERY_S: Final = 60.0
_KOMBU_PAGE: Final = 500
"""How many records under kombu's names are looked at, once in so many seconds: most are other applications'."""


class Unacknowledged(kombu_redis.QoS):
    """The messages that a channel has delivered and that are not acknowledged yet."""

    channel: Any
    _delivered: Any
    _dirty: set[str]
    _remove_from_indices: Any
    _vrestore_count: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorded: set[str] = set()
        """Delivery tags of the messages that the script has recorded and that are not delivered yet."""
        self._unrecorded: dict[str, list[Any]] = {}
        """By delivery tag, the messages that only this process knows, in the form of a record."""
        self._done: set[str] = set()
        """Delivery tags of the messages whose acknowledgement was sent, and perhaps not received."""
        self._kombu_due_at = time.monotonic()
        self._kombu_offset = 0

    def append(self, message: Message, delivery_tag: str) -> None:
        """Record a message as unacknowledged and, in the same round trip, take those waiting behind it."""
        if delivery_tag in self._recorded:
            self._recorded.discard(delivery_tag)
            return
        delivery: Any = message.delivery_info
        queue = delivery["routing_key"]
        raw: Any = message._raw  # type: ignore[attr-defined]  # noqa: SLF001  the item as it was parsed
        record = [raw, delivery["exchange"], queue]
        taken = self._record(queue, delivery_tag, record)
        virtual.QoS.append(self, message, delivery_tag)
        if taken:
            self.channel.deliver_next(queue, [self._register(str(tag, "ascii"), item, queue) for tag, item in taken])

    def _record(self, queue: str, delivery_tag: str, record: list[Any]) -> Sequence[tuple[bytes, bytes]]:
        keys = [self.channel.global_keyprefix + key for key in (queue, self.unacked_index_key, self.unacked_key)]
        more = self.channel.batch_capacity(queue)
        try:
            with self.channel.conn_or_acquire() as client:
                taken: Sequence[tuple[bytes, bytes]] = client.eval(
                    _RECORD, len(keys), *keys, delivery_tag, dumps(record), more, _BYTES_MAX, queue
                )
        except redis.ResponseError as refusal:
            # The message has left its queue, so it is delivered all the same; lost if this worker is killed now.
            self._unrecorded[delivery_tag] = record
            log.warning("message_not_recorded", queue=queue, trouble=str(refusal))
            return ()
        return taken

    def _register(self, recorded_tag: str, item: bytes, queue: str) -> Any:
        """Return the message in an item that the script took. It is requeued if this channel closes before delivery."""
        readable, message = read_message(item, queue)
        delivery_tag = message["properties"]["delivery_tag"]
        if readable is not item:  # the script accepted the item, Python does not: record the wrapping message instead
            self._record(queue, delivery_tag, [message, "", queue])
            with self.pipe_or_acquire() as pipe:
                self._remove_from_indices(recorded_tag, pipe).execute()
        self._recorded.add(delivery_tag)
        virtual.QoS.append(self, message, delivery_tag)
        return message

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge one message."""
        self.ack_all([delivery_tag])

    def ack_all(self, delivery_tags: Sequence[str]) -> None:
        """Acknowledge many messages in one round trip."""
        self._done.update(delivery_tags)
        try:
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *delivery_tags).hdel(self.unacked_key, *delivery_tags).execute()
        except redis.ResponseError as refusal:
            log.warning("message_not_acknowledged", together=len(delivery_tags), trouble=str(refusal))
        for delivery_tag in delivery_tags:
            self._unrecorded.pop(delivery_tag, None)
            virtual.QoS.ack(self, delivery_tag)
        self._done.difference_update(delivery_tags)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Return one message to its queue, or drop it as an acknowledgement does."""
        if requeue:
            super().reject(delivery_tag, requeue=True)
        else:
            self.ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Return one message to its queue: as the broker recorded it, or else as this process holds it."""
        if (record := self._unrecorded.pop(tag, None)) is not None:
            with self.channel.conn_or_acquire(client) as connected:
                self.channel._do_restore_message(*record, connected, leftmost)  # noqa: SLF001  as the base class does
            return
        held = self._held_record(tag)

        def move(pipe: Any) -> None:
            recorded = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if record := loads(recorded.decode()) if recorded else held:
                self.channel._do_restore_message(*record, pipe, leftmost)  # noqa: SLF001  as the base class does
            if held and not recorded:
                log.warning("message_restored_from_memory", queue=held[2])

        with self.channel.conn_or_acquire(client) as connected:
            connected.transaction(move, self.unacked_key)

    def _held_record(self, tag: str) -> list[Any] | None:
        """Return a message that this channel has delivered, and that is not done with.

        If the answer to an acknowledgement was lost, the record is gone because the broker has received it.
        """
        if tag not in self._delivered or tag in self._dirty or tag in self._done:
            return None
        held = self._delivered[tag]
        if isinstance(held, Message):
            delivery: Any = held.delivery_info
            return [held._raw, delivery["exchange"], delivery["routing_key"]]  # type: ignore[attr-defined]  # noqa: SLF001
        delivery = held["properties"]["delivery_info"]
        return [held, delivery["exchange"], delivery["routing_key"]]

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int | None = 10) -> None:
        """Return to their queues the messages that are unacknowledged for longer than the visibility timeout.

        Two workers may do it at once: each message is moved in a transaction. So there is no lock, which somebody's
        key of that name would close for ever.
        """
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        try:
            with self.channel.conn_or_acquire() as client:
                seconds, microseconds = client.time()
                since = seconds + microseconds / 1e6 - self.visibility_timeout
                for tag in self._older_than(client, self.unacked_index_key, since, num and start, num):
                    self.restore_by_tag(tag, client)
                self._restore_kombus(client, since)
        except redis.ResponseError as refusal:
            log.warning("messages_not_restored", trouble=str(refusal))

    def _older_than(
        self, client: Any, index: str, since: float, offset: int | None, count: int | None
    ) -> Sequence[str]:
        tags = client.zrange(index, since, 0, desc=True, byscore=True, offset=offset, num=count)
        return [str(tag, errors="replace") for tag in tags]

    def _restore_kombus(self, client: Any, since: float) -> None:
        """Do the same for what workers of 0.1.0 left under kombu's names, in the queues that this channel consumes."""
        if time.monotonic() < self._kombu_due_at or not self.channel.active_queues:
            return
        self._kombu_due_at = time.monotonic() + _KOMBU_EVERY_S
        tags = self._older_than(client, _KOMBU_INDEX, since, self._kombu_offset, _KOMBU_PAGE)
        self._kombu_offset = self._kombu_offset + _KOMBU_PAGE if len(tags) == _KOMBU_PAGE else 0
        for tag in tags:
            self._restore_kombus_record(client, tag)

    def _restore_kombus_record(self, client: Any, tag: str) -> None:
        routes = tuple(f', "", {dumps(queue)}]'.encode() for queue in self.channel.active_queues)

        def move(pipe: Any) -> None:
            record = pipe.hget(_KOMBU_KEY, tag)
            pipe.multi()
            if record and record.endswith(routes):
                pipe.zrem(_KOMBU_INDEX, tag).hdel(_KOMBU_KEY, tag)
                message, exchange, queue = loads(record.decode())
                self.channel._do_restore_message(message, exchange, queue, pipe)  # noqa: SLF001  as the base class does
                log.info("message_restored", queue=queue, left_by="a worker of an earlier release")

        client.transaction(move, _KOMBU_KEY)
