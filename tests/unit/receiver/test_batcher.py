"""Concurrent orders share statements, and each request gets its own answer."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.orders.errors import Fault, LedgerUnavailable, NotStorable, OrderRefused
from number_orders.orders.model import OrderId, State
from number_orders.receiver.batcher import BATCH_MAX, IntakeBatcher


class SlowIntake:
    """Takes orders in when it is told to; an order named `bad` is refused, and one named `bomb` breaks its group."""

    def __init__(self) -> None:
        self.groups: list[list[object]] = []
        self.alone: list[object] = []
        self.go = asyncio.Event()
        self.trouble: Exception | None = None

    async def submit_together(self, submissions: Sequence[Submission]) -> list[Ticket | Refusal]:
        self.groups.append([one.raw for one in submissions])
        await self.go.wait()
        if self.trouble:
            raise self.trouble
        if any(one.raw == "bomb" for one in submissions):
            raise NotStorable("one order breaks the statement of all")
        return [_outcome(one.raw) for one in submissions]

    async def submit(
        self, raw: object, *, producer: str, is_proven: bool = False, trace_parent: object = None
    ) -> Ticket:
        self.alone.append(raw)
        if raw == "bomb":
            raise NotStorable("this order")
        outcome = _outcome(raw)
        if isinstance(outcome, Refusal):
            raise outcome.error
        return outcome


def _outcome(raw: object) -> Ticket | Refusal:
    if raw == "bad":
        return Refusal(None, OrderRefused([Fault("order", "is bad")]))
    return Ticket(OrderId(uuid4()), str(raw), State.ACCEPTED, new=True)


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_first_goes_at_once_and_the_others_together() -> None:
    async def work() -> None:
        intake = SlowIntake()
        batcher = IntakeBatcher(intake)
        waiting = [asyncio.create_task(batcher.submit("a", producer="crm"))]
        await _turn()
        waiting += [asyncio.create_task(batcher.submit(raw, producer="crm")) for raw in ("b", "bad", "c")]
        await _turn()
        assert intake.groups == [["a"]]
        intake.go.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert intake.groups == [["a"], ["b", "bad", "c"]]
        assert [outcome.key if isinstance(outcome, Ticket) else type(outcome) for outcome in outcomes] == [
            "a",
            "b",
            OrderRefused,
            "c",
        ]

    asyncio.run(work())


def test_full_batch_does_not_wait_for_a_slow_one() -> None:
    async def work() -> None:
        intake = SlowIntake()
        batcher = IntakeBatcher(intake)
        waiting = [asyncio.create_task(batcher.submit(n, producer="crm")) for n in range(BATCH_MAX + 2)]
        await _turn()
        assert [len(group) for group in intake.groups] == [1, BATCH_MAX]
        intake.go.set()
        await asyncio.gather(*waiting)
        assert [len(group) for group in intake.groups] == [1, BATCH_MAX, 1]

    asyncio.run(work())


def test_order_that_breaks_the_statement_is_alone_with_it() -> None:
    async def work() -> None:
        intake = SlowIntake()
        intake.go.set()
        batcher = IntakeBatcher(intake)
        raws = ("first", "a", "bomb", "bad", "b")
        outcomes = await asyncio.gather(*(batcher.submit(raw, producer="crm") for raw in raws), return_exceptions=True)
        assert [outcome.key if isinstance(outcome, Ticket) else type(outcome) for outcome in outcomes] == [
            "first",
            "a",
            NotStorable,
            OrderRefused,
            "b",
        ]

    asyncio.run(work())


def test_ledger_away_is_told_to_each() -> None:
    async def work() -> None:
        intake = SlowIntake()
        intake.trouble = LedgerUnavailable("away")
        intake.go.set()
        batcher = IntakeBatcher(intake)
        outcomes = await asyncio.gather(*(batcher.submit(n, producer="crm") for n in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable] * 3
        assert intake.alone == []

    asyncio.run(work())


def test_cancelled_request_harms_no_other() -> None:
    async def work() -> None:
        intake = SlowIntake()
        batcher = IntakeBatcher(intake)
        gone, stays = (asyncio.create_task(batcher.submit(n, producer="crm")) for n in ("gone", "stays"))
        await _turn()
        gone.cancel()
        intake.go.set()
        assert (await stays).key == "stays"
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(work())
