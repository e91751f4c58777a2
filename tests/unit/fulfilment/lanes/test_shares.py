"""Questions go before submissions while they are behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from number_orders.fulfilment.lanes.rate import LedgerClock, Pauses
from number_orders.fulfilment.lanes.run import LaneRun
from number_orders.fulfilment.lanes.shares import LaneShares
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName, Lane
from number_orders.simulation.clock import VirtualLoop, true_now

BANDWIDTH, SWIFT = CarrierName("bandwidth"), CarrierName("swift")


@pytest.mark.parametrize(("wanted", "left"), [(40, 20), (3, 1), (1, 1)])
def test_submissions_hold_half_while_any_carrier_s_questions_are_behind(wanted: int, left: int) -> None:
    """The loop is shared by all carriers. Questions themselves and notifications are held back by nothing."""
    shares = LaneShares()
    assert shares.concurrency(Lane.SUBMIT, wanted) == wanted
    shares.note(SWIFT, Lane.ASK, is_behind=True)
    shares.note(BANDWIDTH, Lane.ASK, is_behind=True)
    assert [shares.concurrency(lane, wanted) for lane in (Lane.SUBMIT, Lane.ASK, Lane.TELL)] == [left, wanted, wanted]
    shares.note(BANDWIDTH, Lane.ASK, is_behind=False)
    assert shares.concurrency(Lane.SUBMIT, wanted) == left
    shares.note(SWIFT, Lane.ASK, is_behind=False)
    assert shares.concurrency(Lane.SUBMIT, wanted) == wanted


def test_submissions_that_are_behind_hold_nobody_back() -> None:
    shares = LaneShares()
    shares.note(BANDWIDTH, Lane.SUBMIT, is_behind=True)
    assert shares.concurrency(Lane.SUBMIT, 40) == 40


@dataclass
class ScriptedLane:
    """A lane, its ledger and its presence in one: claims come back as the script says, and nothing can be begun."""

    lane: Lane
    found: Sequence[int] = ()
    """How many orders each claim finds; afterwards none are due."""
    carrier_name: CarrierName = BANDWIDTH
    concurrency: int = 40
    lease: timedelta = timedelta(seconds=10)
    right_to_send: timedelta = timedelta(seconds=30)
    limits_asked: list[int] = field(default_factory=list)
    behind: list[bool] = field(default_factory=list)
    """Whether submissions were held back at each claim."""
    shares: LaneShares = field(default_factory=LaneShares)

    async def claim(self, _carrier: CarrierName, lane: Lane, *, limit: int, **_: object) -> Claims | None:
        self.behind.append(self.shares.concurrency(Lane.SUBMIT, 2) == 1)
        found = self.found[len(self.limits_asked)] if len(self.limits_asked) < len(self.found) else 0
        self.limits_asked.append(limit)
        await asyncio.sleep(0.1)
        orders: list[Any] = [None] * min(found, limit)
        return Claims(lane, true_now(), uuid4(), orders, clock=true_now()) if orders else None

    async def begin(self, _: Claims) -> Sequence[Any]:
        return []

    def run(self) -> None:
        """Run the lane until nothing is due."""
        silent: Any = Mock()
        ledger: Any = SimpleNamespace(schedule=self)
        work: Any = self

        async def lane_run() -> None:
            run = LaneRun(
                work,
                ledger,
                silent,
                silent,
                silent,
                self.shares,
                boot_clock=asyncio.get_running_loop().time,
                ledger_clock=LedgerClock(),
                pauses=Pauses(),
                lasts_s=5.0,
            )
            await run.run()

        loop = VirtualLoop()
        try:
            loop.run_until_complete(lane_run())
        finally:
            loop.close()


def test_lane_ask_is_behind_while_its_claims_are_full_for_a_while() -> None:
    """A single full claim is a burst. A claim that finds less says that the lane has caught up."""
    lane = ScriptedLane(Lane.ASK, found=[40] * 6 + [3])
    lane.run()
    assert lane.behind[:8] == [False, False, False, True, True, True, True, False]
    assert not any(lane.behind[8:])


def test_lane_that_ends_while_it_is_behind_holds_nobody_back() -> None:
    lane = ScriptedLane(Lane.ASK, found=[40] * 1000)
    lane.run()
    assert lane.behind[-1]
    assert lane.shares.concurrency(Lane.SUBMIT, 40) == 40


def test_submissions_claim_half_while_questions_are_behind() -> None:
    held_back, alone = ScriptedLane(Lane.SUBMIT), ScriptedLane(Lane.SUBMIT)
    held_back.shares.note(SWIFT, Lane.ASK, is_behind=True)
    held_back.run()
    alone.run()
    assert (held_back.limits_asked[0], alone.limits_asked[0]) == (20, 40)
