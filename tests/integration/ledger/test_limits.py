"""Claims stay within the rates of a carrier, however many workers claim at once."""

import asyncio
from datetime import timedelta
from itertools import pairwise

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.pauses import HeldBy
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import Kind, Lane
from tests.integration.ledger.examples import MINUTE, a_request, accept_order
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness
from tests.integration.ledger.limit_examples import TINY, accept_some, claim, count_claimed, set_rates, slots


def test_carrier_without_rates_gives_no_rate_slots(harness: LedgerHarness) -> None:
    """All due work is claimed, and no claim waits for another."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 30)
        claims = await claim(ledger)
        assert claims is not None
        assert [(one.rate_slot_at, one.limit_group) for one in claims.claims] == [(None, "ORDER")] * 30
        assert not claims.recovering

    harness.run(work)


def test_carrier_without_limit_groups_is_not_limited(harness: LedgerHarness) -> None:
    """Its lanes are open, and a claim needs nothing else."""

    async def work(ledger: Ledger) -> None:
        await accept_some(ledger, 3)
        assert await count_claimed(ledger) == 3

    harness.run(work)


def test_claim_of_a_limited_lane_ignores_since(harness: LedgerHarness) -> None:
    """Work that the limit held back is older than work that was claimed, so `reached` says nothing."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=10)
        await accept_some(ledger, 3)
        await harness.advance(10 * MINUTE)
        now = await ledger.now()
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE)
        assert claims is not None
        assert len(claims.claims) == 3
        assert claims.reached is None

    harness.run(work)


def test_claim_takes_half_a_second_of_rate_slots_ahead(harness: LedgerHarness) -> None:
    """At ten a second that makes six orders. The rest stays unclaimed."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=10)
        await accept_some(ledger, 30)
        claims = await claim(ledger)
        assert claims is not None
        assert len(claims.claims) == 6
        if again := await claim(ledger):  # one more for each tenth of a second that has passed
            assert len(again.claims) <= (again.now - claims.now) / timedelta(seconds=0.1) + 1
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]  # it is due, and there will be room soon

    harness.run(work)


def test_no_two_claims_share_a_rate_slot(harness: LedgerHarness) -> None:
    """Twenty workers at once: all slots are one spacing apart, whichever worker took them."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=50)
        await accept_some(ledger, 200)
        rounds: list[Claims | None] = []
        for _ in range(5):
            rounds += await asyncio.gather(*(claim(ledger, 7) for _ in range(20)))
            await asyncio.sleep(0.1)
        taken = slots(*rounds)
        assert len(taken) >= 25
        gaps = [after - before for before, after in pairwise(taken)]
        assert min(gaps) >= timedelta(seconds=1 / 50) - TINY

    harness.run(work)


def test_rate_slots_that_passed_are_lost(harness: LedgerHarness) -> None:
    """A quiet hour is no credit: the next slot is now."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=10)
        await accept_some(ledger, 30)
        assert await count_claimed(ledger) == 6
        await harness.advance(60 * MINUTE)
        claims = await claim(ledger)
        assert claims is not None
        assert len(claims.claims) == 6
        assert min(slots(claims)) >= claims.now

    harness.run(work)


def test_further_requests_of_a_conversation_take_later_slots(harness: LedgerHarness) -> None:
    """They are never refused, only later. The next claim continues behind them."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=10)
        await accept_some(ledger, 30)
        first = await claim(ledger, 2)
        more = [await ledger.limits.take_rate_slot(BANDWIDTH, "ORDER") for _ in range(2)]
        second = await claim(ledger, 1)
        taken = [*slots(first), *(slot.at for slot in more if slot), *slots(second)]
        assert taken == sorted(taken)
        assert len(taken) == 5
        assert taken[4] - taken[0] >= timedelta(seconds=0.4) - TINY
        assert await ledger.limits.take_rate_slot(BANDWIDTH, "HISTORY") is None

    harness.run(work)


def test_used_up_limit_holds_back_no_other_group(harness: LedgerHarness) -> None:
    """A hundred purchases wait; removals are in another limit group, and are claimed."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=0.1)
        await accept_some(ledger, 100)
        await accept_some(ledger, 5, Kind.REMOVE_NUMBERS)
        claims = await claim(ledger)
        assert claims is not None
        kinds = [one.order.request.kind for one in claims.claims]
        assert (kinds.count(Kind.NEW_NUMBERS), kinds.count(Kind.REMOVE_NUMBERS)) == (1, 5)

    harness.run(work)


def test_changed_rate_is_in_force_at_once(harness: LedgerHarness) -> None:
    """The worker that was started last sets it. A group that the carrier paused stays paused."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=1)
        await accept_some(ledger, 30)
        assert await count_claimed(ledger) == 2
        await ledger.limits.pause(BANDWIDTH, "DISCONNECT", until=await ledger.now() + MINUTE, why="HTTP 429")
        await set_rates(ledger)
        assert await count_claimed(ledger) == 28
        _, (hold,) = await ledger.pauses.holds()
        assert (hold.held_by, hold.limit_group) == (HeldBy.LIMIT, "DISCONNECT")

    harness.run(work)


def test_paused_limit_group_waits_and_no_other_group_does(harness: LedgerHarness) -> None:
    """429 for orders: removals are claimed, a shorter pause does not replace a longer one, the lane is not due."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        now = await ledger.now()
        for seconds in (60, 30):
            until = now + timedelta(seconds=seconds)
            await ledger.limits.pause(BANDWIDTH, "ORDER", until=until, why="HTTP 429: too many requests")
        await accept_some(ledger, 3)
        assert await ledger.schedule.due_lanes() == []
        assert await claim(ledger) is None
        order = await accept_order(ledger, a_request("one more"))
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert [(hold.held_by, hold.until, hold.limit_group) for hold in work_item.holds] == [
            (HeldBy.LIMIT, now + MINUTE, "ORDER")
        ]
        await accept_some(ledger, 2, Kind.REMOVE_NUMBERS)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]
        assert await count_claimed(ledger) == 2
        await harness.advance(MINUTE)
        assert await count_claimed(ledger) == 4
        assert (await ledger.pauses.holds())[1] == []

    harness.run(work)
