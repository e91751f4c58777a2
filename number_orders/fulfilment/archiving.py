"""Move orders that ended long ago into the archive, in batches, for a limited time.

What one run leaves the next one finds. In a guard period nothing is moved: orders may be about to be found again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from number_orders.ledger.archive import Copied
from number_orders.ledger.guard import GuardPeriod
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import LedgerUnavailable, NotStorable
from number_orders.orders.model import CarrierName

log = structlog.get_logger(__name__)

RUNS_FOR_S: Final = 120.0
"""Less than a task may run."""
_AT_ONCE: Final = 500
_AT_LEAST: Final = 5
_SUBJECT: Final = "archive"

Moved = TypeVar("Moved")


class _Archive(Protocol):
    async def copy_next(
        self, older_than: timedelta, *, ended_from: datetime | None = ..., at_once: int = ...
    ) -> Copied: ...
    async def remove(self, *, at_once: int = ...) -> tuple[int, int]: ...


class _Guard(Protocol):
    async def read(self) -> GuardPeriod: ...


class _Alarms(Protocol):
    async def raise_alarm(self, what: str, subject: str, *, detail: str = ...) -> int: ...
    async def drop_alarms(self, what: str, *, carrier: CarrierName | None, keep: Sequence[str]) -> None: ...


class ArchiveStores(Protocol):
    """The parts of the ledger that archiving uses."""

    @property
    def archive(self) -> _Archive: ...
    @property
    def guard(self) -> _Guard: ...
    @property
    def alarms(self) -> _Alarms: ...


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """What one run did."""

    copied: int
    removed: int
    is_over: bool
    """Nothing was left to copy. False: the time was over first, or a guard period lasts."""


@dataclass(slots=True)
class _Batches:
    """How many orders a statement moves: a tenth after one that PostgreSQL has cancelled."""

    size: int = _AT_ONCE

    async def move(self, statement: Callable[..., Awaitable[Moved]]) -> Moved:
        """Execute one statement, with fewer orders if it takes too long.

        Raises:
            LedgerUnavailable: It takes too long even with few orders, or the ledger does not answer.
        """
        while True:
            try:
                return await statement(at_once=self.size)
            except LedgerUnavailable as trouble:
                if self.size <= _AT_LEAST:
                    raise
                self.size //= 10
                log.warning("archive_batch_shrunk", at_once=self.size, why=str(trouble))


@dataclass(frozen=True, slots=True)
class Archiving:
    """Archives ended orders."""

    ledger: ArchiveStores
    boot_clock: Callable[[], float]

    async def run(self, older_than: timedelta, *, runs_for_s: float = RUNS_FOR_S) -> ArchiveRun:
        """Remove what was copied before, and copy what ended longer ago than `older_than`.

        Raises:
            LedgerUnavailable, NotStorable: A statement failed. An alarm says so until a run succeeds.
        """
        if await self._is_guarded():
            log.info("not_archived", why="a guard period lasts")
            return ArchiveRun(0, 0, is_over=False)
        try:
            ran = await self._move(older_than, self.boot_clock() + runs_for_s)
        except (LedgerUnavailable, NotStorable) as trouble:
            log.error("not_archived", why=str(trouble))  # noqa: TRY400  a traceback would say nothing more
            await self.ledger.alarms.raise_alarm(Alarm.NOT_ARCHIVED, _SUBJECT, detail=str(trouble))
            raise
        await self.ledger.alarms.drop_alarms(Alarm.NOT_ARCHIVED, carrier=None, keep=[])
        if ran.copied or ran.removed:
            log.info("archived", copied=ran.copied, removed=ran.removed, is_over=ran.is_over)
        return ran

    async def _move(self, older_than: timedelta, until: float) -> ArchiveRun:
        archive, batches = self.ledger.archive, _Batches()
        removed, copied, is_over = 0, 0, False
        looked_at = batches.size
        while looked_at >= batches.size and self.boot_clock() < until:
            looked_at, gone = await batches.move(archive.remove)
            removed += gone
        ended_from: datetime | None = None
        while not is_over and self.boot_clock() < until:
            done = await batches.move(partial(archive.copy_next, older_than, ended_from=ended_from))
            copied, ended_from, is_over = copied + done.orders, done.ended_to, done.orders < batches.size
        return ArchiveRun(copied, removed, is_over and not await self._is_guarded())

    async def _is_guarded(self) -> bool:
        """Tell whether a guard period lasts. Each statement looks for itself too."""
        return (await self.ledger.guard.read()).is_active
