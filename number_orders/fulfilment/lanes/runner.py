"""One pool child's turn at the lanes: every lane that is due, at once, on the child's event loop.

A wake-up names one lane. While that lane's run lasts, the child looks for others that are due and that no other child
of its worker works, and runs them beside it. So a worker needs one child for all lanes while that child keeps up, and
each lane's next work is claimed, begun and recorded by a loop that is awake anyway.

The turn has rounds of `LANE_RUN_S`. It ends with the first round that no run outlives. A run outlives its round if its
carrier takes long to answer: the other lanes get further rounds meanwhile, and the slow one no more in this turn. So a
slow carrier delays only itself, and the turn ends once its answers have come. Reasons and figures:
docs/adr/0025-a-child-serves-lanes.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import structlog

from number_orders.fulfilment.lanes.rate import loop_time
from number_orders.fulfilment.lanes.run import LANE_RUN_S
from number_orders.fulfilment.ports import Bell, Slots
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.25
"""How often a turn looks for other lanes that are due. A look is one statement of 0.2 ms."""

_SLOT_RETRIES_S: Final = (0.0, 0.05)
"""Pauses before each attempt to get a slot. A child that is about to leave may have sent this very wake-up."""

_GRACE_S: Final = 0.25
"""How long the answers that are still to come may take at the end of a round before the other lanes get another."""

_ROUNDS_S: Final = 60.0
"""No round begins after this. The last answers then come within the life of a request, well before `TASK_LIMIT_S`."""

LaneAt = tuple[CarrierName, Lane]
RunLane = Callable[[CarrierName, Lane, float], Coroutine[Any, Any, bool]]
"""Run one lane, which claims for so many seconds; return whether more may be due."""
DueLanes = Callable[[], Awaitable[Sequence[LaneAt]]]
Serves = Callable[[CarrierName, Lane], bool]
"""Whether a turn may serve this lane without a wake-up for it."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One lane's run under way."""

    where: LaneAt
    slot: ExitStack


class LaneRunner:
    """Serves due lanes for one turn."""

    def __init__(self, run_lane: RunLane, due_lanes: DueLanes, serves: Serves | None, slots: Slots, bell: Bell) -> None:
        """Prepare a turn. With `serves` None it serves the called lane alone."""
        self._run_lane = run_lane
        self._due_lanes = due_lanes
        self._serves = serves
        self._slots = slots
        self._bell = bell
        self._runs: dict[asyncio.Task[bool], _Run] = {}
        self._round_ends_at = 0.0
        self._looks_at = 0.0
        self._not_again: set[LaneAt] = set()
        """The lanes that have outlived a round or failed."""
        self._left: list[LaneAt] = []
        """The lanes whose runs have ended although more may be due."""
        self._away: LedgerUnavailable | None = None
        self._bug: BaseException | None = None

    async def run(self, carrier: CarrierName, lane: Lane) -> None:
        """Work on what is due on this lane and, until its round is over, on every other.

        Raises:
            LedgerUnavailable: The ledger was away for a run or a look. Every other run has come to its end.
            Exception: A run failed. So has every other run come to its end.
        """
        rounds_end_at = loop_time() + _ROUNDS_S
        try:
            await self._begin_called((carrier, lane))
            while self._runs and not self._away and loop_time() < rounds_end_at:
                await self._serve_round()
                if self._runs:
                    self._not_again.update(run.where for run in self._runs.values())
                    self._begin_round()
                    await self._look()
            while self._runs:
                await self._wait_for_runs(None, asyncio.FIRST_COMPLETED)
        finally:
            for task, run in self._runs.items():
                task.cancel()
                run.slot.close()
            self._ring_for_left()
        if error := self._bug or self._away:
            raise error

    async def _begin_called(self, where: LaneAt) -> None:
        """Begin a round with the lane that the wake-up has named, if it has a free slot."""
        for wait_s in _SLOT_RETRIES_S:
            await asyncio.sleep(wait_s)
            self._begin_round()
            if self._begin(where):
                return

    async def _serve_round(self) -> None:
        """Run lanes until the round is over and its runs had time to end, or until nothing is due."""
        while self._runs and not self._away and not self._is_round_over():
            await self._wait_for_runs(min(self._looks_at, self._round_ends_at) - loop_time(), asyncio.FIRST_COMPLETED)
            if self._looks_at <= loop_time() or not self._runs:
                await self._look()
        if self._runs:
            await self._wait_for_runs(_GRACE_S, asyncio.ALL_COMPLETED)

    def _begin_round(self) -> None:
        now = loop_time()
        self._round_ends_at, self._looks_at = now + LANE_RUN_S, now + LOOK_EVERY_S

    def _is_round_over(self) -> bool:
        return loop_time() >= self._round_ends_at

    async def _look(self) -> None:
        """Begin every lane that is due, that this turn may serve, and that has a free slot."""
        self._looks_at = loop_time() + LOOK_EVERY_S
        if self._serves is None or self._away or self._is_round_over():
            return
        try:
            due = await self._due_lanes()
        except LedgerUnavailable as away:
            self._away = away
            return
        except Exception as bug:  # noqa: BLE001  raised once the runs under way have ended with their answers
            self._bug = self._bug or bug
            self._looks_at = self._round_ends_at
            return
        known = self._not_again.union(run.where for run in self._runs.values())
        for where in due:
            if where not in known and self._serves(*where):
                self._begin(where)

    def _begin(self, where: LaneAt) -> bool:
        """Begin a run that claims until the round is over; return whether there was a slot for it."""
        slot = ExitStack()
        try:
            has_slot = slot.enter_context(self._slots.take(*where))
        except OSError as full:  # no file for the lock: the runs under way go on to their answers
            self._on_bug(where, full)
            return False
        if not has_slot:
            slot.close()
            return False
        task = asyncio.create_task(self._run_lane(*where, self._round_ends_at - loop_time()))
        self._runs[task] = _Run(where, slot)
        return True

    async def _wait_for_runs(self, timeout_s: float | None, until: str) -> None:
        """Wait for runs to end, and see to those that did.

        Raises:
            asyncio.CancelledError: A run was cancelled: this process is about to end.
        """
        timeout_s = None if timeout_s is None else max(timeout_s, 0.0)
        ended, _ = await asyncio.wait(self._runs, timeout=timeout_s, return_when=until)
        for task in [task for task in self._runs if task in ended]:
            run = self._runs.pop(task)
            run.slot.close()
            match task.exception():
                case None if task.result():
                    self._on_more(run.where)
                case None:
                    pass
                case LedgerUnavailable() as away:
                    self._away = away
                case bug:
                    self._on_bug(run.where, bug)

    def _on_bug(self, where: LaneAt, bug: BaseException) -> None:
        """Keep an error until the other runs have ended: it must not stop them."""
        self._not_again.add(where)
        if self._bug is not None:
            log.error("lane_run_broke", carrier=where[0], lane=where[1].value, exc_info=bug)  # only the first is raised
        self._bug = self._bug or bug

    def _on_more(self, where: LaneAt) -> None:
        """Go on with a lane whose run has ended although more may be due, now or in another turn."""
        if not self._is_round_over() and not self._away and where not in self._not_again and self._begin(where):
            return
        self._left.append(where)
        if where in self._not_again:
            self._bell.ring([where])  # another child may have a slot for it before this turn ends

    def _ring_for_left(self) -> None:
        for where in self._left:
            self._bell.reset(*where)  # a wake-up that was sent during this turn may have found no slot
        self._bell.ring(self._left)
