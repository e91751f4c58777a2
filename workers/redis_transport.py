"""kombu's Redis transport, which makes one client per channel where the original makes one per command.

Making a client costs more than most commands (redis-py fills a table of some 170 entries each time), and a message
takes three or four. A client keeps no state between commands but its pool, so one does as well as many.

And it looks at what lies in a queue before kombu does: a queue is a list that anybody can write to, and over what is no
message kombu's own transport ends its worker.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as original

from workers.envelope import parcel

_ALIASES: Final = {"redis": f"{__name__}:Transport", "rediss": f"{__name__}:Transport"}


def install() -> None:
    """Let every connection of this process to a Redis or Valkey, made from now on, use this transport."""
    TRANSPORT_ALIASES.update(_ALIASES)


class Channel(original.Channel):
    """A channel that keeps its client."""

    _kept: redis.Redis | None = None

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
        return key, parcel(item, key.decode(errors="replace").rsplit(self.sep, 1)[0])


class Transport(original.Transport):
    """The transport of such channels."""

    Channel = Channel
