"""Rates, pauses and breakers: what a claim may take, however many claim at once. On both ledgers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from number_orders.carriers.contract import ONE_LIMIT_GROUP
from number_orders.fulfilment.lanes.rate import limit
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.limits import Limit
from number_orders.ledger.pauses import HeldBy
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName, Criteria, Kind, Lane, OrderRequest
from number_orders.simulation.clock import VirtualLoop, true_now
from number_orders.simulation.memory_ledger import MemoryDatabase
from number_orders.simulation.tables import Tables
from tests.integration.ledger.books import BANDWIDTH, Book
from tests.integration.ledger.test_ledger import MINUTE, a_new_order, a_request, accepted

DRAWS: Final = {
    (Lane.SUBMIT, Kind.NEW_NUMBERS): "ORDER",
    (Lane.SUBMIT, Kind.REMOVE_NUMBERS): "DISCONNECT",
    (Lane.ASK, Kind.NEW_NUMBERS): "HISTORY",
    (Lane.ASK, Kind.REMOVE_NUMBERS): "HISTORY",
}
GROUPS: Final = ("ORDER", "DISCONNECT", "HISTORY")
WARY: Final = BreakerPolicy(faults_max=3, hold_first=timedelta(seconds=10), hold_max=timedelta(seconds=30))
Change = Callable[[Ledger], Awaitable[None]]
TINY: Final = timedelta(milliseconds=1)


async def limited(ledger: Ledger, **rates: float) -> None:
    """Set these rates, requests a second exactly: without what is kept back for the way."""
    limits = [
        Limit(group, rates[group], timedelta(seconds=1 / rates[group])) if group in rates else Limit(group)
        for group in GROUPS
    ]
    await ledger.limits.set_limits(BANDWIDTH, limits, DRAWS)


async def some(ledger: Ledger, count: int, kind: Kind = Kind.NEW_NUMBERS) -> None:
    await ledger.intake.accept(
        [
            a_new_order(OrderRequest(f"{kind}-{i}", BANDWIDTH, kind, criteria=Criteria(npa="919"), quantity=1))
            for i in range(count)
        ]
    )


async def claim(ledger: Ledger, count: int = 100, lane: Lane = Lane.SUBMIT) -> Claims | None:
    return await ledger.schedule.claim(BANDWIDTH, lane, limit=count, lease=10 * MINUTE)


async def took(ledger: Ledger, count: int = 100, lane: Lane = Lane.SUBMIT) -> int:
    claims = await claim(ledger, count, lane)
    return len(claims.claims) if claims else 0


def places(*rounds: Claims | None) -> list[datetime]:
    return sorted(one.rate_slot_at for claims in rounds if claims for one in claims.claims if one.rate_slot_at)


def test_what_is_not_limited_takes_no_place(book: Book) -> None:
    """The first carrier set up has no rates: everything that is due is taken, and nobody waits for anybody."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 30)
        claims = await claim(ledger)
        assert claims is not None
        assert [(one.rate_slot_at, one.limit_group) for one in claims.claims] == [(None, "ORDER")] * 30
        assert not claims.recovering

    book.run(work)


def test_a_carrier_that_nobody_has_set_limits_for_has_none(book: Book) -> None:
    """Its lanes are open, and that is all that a claim needs."""

    async def work(ledger: Ledger) -> None:
        await some(ledger, 3)
        assert await took(ledger) == 3

    book.run(work)


def test_where_there_is_a_rate_no_claim_leaves_out_what_is_older(book: Book) -> None:
    """What was held back by its limit is older than what was taken, so how far a claim has got says nothing there."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=10)
        await some(ledger, 3)
        await book.passes(10 * MINUTE)
        now = await ledger.now()
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE)
        assert claims is not None
        assert len(claims.claims) == 3
        assert claims.reached is None

    book.run(work)


def test_a_claim_takes_what_may_be_sent_now_and_a_little_ahead(book: Book) -> None:
    """At ten a second that is half a second's worth: the rest waits, and is nobody's."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=10)
        await some(ledger, 30)
        claims = await claim(ledger)
        assert claims is not None
        assert len(claims.claims) == 6
        assert await claim(ledger) is None
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]  # it is due, and there will be room soon

    book.run(work)


