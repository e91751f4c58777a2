"""The events of orders as they happen, for many readers at once.

One poller asks the ledger for all of them with one statement, every half a second while anybody reads. Each reader has
its own queue and its own last version.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from number_orders.orders.errors import FulfilmentError
from number_orders.orders.model import OrderId

log = structlog.get_logger(__name__)

Row = Mapping[str, Any]
News = Callable[[Mapping[OrderId, int]], Awaitable[Sequence[Row]]]
"""Returns the events of some orders after the versions given."""

POLL_S: Final = 0.5
_FIRST_LOOK_S: Final = 0.02
"""How long a new reader's first look waits for other new readers."""


class TooManyReaders(Exception):
    """This process serves as many readers as it may, or as many of this owner."""


@dataclass(slots=True, eq=False)
class _Reader:
    order_id: OrderId
    seen: int
    owner: str
    arrived: "asyncio.Queue[Sequence[Row] | None]" = field(default_factory=asyncio.Queue)
    """None: the process stops."""


class EventStreams:
    """Serves the readers of one process."""

    def __init__(
        self, news: News, *, readers_max: int, readers_per_owner: int | None = None, poll_s: float = POLL_S
    ) -> None:
        """Set up one process.

        Args:
            news: Asks the ledger.
            readers_max: How many readers are served.
            readers_per_owner: How many of them for one producer or operator, so that it leaves some to others.
            poll_s: How often the ledger is asked.
        """
        self._news = news
        self._readers_max = readers_max
        self._readers_per_owner = readers_max if readers_per_owner is None else readers_per_owner
        self._poll_s = poll_s
        self._readers: set[_Reader] = set()
        self._has_new = asyncio.Event()
        self._closed = False

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    @property
    def is_full(self) -> bool:
        """Whether no further reader is served."""
        return len(self._readers) >= self._readers_max

    def is_full_for(self, owner: str) -> bool:
        """Whether no further reader of this owner is served."""
        return self.is_full or sum(reader.owner == owner for reader in self._readers) >= self._readers_per_owner

    async def follow(
        self, order_id: OrderId, *, after: int, heartbeat_s: float, owner: str = ""
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Yield the events of an order after a version as they happen; nothing, after each time without any.

        Ends when the process stops.

        Raises:
            TooManyReaders: There are too many already.
        """
        if self.is_full_for(owner):
            raise TooManyReaders
        reader = _Reader(order_id, after, owner)
        self._readers.add(reader)
        self._has_new.set()
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(heartbeat_s):
                        events = await reader.arrived.get()
                except TimeoutError:
                    events = ()
                if events is None:
                    return
                yield events
        finally:
            self._readers.discard(reader)

    async def run(self) -> None:
        """Poll the ledger while there are readers, until cancelled."""
        while True:
            if not self._readers:
                self._has_new.clear()
                await self._has_new.wait()
            if self._has_new.is_set():
                await asyncio.sleep(_FIRST_LOOK_S)
                self._has_new.clear()
            await self._look()
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._has_new.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """End every stream: the process stops."""
        self._closed = True
        for reader in self._readers:
            reader.arrived.put_nowait(None)

    async def _look(self) -> None:
        seen: dict[OrderId, int] = {}
        for reader in self._readers:
            seen[reader.order_id] = min(reader.seen, seen.get(reader.order_id, reader.seen))
        try:
            rows = await self._news(seen)
        except FulfilmentError as trouble:  # the next look may succeed, and finds everything
            log.warning("streams_wait", readers=len(self._readers), trouble=str(trouble))
            return
        arrived: dict[OrderId, list[Row]] = {}
        for row in rows:
            arrived.setdefault(row["order_id"], []).append(row)
        for reader in self._readers:
            fresh = [row for row in arrived.get(reader.order_id, ()) if row["version"] > reader.seen]
            if fresh:
                reader.seen = fresh[-1]["version"]
                reader.arrived.put_nowait(fresh)
