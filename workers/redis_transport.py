"""kombu's Redis transport, which makes one client per channel where the original makes one per command.

Making a client costs more than most commands (redis-py fills a table of some 170 entries each time), and a message
takes three or four. A client keeps no state between commands but its pool, so one does as well as many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as original

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
                self._kept = self._create_client()  # type: ignore[attr-defined]  # left out of the stubs
            client = self._kept
        yield client


class Transport(original.Transport):
    """The transport of such channels."""

    Channel = Channel
