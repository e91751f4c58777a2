"""A notice is acknowledged when it is stored; what comes together is stored together; nothing stops the intake."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from number_orders.ledger.notices import Applied, StoredNotice
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane
from number_orders.receiver.notices import intake
from number_orders.receiver.notices.intake import NoticeIntake, TooManyNotices

CARRIER = CarrierName("bandwidth")
GOOD, BAD = StoredNotice(CARRIER, b"good"), StoredNotice(CARRIER, b"bad")


@dataclass
class Notices:
    """Stores in memory, as slowly and as badly as a test wants."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[StoredNotice]] = field(default_factory=list)
    away: bool = False
    applied: int = 0
    more: int = 0

    async def store(self, notices: Iterable[StoredNotice]) -> None:
        group = list(notices)
        await self.gate.wait()
        if self.away:
            raise LedgerUnavailable("away")
        if BAD in group:
            raise RuntimeError("a bug")
        self.groups.append(group)

    async def apply(self, *, every: timedelta) -> Applied:
        if self.away:
            raise LedgerUnavailable("away")
        self.applied += 1
        return Applied(1, frozenset({CARRIER} if self.groups else ()), more=self.applied <= self.more)


@dataclass
class Rung:
    lanes: list[tuple[CarrierName, Lane]] = field(default_factory=list)

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.lanes += lanes

    def reset(self, carrier: CarrierName, lane: Lane) -> None: ...
    def mute(self, carrier: CarrierName, lane: Lane) -> None: ...


def run(work: Callable[[Notices, NoticeIntake, Rung], Coroutine[Any, Any, None]]) -> None:
    async def entered() -> None:
        notices, bell = Notices(), Rung()
        async with NoticeIntake(notices, bell, asks_every=timedelta(seconds=5)) as taking:
            await work(notices, taking, bell)

    asyncio.run(entered())


async def settled() -> None:
    """Let everything happen that can on the event loop."""
    for _ in range(10):
        await asyncio.sleep(0.001)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that happens in a thread too."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  threads set no event
            await asyncio.sleep(0.001)


def test_a_notice_is_acknowledged_only_when_it_is_stored() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        accepting = asyncio.create_task(taking.accept(GOOD))
        await settled()
        assert not accepting.done()
        notices.gate.set()
        await accepting
        await until(lambda: bool(bell.lanes))
        assert notices.groups == [[GOOD]]
        assert bell.lanes == [(CARRIER, Lane.ASK)]

    run(work)


def test_notices_that_come_meanwhile_are_stored_together() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        first = asyncio.create_task(taking.accept(GOOD))
        await settled()
        rest = [asyncio.create_task(taking.accept(GOOD)) for _ in range(50)]
        await settled()
        notices.gate.set()
        await asyncio.gather(first, *rest)
        assert [len(group) for group in notices.groups] == [1, 50]

    run(work)


def test_without_the_ledger_nothing_is_acknowledged_and_the_intake_goes_on() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        notices.gate.set()
        notices.away = True
        with pytest.raises(LedgerUnavailable):
            await taking.accept(GOOD)
        notices.away = False
        await taking.accept(GOOD)
        await until(lambda: bool(bell.lanes))
        assert bell.lanes == [(CARRIER, Lane.ASK)]

    run(work)


def test_one_that_cannot_be_stored_does_not_stop_the_others() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        first = asyncio.create_task(taking.accept(GOOD))
        await settled()
        group = [asyncio.create_task(taking.accept(notice)) for notice in (GOOD, BAD, GOOD)]
        await settled()
        notices.gate.set()
        await first
        results = await asyncio.gather(*group, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), RuntimeError, type(None)]

    run(work)


def test_too_many_that_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_WAITING_MAX", 3)

    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        waiting = [asyncio.create_task(taking.accept(GOOD))]
        await settled()
        waiting += [asyncio.create_task(taking.accept(GOOD)) for _ in range(3)]
        await settled()
        with pytest.raises(TooManyNotices):
            await taking.accept(GOOD)
        notices.gate.set()
        await asyncio.gather(*waiting)

    run(work)


def test_a_sender_that_leaves_stops_nothing() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        leaving = asyncio.create_task(taking.accept(GOOD))
        await settled()
        leaving.cancel()
        notices.gate.set()
        await taking.accept(GOOD)
        assert len(notices.groups) == 2

    run(work)


def test_notices_that_an_earlier_process_left_are_applied_at_the_start() -> None:
    async def work(notices: Notices, taking: NoticeIntake, bell: Rung) -> None:
        notices.more = 3
        await until(lambda: notices.applied >= 4)
        await settled()
        assert notices.applied == 4

    run(work)


def test_what_waits_when_the_receiver_stops_is_not_acknowledged() -> None:
    async def stopped() -> None:
        notices = Notices()
        async with NoticeIntake(notices, Rung(), asks_every=timedelta(seconds=5)) as taking:
            waiting = [asyncio.create_task(taking.accept(GOOD)) for _ in range(2)]
            await settled()
            waiting.append(asyncio.create_task(taking.accept(GOOD)))
            await settled()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [LedgerUnavailable] * 3

    asyncio.run(stopped())
