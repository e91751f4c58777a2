"""Decides the whole timeline of an order when the order is accepted.

A timeline is a list of stages with the moments at which they begin. Reading an order later only compares these moments
with the clock, so the carrier's true end is known to the microsecond, even if nobody reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from number_orders.sandbox import fates
from number_orders.sandbox.bandwidth.order_requests import Selection
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, error
from number_orders.sandbox.fates import Fate
from number_orders.sandbox.inventory import Inventory

RECEIVED: Final = "RECEIVED"
BACKORDERED: Final = "BACKORDERED"
COMPLETE: Final = "COMPLETE"
PARTIAL: Final = "PARTIAL"
FAILED: Final = "FAILED"
FINAL: Final = {COMPLETE, PARTIAL, FAILED}


@dataclass(frozen=True, slots=True)
class Stage:
    """What the carrier says of an order from `at` on."""

    at: datetime
    status: str
    bought: tuple[str, ...] = ()
    errors: tuple[CarrierError, ...] = ()
    listed: tuple[str, ...] | None = None
    """The numbers that lists show; None: those that are bought."""
    provisional: bool = False
    """The carrier says so for a while, and then takes it back."""

    @property
    def is_final(self) -> bool:
        """Return whether the order has ended."""
        return self.status in FINAL and not self.provisional

    @property
    def shown(self) -> tuple[str, ...]:
        """Return the numbers that lists show as bought."""
        return self.bought if self.listed is None else self.listed


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the phases of one order take, and the status of a `strange_word` order."""

    processing: timedelta
    backorder: timedelta
    strange: timedelta
    strange_word: str
    backorders_fill: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stages to come, and every number that is set aside for them."""

    stages: tuple[Stage, ...]
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _StockMatch:
    """What the stock has for a selection: the numbers found, and the errors of named numbers it does not have."""

    found: tuple[str, ...]
    errors: tuple[CarrierError, ...] = ()


InProcess = Callable[[str], bool]


class OutcomePlanner:
    """Plans the timeline of one order and takes its numbers out of stock."""

    def __init__(self, inventory: Inventory, in_process: InProcess) -> None:
        self._inventory = inventory
        self._in_process = in_process

    def plan(self, selection: Selection, durations: Durations, now: datetime) -> tuple[Fate, Timeline]:
        """Decide the timeline of `selection` from its fate and from the stock, and take its numbers."""
        match = self._match_stock(selection)
        fate = self._fate(selection, match)
        received = Stage(now, RECEIVED)
        if fate is Fate.NEVER_ENDS:
            self._inventory.take(match.found)
            return fate, Timeline((received,), match.found)
        match = _with_forced_shortage(match, selection, fate)
        short = len(match.found) < selection.quantity
        if _is_backordered(selection, fate, short=short):
            stages_and_numbers = self._backorder(selection, match, durations, now, fate)
        else:
            stages_and_numbers = self._end(selection, match, now + durations.processing)
        stages, taken = stages_and_numbers
        if fate is Fate.STRANGE_WORD:
            stages = _with_strange_status(stages, durations)
        if fate is Fate.WITH_ERRORS:
            stages = tuple(map(_with_error, stages))
        return fate, Timeline((received, *stages), taken)

    def _match_stock(self, selection: Selection) -> _StockMatch:
        if selection.criteria is not None:
            return _StockMatch(self._inventory.find(selection.criteria, selection.quantity))
        errors = tuple(filter(None, map(self._error_for, selection.numbers)))
        unavailable = {reason.e164 for reason in errors}
        return _StockMatch(tuple(n for n in selection.numbers if n not in unavailable), errors)

    def _error_for(self, e164: str) -> CarrierError | None:
        if fates.of_number(e164) is Fate.FAILED:
            return error(5005, e164=e164)
        if self._inventory.is_available(e164):
            return None
        return error(5218 if self._in_process(e164) else 5005, e164=e164)

    def _fate(self, selection: Selection, match: _StockMatch) -> Fate:
        if selection.criteria is None:
            return fates.of_numbers(selection.numbers)
        if selection.criteria.pool == "local" and selection.criteria.starts_with:
            return fates.of_area_code(selection.criteria.starts_with[:3])
        return fates.of_area_code(match.found[0][2:5]) if match.found else Fate.ORDINARY

    def _end(self, selection: Selection, match: _StockMatch, at: datetime) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """End an order that is not backordered: all numbers, some, or none."""
        short = len(match.found) < selection.quantity
        if not match.found or (short and not selection.partial_allowed):
            return (Stage(at, FAILED, (), match.errors or (error(5018),)),), ()
        self._inventory.take(match.found)
        if short:
            return (Stage(at, PARTIAL, match.found, match.errors or (error(5017),)),), match.found
        return (Stage(at, COMPLETE, match.found),), match.found

    def _backorder(
        self, selection: Selection, match: _StockMatch, durations: Durations, now: datetime, fate: Fate
    ) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """Deliver what the stock has, wait, and deliver the rest if more will come."""
        if selection.criteria is None and not match.found:
            return self._end(selection, match, now + durations.processing)
        first_delivery = _first_delivery(selection, match, fate)
        self._inventory.take(first_delivery)
        later = self._numbers_for_later(selection, match, first_delivery, fills=_is_filled(fate, durations))
        note = error(5520) if first_delivery else error(5521)
        begins = now + durations.processing
        waiting = Stage(begins, BACKORDERED, first_delivery, (note, *match.errors))
        if later is None:
            return (waiting,), first_delivery
        taken = first_delivery + later
        status = PARTIAL if match.errors else COMPLETE
        return (waiting, Stage(begins + durations.backorder, status, taken, match.errors)), taken

    def _numbers_for_later(
        self, selection: Selection, match: _StockMatch, first_delivery: tuple[str, ...], *, fills: bool
    ) -> tuple[str, ...] | None:
        """Set aside the numbers that end the wait; return None if it never ends, by fate or for lack of stock."""
        if not fills:
            return None
        if selection.criteria is None:
            rest = match.found[len(first_delivery) :]  # the first delivery took the first ones
            self._inventory.take(rest)
            return rest
        missing = selection.quantity - len(first_delivery)
        fresh = self._inventory.take_new_stock(selection.criteria, missing)
        if len(fresh) < missing:
            self._inventory.release(fresh)
            return None
        return fresh


def _is_backordered(selection: Selection, fate: Fate, *, short: bool) -> bool:
    if fate in {Fate.BACKORDER_FILLS, Fate.BACKORDER_WAITS}:
        return True
    return short and selection.backorder and fate not in {Fate.PARTIAL, Fate.FAILED}


def _is_filled(fate: Fate, durations: Durations) -> bool:
    return fate is Fate.BACKORDER_FILLS or (fate is not Fate.BACKORDER_WAITS and durations.backorders_fill)


def _first_delivery(selection: Selection, match: _StockMatch, fate: Fate) -> tuple[str, ...]:
    if not selection.partial_allowed:
        return ()
    magic = fate in {Fate.BACKORDER_FILLS, Fate.BACKORDER_WAITS}
    return match.found[: selection.quantity // 2] if magic else match.found


def _with_forced_shortage(match: _StockMatch, selection: Selection, fate: Fate) -> _StockMatch:
    """Reduce the numbers found where the fate is a shortage."""
    if fate is Fate.FAILED:
        return _StockMatch((), match.errors)
    if fate is not Fate.PARTIAL:
        return match
    kept, dropped = match.found[: selection.quantity // 2], match.found[selection.quantity // 2 :]
    unavailable = tuple(error(5005, e164=n) for n in dropped) if selection.numbers else ()
    return _StockMatch(kept, match.errors + unavailable)


def _with_strange_status(stages: tuple[Stage, ...], durations: Durations) -> tuple[Stage, ...]:
    """Insert a stage with an unknown status before the end."""
    *earlier, last = stages
    later = Stage(last.at + durations.strange, last.status, last.bought, last.errors)
    return (*earlier, Stage(last.at, durations.strange_word), later)


def _with_error(stage: Stage) -> Stage:
    if stage.status != COMPLETE:
        return stage
    return Stage(stage.at, stage.status, stage.bought, (error(5003, e164=stage.bought[0]),))