def test_no_two_claims_share_a_place(book: Book) -> None:
    """Twenty workers at once, for a second: places lie a spacing apart, all of them, whoever took them."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=50)
        await some(ledger, 200)
        rounds: list[Claims | None] = []
        for _ in range(5):
            rounds += await asyncio.gather(*(claim(ledger, 7) for _ in range(20)))
            await asyncio.sleep(0.1)
        taken = places(*rounds)
        assert len(taken) >= 25
        gaps = [after - before for before, after in pairwise(taken)]
        assert min(gaps) >= timedelta(seconds=1 / 50) - TINY

    book.run(work)


def test_places_that_went_by_are_not_made_up_for(book: Book) -> None:
    """A quiet hour is no credit: what is claimed after it begins now."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=10)
        await some(ledger, 30)
        assert await took(ledger) == 6
        await book.passes(60 * MINUTE)
        claims = await claim(ledger)
        assert claims is not None
        assert len(claims.claims) == 6
        assert min(places(claims)) >= claims.now

    book.run(work)


def test_further_requests_of_a_conversation_take_places_behind(book: Book) -> None:
    """They are never refused, only later; the next claim goes on behind them."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=10)
        await some(ledger, 30)
        first = await claim(ledger, 2)
        more = [await ledger.limits.take_rate_slot(BANDWIDTH, "ORDER") for _ in range(2)]
        second = await claim(ledger, 1)
        taken = [*places(first), *(place.at for place in more if place), *places(second)]
        assert taken == sorted(taken)
        assert len(taken) == 5
        assert taken[4] - taken[0] >= timedelta(seconds=0.4) - TINY
        assert await ledger.limits.take_rate_slot(BANDWIDTH, "HISTORY") is None

    book.run(work)


def test_a_limit_that_is_used_up_holds_nothing_else(book: Book) -> None:
    """A hundred purchases wait in front; removals draw on another limit, and go."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=0.1)
        await some(ledger, 100)
        await some(ledger, 5, Kind.REMOVE_NUMBERS)
        claims = await claim(ledger)
        assert claims is not None
        kinds = [one.order.request.kind for one in claims.claims]
        assert (kinds.count(Kind.NEW_NUMBERS), kinds.count(Kind.REMOVE_NUMBERS)) == (1, 5)

    book.run(work)


