"""Decides, at the moment an order is accepted, everything that will ever happen to it by itself.

An order is a script: stages with the moments at which they begin. Reading an order is then a matter of looking
at the clock, and the carrier's true end is known to the microsecond whoever looks, and whenever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from number_orders.sandbox import fates
from number_orders.sandbox.bandwidth.order_requests import Wish
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

    @property
    def is_final(self) -> bool:
        """Tell whether nothing follows by itself."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take for one order, and what is said meanwhile."""

    processing: timedelta
    backorder: timedelta
    strange: timedelta
    strange_word: str
    backorders_fill: bool


@dataclass(frozen=True, slots=True)
class Script:
    """The stages to come, and every number set aside for them."""

    stages: tuple[Stage, ...]
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the stock has for a wish: numbers to be had, and named ones that are lost, with the reason."""

    found: tuple[str, ...]
    lost: tuple[CarrierError, ...] = ()


InProcess = Callable[[str], bool]


class Playwright:
    """Writes the script of one order, and takes its numbers out of stock."""

    def __init__(self, inventory: Inventory, in_process: InProcess) -> None:
        self._inventory = inventory
        self._in_process = in_process

    def write(self, wish: Wish, pace: Pace, now: datetime) -> tuple[Fate, Script]:
        """Decide how `wish` goes, by its magic and by what is in stock, and take what it gets."""
        finding = self._look(wish)
        fate = self._fate(wish, finding)
        opening = Stage(now, RECEIVED)
        if fate is Fate.NEVER_ENDS:
            self._inventory.take(finding.found)
            return fate, Script((opening,), finding.found)
        finding = _shortened(finding, wish, fate)
        short = len(finding.found) < wish.quantity
        if _waits(wish, fate, short=short):
            acts = self._backorder(wish, finding, pace, now, fate)
        else:
            acts = self._settle(wish, finding, now + pace.processing)
        stages, taken = acts
        if fate is Fate.STRANGE_WORD:
            stages = _spoken_strangely(stages, pace)
        if fate is Fate.WITH_ERRORS:
            stages = tuple(map(_with_an_error, stages))
        return fate, Script((opening, *stages), taken)

    def _look(self, wish: Wish) -> _Finding:
        if wish.criteria is not None:
            return _Finding(self._inventory.find(wish.criteria, wish.quantity))
        lost = tuple(filter(None, map(self._reason_against, wish.numbers)))
        gone = {reason.e164 for reason in lost}
        return _Finding(tuple(n for n in wish.numbers if n not in gone), lost)

    def _reason_against(self, e164: str) -> CarrierError | None:
        if fates.of_number(e164) is Fate.FAILED:
            return error(5005, e164=e164)
        if self._inventory.is_available(e164):
            return None
        return error(5218 if self._in_process(e164) else 5005, e164=e164)

    def _fate(self, wish: Wish, finding: _Finding) -> Fate:
        if wish.criteria is None:
            return fates.of_numbers(wish.numbers)
        if wish.criteria.pool == "local" and wish.criteria.starts_with:
            return fates.of_area_code(wish.criteria.starts_with[:3])
        return fates.of_area_code(finding.found[0][2:5]) if finding.found else Fate.ORDINARY

    def _settle(self, wish: Wish, finding: _Finding, at: datetime) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """End an order that nobody waits for: all, some, or none."""
        short = len(finding.found) < wish.quantity
        if not finding.found or (short and not wish.partial_allowed):
            return (Stage(at, FAILED, (), finding.lost or (error(5018),)),), ()
        self._inventory.take(finding.found)
        if short:
            return (Stage(at, PARTIAL, finding.found, finding.lost or (error(5017),)),), finding.found
        return (Stage(at, COMPLETE, finding.found),), finding.found

    def _backorder(
        self, wish: Wish, finding: _Finding, pace: Pace, now: datetime, fate: Fate
    ) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """Fill what there is, wait, and fill the rest if more is to come."""
        if wish.criteria is None and not finding.found:
            return self._settle(wish, finding, now + pace.processing)
        at_once = _at_once(wish, finding, fate)
        self._inventory.take(at_once)
        later = self._later(wish, finding, at_once, fills=_fills(fate, pace))
        note = error(5520) if at_once else error(5521)
        begins = now + pace.processing
        waiting = Stage(begins, BACKORDERED, at_once, (note, *finding.lost))
        if later is None:
            return (waiting,), at_once
        taken = at_once + later
        status = PARTIAL if finding.lost else COMPLETE
        return (waiting, Stage(begins + pace.backorder, status, taken, finding.lost)), taken

    def _later(self, wish: Wish, finding: _Finding, at_once: tuple[str, ...], *, fills: bool) -> tuple[str, ...] | None:
        """Set aside what ends the wait; None if nothing will, for want of new stock or by magic."""
        if not fills:
            return None
        if wish.criteria is None:
            rest = finding.found[len(at_once) :]  # what was given at once came first
            self._inventory.take(rest)
            return rest
        missing = wish.quantity - len(at_once)
        fresh = self._inventory.take_new_stock(wish.criteria, missing)
        if len(fresh) < missing:
            self._inventory.release(fresh)
            return None
        return fresh


def _waits(wish: Wish, fate: Fate, *, short: bool) -> bool:
    if fate in {Fate.BACKORDER_FILLS, Fate.BACKORDER_WAITS}:
        return True
    return short and wish.backorder and fate not in {Fate.PARTIAL, Fate.FAILED}


def _fills(fate: Fate, pace: Pace) -> bool:
    return fate is Fate.BACKORDER_FILLS or (fate is not Fate.BACKORDER_WAITS and pace.backorders_fill)


def _at_once(wish: Wish, finding: _Finding, fate: Fate) -> tuple[str, ...]:
    if not wish.partial_allowed:
        return ()
    magic = fate in {Fate.BACKORDER_FILLS, Fate.BACKORDER_WAITS}
    return finding.found[: wish.quantity // 2] if magic else finding.found


def _shortened(finding: _Finding, wish: Wish, fate: Fate) -> _Finding:
    """Pretend a shortage where the fate is one."""
    if fate is Fate.FAILED:
        return _Finding((), finding.lost)
    if fate is not Fate.PARTIAL:
        return finding
    kept, dropped = finding.found[: wish.quantity // 2], finding.found[wish.quantity // 2 :]
    unavailable = tuple(error(5005, e164=n) for n in dropped) if wish.numbers else ()
    return _Finding(kept, finding.lost + unavailable)


def _spoken_strangely(stages: tuple[Stage, ...], pace: Pace) -> tuple[Stage, ...]:
    """Say a word nobody has heard of for a while before the end."""
    *earlier, last = stages
    later = Stage(last.at + pace.strange, last.status, last.bought, last.errors)
    return (*earlier, Stage(last.at, pace.strange_word), later)


def _with_an_error(stage: Stage) -> Stage:
    if stage.status != COMPLETE:
        return stage
    return Stage(stage.at, stage.status, stage.bought, (error(5003, e164=stage.bought[0]),))
