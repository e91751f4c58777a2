"""A child's turn at the lanes, on a simulated clock: which lanes it runs, when, and how it ends."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from number_orders.fulfilment.lanes.run import LANE_RUN_S
from number_orders.fulfilment.lanes.runner import LaneAt, LaneRunner
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane
from number_orders.simulation.clock import VirtualLoop

BANDWIDTH, SWIFT = CarrierName("bandwidth"), CarrierName("swift")
SUBMIT, ASK, TELL = (BANDWIDTH, Lane.SUBMIT), (BANDWIDTH, Lane.ASK), (BANDWIDTH, Lane.TELL)
SWIFT_ASK = (SWIFT, Lane.ASK)

OneRun = Callable[[float], Awaitable[bool]]
"""What a lane's run does, given how long it may claim; returns whether more may be due."""


def now() -> float:
    return asyncio.get_running_loop().time()


async def once(_: float) -> bool:
    """Work for a moment, and find nothing more."""
    await asyncio.sleep(0.05)
    return False


async def busy(lasts_s: float) -> bool:
    """Find work all the time; the last answers come a moment after the end."""
    await asyncio.sleep(lasts_s + 0.02)
    return True


def slow(answer_s: float) -> OneRun:
    """Claim until the end, and then wait for answers that take so long."""

    async def run(lasts_s: float) -> bool:
        await asyncio.sleep(lasts_s + answer_s)
        return True

    return run