def test_a_rate_that_is_changed_holds_from_then_on(book: Book) -> None:
    """A worker started with other settings: its word is the last, and what the carrier paused stays paused."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=1)
        await some(ledger, 30)
        assert await took(ledger) == 2
        await ledger.limits.pause(BANDWIDTH, "DISCONNECT", until=await ledger.now() + MINUTE, why="HTTP 429")
        await limited(ledger)
        assert await took(ledger) == 28
        _, (hold,) = await ledger.pauses.holds()
        assert (hold.held_by, hold.limit_group) == (HeldBy.LIMIT, "DISCONNECT")

    book.run(work)


class Listening(MemoryDatabase):
    """Tells which statements were needed."""

    def __init__(self) -> None:
        super().__init__(Tables(true_now))
        self.claims: list[str] = []

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        if statement.startswith("claim"):
            self.claims.append(statement)
        return await super()._execute(statement, params)


def test_what_is_not_limited_is_claimed_with_the_short_statement() -> None:
    """And what is limited with the long one, tried first or not; when that is over, with the short one again."""

    async def work() -> list[str]:
        listening = Listening()
        ledger = Ledger(listening)
        await some(ledger, 30)
        await limited(ledger)
        await took(ledger, 1)
        await limited(ledger, ORDER=1)
        await took(ledger, 1)
        await took(ledger, 1)
        await limited(ledger)
        await took(ledger, 1)
        await took(ledger, 1)
        return listening.claims

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        short, long = "claim_unlimited", "claim"
        assert runner.run(work()) == [short, short, long, long, long, short]


async def a_rate(ledger: Ledger) -> None:
    await limited(ledger, ORDER=0.1)


async def a_word_of_the_carriers(ledger: Ledger) -> None:
    await ledger.limits.pause(BANDWIDTH, "ORDER", until=await ledger.now() + MINUTE, why="HTTP 429")


async def a_person(ledger: Ledger) -> None:
    await ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by="ana", why="stock-taking")


async def a_breaker(ledger: Ledger) -> None:
    await break_down(ledger)


async def unlimited_again(ledger: Ledger) -> None:
    await limited(ledger)


async def resumed(ledger: Ledger) -> None:
    await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="ana", why=None)


async def only_time(ledger: Ledger) -> None:
    """Nobody does anything."""


@pytest.mark.parametrize(
    ("hold", "let_go", "meanwhile", "afterwards"),
    [
        (a_rate, unlimited_again, 1, 28),
        (a_word_of_the_carriers, only_time, 0, 29),
        (a_person, resumed, 0, 29),
        (a_breaker, only_time, 0, 1),
    ],
)
def test_whatever_holds_work_holds_from_the_next_claim_on(
    book: Book, hold: Change, let_go: Change, meanwhile: int, afterwards: int
) -> None:
    """Also of whoever claimed a moment ago, when nothing was limited; and when it is over, claims go on as before."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 30)
        assert await took(ledger, 1) == 1
        await hold(ledger)
        assert await took(ledger) == meanwhile
        await let_go(ledger)
        await book.passes(MINUTE)
        assert await took(ledger) == afterwards

    book.run(work)


def test_what_the_carrier_pauses_waits_for_its_word_and_nothing_else_does(book: Book) -> None:
    """429 for orders: removals go on; a shorter pause does not cut a longer one; the lane is not due meanwhile."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        now = await ledger.now()
        for seconds in (60, 30):
            until = now + timedelta(seconds=seconds)
            await ledger.limits.pause(BANDWIDTH, "ORDER", until=until, why="HTTP 429: too many requests")
        await some(ledger, 3)
        assert await ledger.schedule.due_lanes() == []
        assert await claim(ledger) is None
        order = await accepted(ledger, a_request("one more"))
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert [(hold.held_by, hold.until, hold.limit_group) for hold in work_item.holds] == [
            (HeldBy.LIMIT, now + MINUTE, "ORDER")
        ]
        await some(ledger, 2, Kind.REMOVE_NUMBERS)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]
        assert await took(ledger) == 2
        await book.passes(MINUTE)
        assert await took(ledger) == 4
        assert (await ledger.pauses.holds())[1] == []

    book.run(work)


def test_a_persons_pause_has_no_end_and_nobody_elses(book: Book) -> None:
    """Who paused it, why, and who let it go on; a carrier's limit that ends meanwhile ends nothing."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 3)
        lanes = [Lane.SUBMIT, Lane.ASK]
        paused = await ledger.pauses.pause(BANDWIDTH, lanes, by="ana", why="stock-taking")
        assert {pause.lane for pause in paused} == set(lanes)
        assert await ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by="ben", why="me too") == []
        soon = await ledger.now() + TINY
        await ledger.limits.pause(BANDWIDTH, "ORDER", until=soon, why="HTTP 429")
        await asyncio.sleep(0.01)
        assert (await claim(ledger), await ledger.schedule.due_lanes()) == (None, [])
        order = await accepted(ledger, a_request("one more"))
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert [(hold.held_by, hold.who, hold.why, hold.until) for hold in work_item.holds] == [
            (HeldBy.PERSON, "ana", "stock-taking", None)
        ]
        _, holds = await ledger.pauses.holds()
        assert [(hold.lane, hold.who) for hold in holds] == [(Lane.ASK, "ana"), (Lane.SUBMIT, "ana")]
        (resumed,) = await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="eve", why="done")
        assert (resumed.paused_by, resumed.resumed_by, resumed.resumed_why) == ("ana", "eve", "done")
        assert await took(ledger) == 4
        assert await ledger.pauses.resume(BANDWIDTH, [Lane.SUBMIT], by="eve", why=None) == []

    book.run(work)


