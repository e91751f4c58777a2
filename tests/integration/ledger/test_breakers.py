"""A carrier that is out of reach is left alone, and tried with one order at a time."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.pauses import HeldBy
from number_orders.orders.model import Kind, Lane
from tests.integration.ledger.examples import MINUTE, a_new_order, a_request
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness
from tests.integration.ledger.limit_examples import (
    HOLD_OVER,
    OPENS_AFTER_THREE,
    TINY,
    accept_some,
    claim,
    count_claimed,
    open_breaker,
    set_rates,
)


def test_faults_in_a_row_open_the_breaker_and_an_answer_resets_them(harness: LedgerHarness) -> None:
    """Two faults, an answer, two faults: closed. One more: open, and nothing is claimed."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 5)
        for held in (None, None):
            assert (
                await ledger.breakers.count_faults(
                    BANDWIDTH, [], faults=1, why="refused", breaker_policy=OPENS_AFTER_THREE
                )
                == held
            )
        claims = await claim(ledger, 1)
        assert claims is not None
        assert claims.recovering
        await ledger.breakers.reset(BANDWIDTH, [claims.token])
        for _ in range(2):
            await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=OPENS_AFTER_THREE)
        assert await count_claimed(ledger, 1) == 1
        until = await ledger.breakers.count_faults(
            BANDWIDTH, [], faults=1, why="no route", breaker_policy=OPENS_AFTER_THREE
        )
        assert until is not None
        assert (await claim(ledger), await ledger.schedule.due_lanes()) == (None, [])
        _, (hold,) = await ledger.pauses.holds()
        assert (hold.held_by, hold.why, hold.until) == (HeldBy.BREAKER, "no route", until)

    harness.run(work)


def test_one_of_many_workers_takes_the_probe(harness: LedgerHarness) -> None:
    """Twenty claims on each of two lanes: one order is taken, and no other before the probe has a result."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 30)
        await open_breaker(ledger)
        await harness.advance(HOLD_OVER)
        rounds = await asyncio.gather(
            *(count_claimed(ledger, 5, lane) for lane in (Lane.SUBMIT, Lane.ASK) for _ in range(20))
        )
        assert sum(rounds) == 1
        assert await claim(ledger) is None
        assert await ledger.schedule.due_lanes() == []
        await harness.advance(2 * MINUTE)
        assert await count_claimed(ledger) == 1  # the first one's worker is dead

    harness.run(work)


def test_probe_is_not_taken_on_a_lane_without_work(harness: LedgerHarness) -> None:
    """Nothing is due to be asked: the probe is left for the lane that has work."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 3)
        await open_breaker(ledger)
        await harness.advance(HOLD_OVER)
        assert await count_claimed(ledger, lane=Lane.ASK) == 0
        assert await count_claimed(ledger) == 1

    harness.run(work)


def test_only_the_probe_counts_while_the_breaker_is_open(harness: LedgerHarness) -> None:
    """Earlier requests neither close the breaker with their answers nor extend it with their faults."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 10)
        early = await claim(ledger, 1)
        assert early is not None
        await open_breaker(ledger)
        await ledger.breakers.reset(BANDWIDTH, [early.token])
        assert (
            await ledger.breakers.count_faults(
                BANDWIDTH, [early.token], faults=9, why="late", breaker_policy=OPENS_AFTER_THREE
            )
            is None
        )
        assert await claim(ledger) is None
        await harness.advance(HOLD_OVER)
        probe = await claim(ledger)
        assert probe is not None
        await ledger.breakers.reset(BANDWIDTH, [early.token])
        assert await claim(ledger) is None
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        assert (await ledger.pauses.holds())[1] == []
        assert await count_claimed(ledger) > 1

    harness.run(work)


def test_returned_probe_is_taken_by_the_next_claim(harness: LedgerHarness) -> None:
    """Its order had moved meanwhile. Only the claim that has the probe can return it."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 3)
        early = await claim(ledger, 1)
        await open_breaker(ledger)
        await harness.advance(HOLD_OVER)
        probe = await claim(ledger)
        assert early is not None
        assert probe is not None
        await ledger.breakers.return_probe(early, BANDWIDTH)
        assert await claim(ledger) is None
        await ledger.breakers.return_probe(probe, BANDWIDTH)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]
        assert await count_claimed(ledger) == 1

    harness.run(work)