@dataclass
class World:
    """Lanes with what their runs do, and what the turn did."""

    lanes: Mapping[LaneAt, OneRun]
    due: Callable[[float], Iterable[LaneAt]] = lambda _: ()
    """The lanes that are due at a moment."""
    taken: set[LaneAt] = field(default_factory=set)
    without_files: set[LaneAt] = field(default_factory=set)
    """The lanes that another child works alone."""
    free_at: float = 0.0
    began: list[tuple[float, LaneAt]] = field(default_factory=list)
    held: list[LaneAt] = field(default_factory=list)
    rung: list[tuple[float, LaneAt]] = field(default_factory=list)
    most_at_once: int = 0
    looks: int = 0
    ended_at: float = 0.0

    async def run_lane(self, carrier: CarrierName, lane: Lane, lasts_s: float) -> bool:
        where = (carrier, lane)
        self.began.append((round(now(), 2), where))
        self.most_at_once = max(self.most_at_once, len(self.held))
        return await self.lanes[where](lasts_s)

    async def due_lanes(self) -> Sequence[LaneAt]:
        self.looks += 1
        return list(self.due(now()))

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        where = (carrier, lane)
        if where in self.without_files:
            raise OSError(errno.EMFILE, "Too many open files")
        assert where not in self.held, "a turn works a lane once at a time"
        if where in self.taken or now() < self.free_at:
            yield False
            return
        self.held.append(where)
        try:
            yield True
        finally:
            self.held.remove(where)

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        raise AssertionError("the lane run says so, not the turn")

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        raise AssertionError("the lane run says so, not the turn")

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Count nothing."""

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        raise AssertionError("the lane run says so, not the turn")

    def ring(self, lanes: Iterable[LaneAt]) -> None:
        self.rung += [(round(now(), 2), where) for where in lanes]

    def turn(
        self, called: LaneAt, *, serves: Callable[[CarrierName, Lane], bool] | None = lambda _carrier, _lane: True
    ) -> None:
        """Let a child take a turn that a wake-up for this lane begins."""

        async def turn() -> None:
            try:
                await LaneRunner(self.run_lane, self.due_lanes, serves, self, self).run(*called)
            finally:
                self.ended_at = now()
                assert self.held == [], "every slot is free again"

        simulate(turn())

    def lanes_begun(self) -> list[LaneAt]:
        return [where for _, where in self.began]


def simulate(work: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def test_two_lanes_run_at_once_and_a_third_that_falls_due_joins_them() -> None:
    """The lanes of every carrier, each within a quarter of a second."""
    world = World(
        lanes={SUBMIT: busy, ASK: busy, SWIFT_ASK: busy},
        due=lambda at: [SUBMIT, ASK] if at < 2.1 else [SUBMIT, ASK, SWIFT_ASK],
    )
    world.turn(SUBMIT)
    assert world.lanes_begun() == [SUBMIT, ASK, SWIFT_ASK]
    assert world.began[1][0] == pytest.approx(0.25, abs=0.02)
    assert 2.1 <= world.began[2][0] <= 2.4
    assert world.most_at_once == 3
    assert world.ended_at == pytest.approx(LANE_RUN_S, abs=0.1), "all claim until the end of the round"
    assert sorted(where for _, where in world.rung) == sorted([SUBMIT, ASK, SWIFT_ASK]), "what is left gets a wake-up"
    assert {at for at, _ in world.rung} == {round(world.ended_at, 2)}, "once this child's slots are free"


def test_turn_with_nothing_left_to_do_ends_at_once_after_a_last_look() -> None:
    """A lane that became due while the called one ran is not left to the next sweep."""
    world = World(lanes={SUBMIT: once, TELL: once}, due=lambda at: [TELL] if at < 0.08 else [])
    world.turn(SUBMIT)
    assert world.lanes_begun() == [SUBMIT, TELL]
    assert world.ended_at == pytest.approx(0.1, abs=0.02)
    assert world.rung == []
    assert world.looks == 2


def test_turn_that_serves_no_other_lane_looks_at_none() -> None:
    world = World(lanes={SUBMIT: busy}, due=lambda _: [ASK])
    world.turn(SUBMIT, serves=None)
    assert (world.lanes_begun(), world.looks) == ([SUBMIT], 0)


def test_lanes_of_other_workers_are_left_to_them() -> None:
    world = World(lanes={ASK: busy, SWIFT_ASK: busy}, due=lambda _: [SUBMIT, TELL, SWIFT_ASK])
    world.turn(ASK, serves=lambda _, lane: lane is Lane.ASK)
    assert world.lanes_begun() == [ASK, SWIFT_ASK]


def test_lane_without_a_free_slot_is_left_to_the_child_that_has_it() -> None:
    world = World(lanes={SUBMIT: busy}, due=lambda _: [ASK], taken={ASK})
    world.turn(SUBMIT)
    assert world.lanes_begun() == [SUBMIT]


def test_called_lane_is_tried_twice() -> None:
    """A child that is about to leave may have sent the wake-up; one that stays works the lane itself."""
    freed = World(lanes={SUBMIT: once}, free_at=0.04)
    freed.turn(SUBMIT)
    assert freed.lanes_begun() == [SUBMIT]
    taken = World(lanes={SUBMIT: once}, taken={SUBMIT})
    taken.turn(SUBMIT)
    assert (taken.lanes_begun(), taken.looks, taken.rung) == ([], 0, [])
    assert taken.ended_at == pytest.approx(0.05, abs=0.01)


def test_lane_that_has_more_after_one_batch_goes_on_at_once() -> None:
    """The lane `tell` delivers one batch in a run."""
    more = iter([True, True, False])

    async def batch(_: float) -> bool:
        await asyncio.sleep(0.01)
        return next(more)

    world = World(lanes={TELL: batch})
    world.turn(TELL)
    assert world.lanes_begun() == [TELL] * 3
    assert world.ended_at < 0.1
    assert world.rung == []


def test_slow_carrier_keeps_no_other_lane_waiting_and_the_turn_ends_with_its_answers() -> None:
    """The others get further rounds; the slow lane is another child's, if one is free, or the next turn's."""
    world = World(lanes={SWIFT_ASK: slow(28.0), SUBMIT: busy, ASK: busy}, due=lambda _: [SUBMIT, ASK, SWIFT_ASK])
    world.turn(SWIFT_ASK)
    rounds = [at for at, where in world.began if where == SUBMIT]
    assert len(rounds) == 7
    assert max(late - early for early, late in pairwise(rounds)) < LANE_RUN_S + 0.5
    assert world.lanes_begun().count(SWIFT_ASK) == 1
    assert 33 <= world.ended_at <= 33 + LANE_RUN_S + 1
    assert (33.0, SWIFT_ASK) in [(round(at, 0), where) for at, where in world.rung]


def test_turn_is_bounded_however_many_carriers_are_slow() -> None:
    """One becomes slow after the other: no round begins after a minute, and the last answers come within another."""
    carriers = [(CarrierName(f"carrier{number}"), Lane.ASK) for number in range(20)]
    world = World(
        lanes=dict.fromkeys(carriers, slow(30.0)),
        due=lambda at: carriers[: 1 + int(at // 10)],
    )
    world.turn(carriers[0])
    assert world.began[-1][0] < 60 + LANE_RUN_S + 1
    assert world.ended_at < 60 + LANE_RUN_S + 30 + LANE_RUN_S + 1
    assert len(set(world.lanes_begun())) == len(world.began), "none was begun twice"


def test_lane_that_breaks_stops_no_other_and_is_not_begun_again() -> None:
    """The turn raises it at its end, so that the task fails and says why; a second one is logged."""

    async def broken(_: float) -> bool:
        await asyncio.sleep(0.5)
        raise ZeroDivisionError("a bug")

    world = World(
        lanes={SUBMIT: broken, SWIFT_ASK: broken, ASK: busy, TELL: once},
        due=lambda at: [SUBMIT, ASK, SWIFT_ASK] if at < 1.5 else [SUBMIT, ASK, TELL],
    )
    with capture_logs() as logged, pytest.raises(ZeroDivisionError):
        world.turn(SUBMIT)
    assert world.lanes_begun()[:3] == [SUBMIT, ASK, SWIFT_ASK]
    assert world.lanes_begun().count(SUBMIT) == 1
    assert TELL in world.lanes_begun(), "the turn looks on"
    assert world.ended_at == pytest.approx(LANE_RUN_S, abs=0.1)
    assert ASK in [where for _, where in world.rung]
    assert [(entry["event"], entry["carrier"]) for entry in logged] == [("lane_run_broke", "swift")]


@pytest.mark.parametrize("where", ["in a run", "in a look"])
def test_turn_begins_nothing_more_while_the_ledger_is_away(where: str) -> None:
    """Runs under way come to their end, with their answers; the sweep rings when the ledger is back."""

    async def away(_: float) -> bool:
        await asyncio.sleep(0.3)
        raise LedgerUnavailable("gone")

    def due(at: float) -> list[LaneAt]:
        if where == "in a look" and at > 0.3:
            raise LedgerUnavailable("gone")
        return [ASK] if at < 0.3 else [ASK, TELL]

    world = World(lanes={SUBMIT: away if where == "in a run" else busy, ASK: slow(2.0)}, due=due)
    with pytest.raises(LedgerUnavailable):
        world.turn(SUBMIT)
    assert world.lanes_begun() == [SUBMIT, ASK]
    assert world.ended_at == pytest.approx(LANE_RUN_S + 2.0, abs=0.1)
    assert ASK in [where for _, where in world.rung]


@pytest.mark.parametrize("where", ["in a look", "without a file for a slot"])
def test_conversations_under_way_come_to_their_answers_whatever_breaks_the_turn(where: str) -> None:
    """An answer that is cut off leaves its order in doubt for nothing."""
    answered: list[LaneAt] = []

    async def buys(lasts_s: float) -> bool:
        await asyncio.sleep(lasts_s + 2.0)
        answered.append(SUBMIT)
        return False

    def due(_: float) -> list[LaneAt]:
        if where == "in a look":
            raise ZeroDivisionError("a bug")
        return [ASK]

    world = World(lanes={SUBMIT: buys, ASK: once}, due=due)
    if where != "in a look":
        world.without_files = {ASK}
    with pytest.raises((ZeroDivisionError, OSError)):
        world.turn(SUBMIT)
    assert answered == [SUBMIT]


def test_child_that_is_ended_ends_its_runs() -> None:
    """Nothing runs on in the background, and every slot is free."""
    cancelled: list[LaneAt] = []

    def endless(where: LaneAt) -> OneRun:
        async def run(_: float) -> bool:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(where)
                raise
            return False

        return run

    world = World(lanes={SUBMIT: endless(SUBMIT), ASK: endless(ASK)}, due=lambda _: [ASK])

    async def end_it() -> None:
        turn = asyncio.create_task(
            LaneRunner(world.run_lane, world.due_lanes, lambda _carrier, _lane: True, world, world).run(*SUBMIT)
        )
        await asyncio.sleep(1.0)
        turn.cancel()
        await asyncio.wait({turn})
        await asyncio.sleep(0.01)

    simulate(end_it())
    assert cancelled == [SUBMIT, ASK]
    assert world.held == []