async def break_down(ledger: Ledger) -> None:
    """Let the carrier be out of reach often enough."""
    for _ in range(WARY.faults_max):
        await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=WARY)


def test_faults_in_a_row_open_the_breaker_and_an_answer_between_begins_anew(book: Book) -> None:
    """Two faults, an answer, two faults: nothing. A third: the carrier is left alone, but producers are told."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 5)
        for held in (None, None):
            assert (
                await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=WARY) == held
            )
        claims = await claim(ledger, 1)
        assert claims is not None
        assert claims.recovering
        await ledger.breakers.reset(BANDWIDTH, [claims.token])
        for _ in range(2):
            await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=WARY)
        assert await took(ledger, 1) == 1
        until = await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="no route", breaker_policy=WARY)
        assert until is not None
        assert (await claim(ledger), await ledger.schedule.due_lanes()) == (None, [])
        _, (hold,) = await ledger.pauses.holds()
        assert (hold.held_by, hold.why, hold.until) == (HeldBy.BREAKER, "no route", until)

    book.run(work)


def test_of_many_workers_one_sends_the_probe(book: Book) -> None:
    """On both lanes at once, twenty claims: one order is taken, and no other until there is word of it."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 30)
        await break_down(ledger)
        await book.passes(MINUTE)
        rounds = await asyncio.gather(*(took(ledger, 5, lane) for lane in (Lane.SUBMIT, Lane.ASK) for _ in range(20)))
        assert sum(rounds) == 1
        assert await claim(ledger) is None
        assert await ledger.schedule.due_lanes() == []
        await book.passes(2 * MINUTE)
        assert await took(ledger) == 1  # the first one's worker is dead

    book.run(work)


def test_a_probe_is_not_spent_on_a_lane_without_work(book: Book) -> None:
    """Nothing is due to be asked; the probe is there for the lane that has something."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 3)
        await break_down(ledger)
        await book.passes(MINUTE)
        assert await took(ledger, lane=Lane.ASK) == 0
        assert await took(ledger) == 1

    book.run(work)


def test_only_the_probes_word_counts_while_the_carrier_is_left_alone(book: Book) -> None:
    """Answers to what had left before it was closed open nothing, and their faults hold nothing for longer."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 10)
        early = await claim(ledger, 1)
        assert early is not None
        await break_down(ledger)
        await ledger.breakers.reset(BANDWIDTH, [early.token])
        assert (
            await ledger.breakers.count_faults(BANDWIDTH, [early.token], faults=9, why="late", breaker_policy=WARY)
            is None
        )
        assert await claim(ledger) is None
        await book.passes(MINUTE)
        probe = await claim(ledger)
        assert probe is not None
        await ledger.breakers.reset(BANDWIDTH, [early.token])
        assert await claim(ledger) is None
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        assert (await ledger.pauses.holds())[1] == []
        assert await took(ledger) > 1

    book.run(work)


def test_a_probe_that_is_returned_is_the_next_ones(book: Book) -> None:
    """Its order moved on meanwhile: somebody else tries at once. Only who has the probe can return it."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 3)
        early = await claim(ledger, 1)
        await break_down(ledger)
        await book.passes(MINUTE)
        probe = await claim(ledger)
        assert early is not None
        assert probe is not None
        await ledger.breakers.return_probe(early, BANDWIDTH)
        assert await claim(ledger) is None
        await ledger.breakers.return_probe(probe, BANDWIDTH)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.SUBMIT)]
        assert await took(ledger) == 1

    book.run(work)


def test_faults_just_after_it_came_back_count_as_before(book: Book) -> None:
    """It is held again after as many as ever, for one step longer: not for a step with each of them."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, 5)
        await break_down(ledger)
        await book.passes(MINUTE)
        probe = await claim(ledger)
        assert probe is not None
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        await break_down(ledger)
        _, (hold,) = await ledger.pauses.holds()
        assert hold.until is not None
        assert timedelta(seconds=11) < hold.until - await ledger.now() <= timedelta(seconds=20)

    book.run(work)


