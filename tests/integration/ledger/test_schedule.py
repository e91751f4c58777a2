"""Claims are exclusive until their lease ends, and what is given back is due when it should be."""

import asyncio
from collections.abc import Mapping
from typing import Any

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.schedule import Later
from number_orders.orders.model import Lane
from number_orders.simulation.clock import VirtualLoop, true_now
from number_orders.simulation.memory_ledger import MemoryDatabase
from number_orders.simulation.tables import Tables
from tests.integration.ledger.examples import MINUTE, a_new_order, a_request, accept_order, claim_due
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness
from tests.integration.ledger.limit_examples import accept_some, count_claimed, set_rates


class ClaimRecorder(MemoryDatabase):
    """Notes which claim statements were run."""

    def __init__(self) -> None:
        super().__init__(Tables(true_now))
        self.claims: list[str] = []

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        if statement.startswith("claim"):
            self.claims.append(statement)
        return await super()._execute(statement, params)


def test_each_work_item_goes_to_one_claim(harness: LedgerHarness) -> None:
    """Twenty claims at once: every work item goes to exactly one of them."""

    async def work(ledger: Ledger) -> None:
        await ledger.intake.accept([a_new_order(a_request(f"k{i}")) for i in range(100)])
        rounds = await asyncio.gather(
            *(ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=7, lease=MINUTE) for _ in range(20))
        )
        ids = [claim.order.order_id for claims in rounds if claims for claim in claims.claims]
        assert len(ids) == len(set(ids)) == 100
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=7, lease=MINUTE) is None

    harness.run(work)


def test_work_of_a_dead_worker_is_claimed_again_when_its_lease_ends(harness: LedgerHarness) -> None:
    """The next claim gets the order, and the token of the first claim changes nothing any more."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        dead = await claim_due(ledger, lease=MINUTE)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None
        await harness.advance(MINUTE)
        alive = await claim_due(ledger)
        assert [claim.attempts for claim in alive.claims] == [2]
        await ledger.schedule.release(dead, [order.order_id])  # too late: nothing happens
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None

    harness.run(work)


def test_claim_leaves_out_work_that_fell_due_before_since(harness: LedgerHarness) -> None:
    """The next claim without `since` finds the work that was left out."""

    async def work(ledger: Ledger) -> None:
        old = await accept_order(ledger, a_request("old"))
        await harness.advance(10 * MINUTE)
        new = await accept_order(ledger, a_request("new"))
        now = await ledger.now()
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE)
        assert claims is not None
        assert [claim.order.order_id for claim in claims.claims] == [new.order_id]
        assert claims.reached is not None
        assert now - MINUTE < claims.reached <= now
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE) is None
        assert [claim.order.order_id for claim in (await claim_due(ledger)).claims] == [old.order_id]

    harness.run(work)


def test_released_work_is_due_at_once_and_postponed_work_later(harness: LedgerHarness) -> None:
    """Released work counts as never claimed; the attempt of postponed work counts."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        claims = await claim_due(ledger)
        await ledger.schedule.release(claims, [order.order_id])
        again = await claim_due(ledger)
        assert [claim.attempts for claim in again.claims] == [1]
        await ledger.schedule.postpone(again, [Later(order.order_id, again.now + MINUTE, "wait a little")])
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None
        story = await ledger.history.story(order.order_id)
        assert [(work_item.lane, work_item.reason, work_item.in_hand) for work_item in story.work_items] == [
            (Lane.SUBMIT, "wait a little", False)
        ]
        await harness.advance(MINUTE)
        assert [claim.attempts for claim in (await claim_due(ledger)).claims] == [2]

    harness.run(work)


def test_orders_that_wait_for_their_time_are_listed_page_by_page(harness: LedgerHarness) -> None:
    """Without due work and claimed work."""

    async def work(ledger: Ledger) -> None:
        for i in range(4):
            await accept_order(ledger, a_request(f"k{i}"))
        claims = await claim_due(ledger, limit=3)
        ids = sorted(claim.order.order_id for claim in claims.claims)
        await ledger.schedule.postpone(claims, [Later(order_id, claims.now + MINUTE, "later") for order_id in ids[:2]])

        assert await ledger.schedule.waiting_at(BANDWIDTH, Lane.SUBMIT, after=None, limit=10) == ids[:2]
        assert await ledger.schedule.waiting_at(BANDWIDTH, None, after=ids[0], limit=10) == ids[1:2]
        assert await ledger.schedule.waiting_at(BANDWIDTH, None, after=None, limit=1) == ids[:1]
        assert await ledger.schedule.waiting_at(BANDWIDTH, Lane.TELL, after=None, limit=10) == []

    harness.run(work)


def test_unlimited_lane_is_claimed_with_the_cheap_statement() -> None:
    """A limited lane with the other one. When the limit is gone, with the cheap one again."""

    async def work() -> list[str]:
        recorder = ClaimRecorder()
        ledger = Ledger(recorder)
        await accept_some(ledger, 30)
        await set_rates(ledger)
        await count_claimed(ledger, 1)
        await set_rates(ledger, ORDER=1)
        await count_claimed(ledger, 1)
        await count_claimed(ledger, 1)
        await set_rates(ledger)
        await count_claimed(ledger, 1)
        await count_claimed(ledger, 1)
        return recorder.claims

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        cheap, full = "claim_unlimited", "claim"
        assert runner.run(work()) == [cheap, cheap, full, full, full, cheap]
