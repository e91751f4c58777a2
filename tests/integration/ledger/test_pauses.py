"""Whatever holds work back keeps it from being claimed, until it is over."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.pauses import HeldBy, Pause
from number_orders.orders.model import CarrierName, Lane
from tests.integration.ledger.examples import MINUTE, a_request, accept_order
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness
from tests.integration.ledger.limit_examples import (
    HOLD_OVER,
    TINY,
    accept_some,
    claim,
    count_claimed,
    open_breaker,
    set_rates,
)

Change = Callable[[Ledger], Awaitable[None]]


async def set_a_rate(ledger: Ledger) -> None:
    await set_rates(ledger, ORDER=0.1)


async def remove_rates(ledger: Ledger) -> None:
    await set_rates(ledger)


async def pause_limit_group(ledger: Ledger) -> None:
    await ledger.limits.pause(BANDWIDTH, "ORDER", until=await ledger.now() + MINUTE, why="HTTP 429")


async def pause_lane(ledger: Ledger) -> None:
    await ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by="ana", why="stock-taking")


async def resume_lane(ledger: Ledger) -> None:
    await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="ana", why=None)


async def wait(ledger: Ledger) -> None:
    """Only time ends it."""


@pytest.mark.parametrize(
    ("hold", "end", "meanwhile", "afterwards"),
    [
        (set_a_rate, remove_rates, 1, 28),
        (pause_limit_group, wait, 0, 29),
        (pause_lane, resume_lane, 0, 29),
        (open_breaker, wait, 0, 1),
    ],
)
def test_hold_is_in_force_from_the_next_claim_on(
    harness: LedgerHarness, hold: Change, end: Change, meanwhile: int, afterwards: int
) -> None:
    """Also for a worker that claimed a moment ago without any hold. When it is over, claims go on as before."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 30)
        assert await count_claimed(ledger, 1) == 1
        await hold(ledger)
        assert await count_claimed(ledger) == meanwhile
        await end(ledger)
        await harness.advance(HOLD_OVER)
        assert await count_claimed(ledger) == afterwards

    harness.run(work)


def test_pause_by_a_person_lasts_until_a_person_resumes(harness: LedgerHarness) -> None:
    """It keeps who paused, why, and who resumed. The end of a limit's pause does not end it."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 3)
        lanes = [Lane.SUBMIT, Lane.ASK]
        paused = await ledger.pauses.pause(BANDWIDTH, lanes, by="ana", why="stock-taking")
        assert {pause.lane for pause in paused} == set(lanes)
        assert await ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by="ben", why="me too") == []
        soon = await ledger.now() + TINY
        await ledger.limits.pause(BANDWIDTH, "ORDER", until=soon, why="HTTP 429")
        await asyncio.sleep(0.01)
        assert (await claim(ledger), await ledger.schedule.due_lanes()) == (None, [])
        order = await accept_order(ledger, a_request("one more"))
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert [(hold.held_by, hold.who, hold.why, hold.until) for hold in work_item.holds] == [
            (HeldBy.PERSON, "ana", "stock-taking", None)
        ]
        _, holds = await ledger.pauses.holds()
        assert [(hold.lane, hold.who) for hold in holds] == [(Lane.ASK, "ana"), (Lane.SUBMIT, "ana")]
        (resumed,) = await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="eve", why="done")
        assert (resumed.paused_by, resumed.resumed_by, resumed.resumed_why) == ("ana", "eve", "done")
        assert await count_claimed(ledger) == 4
        assert await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="eve", why=None) == []

    harness.run(work)


def test_only_the_pause_that_a_person_has_seen_is_changed(harness: LedgerHarness) -> None:
    """What has begun since is another person's, and stays."""

    async def work(ledger: Ledger) -> None:
        async def pause(by: str, after: int | None) -> list[Pause]:
            return await ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by=by, why="a test", after=after)

        async def resume(pause_id: int) -> list[Pause]:
            return await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="eve", why=None, pause_id=pause_id)

        (first,) = await pause("ana", 0)
        assert await resume(first.pause_id + 1) == []
        assert [each.pause_id for each in await resume(first.pause_id)] == [first.pause_id]
        assert await pause("ana", 0) == []
        (second,) = await pause("ben", first.pause_id)
        assert await resume(first.pause_id) == []
        _, holds = await ledger.pauses.holds()
        assert [hold.who for hold in holds] == ["ben"]
        assert await ledger.pauses.latest(BANDWIDTH, Lane.SUBMIT) == second
        assert await ledger.pauses.latest(BANDWIDTH, Lane.ASK) is None
        assert await resume(second.pause_id)

    harness.run(work)


def test_lane_that_was_never_opened_cannot_be_paused(harness: LedgerHarness) -> None:
    """The lanes of each carrier are those that were opened."""

    async def work(ledger: Ledger) -> None:
        assert await ledger.schedule.carriers() == {BANDWIDTH: (Lane.ASK, Lane.SUBMIT, Lane.TELL)}
        assert await ledger.pauses.pause(CarrierName("cm"), [Lane.SUBMIT], by="ana", why="nobody is there") == []

    harness.run(work)