def test_lanes_are_known_by_carrier(book: Book) -> None:
    """Also to whoever pauses them: a lane that nobody opened cannot be paused."""

    async def work(ledger: Ledger) -> None:
        assert await ledger.schedule.carriers() == {BANDWIDTH: (Lane.ASK, Lane.SUBMIT, Lane.TELL)}
        assert await ledger.pauses.pause(CarrierName("cm"), [Lane.SUBMIT], by="ana", why="nobody is there") == []

    book.run(work)


@pytest.mark.parametrize("failed_probes", [0, 1, 2, 40])
def test_it_is_left_alone_for_longer_each_time_up_to_a_ceiling(book: Book, failed_probes: int) -> None:
    """Ten seconds, twenty, then thirty for ever."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger)
        await some(ledger, failed_probes + 1)
        await break_down(ledger)
        for _ in range(failed_probes):
            await book.passes(MINUTE)
            probe = await claim(ledger)
            assert probe is not None
            await ledger.breakers.count_faults(BANDWIDTH, [probe.token], faults=1, why="refused", breaker_policy=WARY)
        _, (hold,) = await ledger.pauses.holds()
        assert hold.until is not None
        left = hold.until - await ledger.now()
        expected = min(10 * 2**failed_probes, 30)
        assert timedelta(seconds=expected - 9) < left <= timedelta(seconds=expected)

    book.run(work)


def test_a_carrier_that_is_back_is_not_run_over(book: Book) -> None:
    """A few at first, more each second, then all: and what is limited stays within its limit."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, DISCONNECT=2)
        await some(ledger, 300)
        await some(ledger, 20, Kind.REMOVE_NUMBERS)
        await break_down(ledger)
        await book.passes(MINUTE)
        probe = await claim(ledger)
        assert probe is not None
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        first = await claim(ledger)
        assert first is not None
        orders = [one for one in first.claims if one.limit_group == "ORDER"]
        assert 1 <= len(orders) <= 6
        further = [await ledger.limits.take_rate_slot(BANDWIDTH, group) for group in ("ORDER", "HISTORY")]
        behind, alone = (place and place.at for place in further)
        assert behind
        assert behind >= max(place for one in orders if (place := one.rate_slot_at)) + timedelta(seconds=0.1)
        assert alone, "a conversation's later requests keep to the same pace"
        await book.passes(timedelta(seconds=8))
        growing = await claim(ledger)
        assert growing is not None
        assert 6 < sum(one.limit_group == "ORDER" for one in growing.claims) < 60
        assert sum(one.limit_group == "DISCONNECT" for one in growing.claims) <= 3
        await book.passes(timedelta(seconds=12))
        whole = await claim(ledger, 100)
        assert whole is not None
        assert {one.rate_slot_at for one in whole.claims if one.limit_group == "ORDER"} == {None}
        assert await ledger.limits.take_rate_slot(BANDWIDTH, "ORDER") is None

    book.run(work)


def test_tellings_go_on_whatever_becomes_of_the_carrier(book: Book) -> None:
    """Producers are told of an end although the carrier that brought it is away."""

    async def work(ledger: Ledger) -> None:
        await limited(ledger, ORDER=1)
        new = a_new_order(a_request("told"))
        await ledger.intake.accept(
            [
                type(new)(
                    new.order_id, new.producer, new.request, new.fingerprint, None, {"state": "ACCEPTED"}, ("task",)
                )
            ]
        )
        await break_down(ledger)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.TELL)]
        assert await took(ledger, lane=Lane.TELL) == 1

    book.run(work)


def test_a_limit_keeps_something_back_for_the_way(book: Book) -> None:
    """Requests may leave a moment after their places; so places lie a little further apart than the rate says."""
    kept = limit(ONE_LIMIT_GROUP, 100.0).spacing
    assert kept is not None
    assert timedelta(milliseconds=10) < kept < timedelta(milliseconds=11)