def test_breaker_that_has_closed_lately_opens_for_one_step_longer(harness: LedgerHarness) -> None:
    """It takes as many faults as ever, and one opening is one step: not each fault."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, 5)
        await open_breaker(ledger)
        await harness.advance(HOLD_OVER)
        probe = await claim(ledger)
        assert probe is not None
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        await open_breaker(ledger)
        _, (hold,) = await ledger.pauses.holds()
        assert hold.until is not None
        assert timedelta(minutes=3) < hold.until - await ledger.now() <= timedelta(minutes=4)

    harness.run(work)


@pytest.mark.parametrize("failed_probes", [0, 1, 2, 40])
def test_breaker_opens_for_twice_as_long_each_time_up_to_a_maximum(harness: LedgerHarness, failed_probes: int) -> None:
    """Two minutes, four, then always six."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger)
        await accept_some(ledger, failed_probes + 1)
        await open_breaker(ledger)
        for _ in range(failed_probes):
            await harness.advance(HOLD_OVER)
            probe = await claim(ledger)
            assert probe is not None
            await ledger.breakers.count_faults(
                BANDWIDTH, [probe.token], faults=1, why="refused", breaker_policy=OPENS_AFTER_THREE
            )
        _, (hold,) = await ledger.pauses.holds()
        assert hold.until is not None
        left = hold.until - await ledger.now()
        expected = min(2 * 2**failed_probes, 6)
        assert timedelta(minutes=expected - 1) < left <= timedelta(minutes=expected)

    harness.run(work)


def test_carrier_that_is_back_gets_more_requests_step_by_step(harness: LedgerHarness) -> None:
    """A few at first, twice as many every two seconds, then all. A group with a rate stays within it."""

    def spacing(age: timedelta) -> timedelta:
        """Return the time between two requests when the carrier has been back for so long."""
        return timedelta(seconds=0.25 * 0.5 ** (age.total_seconds() / 2))

    def most(age: timedelta) -> int:
        """Return how many requests one claim takes ahead: those of half a second, and five more at first."""
        return 2 + max(5, int(timedelta(seconds=0.5) / spacing(age)))

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, DISCONNECT=2)
        await accept_some(ledger, 300)
        await accept_some(ledger, 20, Kind.REMOVE_NUMBERS)
        await open_breaker(ledger)
        await harness.advance(HOLD_OVER)
        probe = await claim(ledger)
        assert probe is not None
        back_at = await ledger.now()
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        first = await claim(ledger)
        assert first is not None
        orders = [one for one in first.claims if one.limit_group == "ORDER"]
        assert 1 <= len(orders) <= most(first.now - back_at)
        further = [await ledger.limits.take_rate_slot(BANDWIDTH, group) for group in ("ORDER", "HISTORY")]
        behind, alone = (slot and slot.at for slot in further)
        assert behind
        last = max(slot for one in orders if (slot := one.rate_slot_at))
        assert behind >= last + spacing(await ledger.now() - back_at) - TINY
        assert alone, "a conversation's later requests keep to the same pace"
        await harness.advance(timedelta(seconds=8))
        growing = await claim(ledger)
        assert growing is not None
        age = growing.now - (back_at - timedelta(seconds=8))
        assert 6 < sum(one.limit_group == "ORDER" for one in growing.claims) <= most(age)
        assert sum(one.limit_group == "DISCONNECT" for one in growing.claims) <= 3
        await harness.advance(timedelta(seconds=12))
        whole = await claim(ledger, 100)
        assert whole is not None
        assert {one.rate_slot_at for one in whole.claims if one.limit_group == "ORDER"} == {None}
        assert await ledger.limits.take_rate_slot(BANDWIDTH, "ORDER") is None

    harness.run(work)


def test_messages_are_delivered_while_the_breaker_is_open(harness: LedgerHarness) -> None:
    """Producers hear of an end although the carrier is away."""

    async def work(ledger: Ledger) -> None:
        await set_rates(ledger, ORDER=1)
        new = a_new_order(a_request("told"))
        await ledger.intake.accept([replace(new, notification={"state": "ACCEPTED"}, channels=("task",))])
        await open_breaker(ledger)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.TELL)]
        assert await count_claimed(ledger, lane=Lane.TELL) == 1

    harness.run(work)
