"""Store notices before they are acknowledged, and make their questions due afterwards.

Notices that arrive while a statement runs are stored together by the next. If this process dies between the two steps,
the sweep makes the questions due.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from number_orders.fulfilment.ports import Bell
from number_orders.ledger.notices import Applied, StoredNotice
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import Lane

log = structlog.get_logger(__name__)

_TOGETHER_MAX: Final = 200
_WAITING_MAX: Final = 2000
"""So many notices wait to be stored; further ones are refused."""


class Notices(Protocol):
    """Stores and applies notices (`ledger.notices.NoticeStore`)."""

    async def store(self, notices: Iterable[StoredNotice]) -> None: ...

    async def apply(self, *, every: timedelta) -> Applied: ...


class TooManyNotices(Exception):
    """More notices wait to be stored than this process keeps."""


@dataclass(slots=True)
class _Waiting:
    notice: StoredNotice
    stored: asyncio.Future[None]


class NoticeIntake:
    """Takes notices in while it is entered (`async with`)."""

    def __init__(self, notices: Notices, bell: Bell, *, asks_every: timedelta) -> None:
        """Set up the intake.

        Args:
            notices: Where notices are stored.
            bell: Wakes workers for the questions that are due.
            asks_every: The shortest time between two questions about one order that notices bring.
        """
        self._notices = notices
        self._bell = bell
        self._asks_every = asks_every
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._stored = asyncio.Event()
        self._loops: Sequence[asyncio.Task[None]] = ()

    async def __aenter__(self) -> Self:
        self._stored.set()  # an earlier process may have left some
        self._loops = (asyncio.create_task(self._store_all()), asyncio.create_task(self._apply_all()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for loop in self._loops:
            loop.cancel()
        for loop in self._loops:
            with suppress(asyncio.CancelledError):
                await loop
        self._answer(self._take(), LedgerUnavailable("the receiver is stopping"))

    async def accept(self, notice: StoredNotice) -> None:
        """Store a notice; return when it is committed.

        Raises:
            TooManyNotices: Too many wait.
            LedgerUnavailable: It may not be stored.
        """
        if len(self._waiting) >= _WAITING_MAX:
            raise TooManyNotices
        waiting = _Waiting(notice, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        await waiting.stored

    async def _store_all(self) -> None:
        while True:
            await self._arrived.wait()
            group = self._take(_TOGETHER_MAX)
            if not self._waiting:
                self._arrived.clear()
            try:
                await self._store(group)
            except asyncio.CancelledError:
                self._answer(group, LedgerUnavailable("the receiver is stopping"))
                raise

    async def _store(self, group: Sequence[_Waiting]) -> None:
        """Store a group, and answer for it. If one makes the statement fail, each is stored alone."""
        try:
            await self._notices.store([each.notice for each in group])
        except LedgerUnavailable as away:
            log.warning("ledger_away", trouble=str(away))
            self._answer(group, away)
        except Exception as error:
            log.exception("notices_not_stored", notices=len(group))
            if len(group) == 1:
                self._answer(group, error)
            else:
                for each in group:
                    await self._store([each])
        else:
            self._answer(group)
            self._stored.set()

    async def _apply_all(self) -> None:
        """Make the questions due that stored notices call for."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            try:
                applied = await self._notices.apply(every=self._asks_every)
            except LedgerUnavailable as away:
                log.warning("ledger_away", trouble=str(away))  # the sweep applies them
            except Exception:
                log.exception("notices_not_applied")  # so does it here
            else:
                lanes = [(carrier, Lane.ASK) for carrier in sorted(applied.due)]
                if lanes:  # in a thread: a broker that is away keeps a bell waiting, and notices must not wait with it
                    await asyncio.to_thread(self._bell.ring, lanes)
                if applied.more:
                    self._stored.set()

    def _take(self, limit: int | None = None) -> list[_Waiting]:
        taken = self._waiting[:limit]
        del self._waiting[:limit]
        return taken

    @staticmethod
    def _answer(group: Iterable[_Waiting], error: Exception | None = None) -> None:
        for each in group:
            if each.stored.done():
                continue  # its sender is gone
            if error is None:
                each.stored.set_result(None)
            else:
                each.stored.set_exception(error)
