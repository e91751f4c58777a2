"""Decides, when a cart is checked out, everything that will ever become of its requests.

The result is a course: what the order says and from when on, and what each request gets. The taint window is looked at
here, by the age that a number has when its removal is checked out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from number_orders.sandbox.inventory import Inventory
from number_orders.sandbox.swift import fates
from number_orders.sandbox.swift.dids import Did, Holdings
from number_orders.sandbox.swift.fates import SwiftFate
from number_orders.sandbox.swift.order_requests import AddMessagingNumbers, NewNumbers, RemoveNumbers, Wish, criteria_of

NEW: Final = "NEW"
PROCESSING: Final = "PROCESSING"
COMPLETED: Final = "COMPLETED"
ERROR: Final = "ERROR"
COMPLETED_WITH_ERRORS: Final = "COMPLETED_WITH_ERRORS"
OK: Final = "OK"
_IDLE_PART: Final = 0.3  # of the processing time, an order is NEW


@dataclass(frozen=True, slots=True)
class Stage:
    """What the carrier says of an order from `at` on."""

    at: datetime
    status: str
    detail: str
    error_code: str = OK


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take for one order, and what is said meanwhile."""

    processing: timedelta
    strange: timedelta
    strange_word: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong with a request, in the carrier's words."""

    error_code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one request of a cart gets: `done` are the numbers bought, added or removed."""

    wish: Wish
    fate: SwiftFate
    done: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    removed: tuple[Did, ...] = ()

    @property
    def asked(self) -> int:
        """Say how many numbers the request is about."""
        return self.wish.quantity if isinstance(self.wish, NewNumbers) else len(self.wish.numbers)


@dataclass(frozen=True, slots=True)
class Course:
    """An order's stages, when it ends (if ever), and its parts."""

    stages: tuple[Stage, ...]
    ends_at: datetime | None
    parts: tuple[Part, ...]
    fate: SwiftFate


@dataclass(frozen=True, slots=True)
class TaintRule:
    """How young a number must not be, and what happens if it is all the same."""

    window: timedelta
    outcome: Literal["error", "with_errors", "refused"]

    def is_tainted(self, did: Did, now: datetime) -> bool:
        """Tell whether a number must not be removed yet."""
        return now - did.inserted_at < self.window


class Playwright:
    """Writes the course of one order, and takes its numbers out of stock."""

    def __init__(self, inventory: Inventory, holdings: Holdings, rule: TaintRule, account_id: str) -> None:
        self._inventory = inventory
        self._holdings = holdings
        self._rule = rule
        self._account_id = account_id

    def tainted(self, wishes: Iterable[Wish], now: datetime) -> list[Did]:
        """List the numbers that would be removed too early."""
        removals = [wish for wish in wishes if isinstance(wish, RemoveNumbers)]
        dids = (self._removable(number, now) for wish in removals for number in wish.numbers)
        return [did for did in dids if did is not None and self._rule.is_tainted(did, now)]

    def write(self, wishes: Sequence[Wish], pace: Pace, now: datetime) -> Course:
        """Decide how every request goes; each sees what those before it have done."""
        parts = tuple(self._part(wish, now) for wish in wishes)
        fate = next((part.fate for part in parts if part.fate is not SwiftFate.ORDINARY), SwiftFate.ORDINARY)
        stages = [Stage(now, NEW, "checkout cart"), Stage(now + pace.processing * _IDLE_PART, PROCESSING, "processing")]
        ends_at: datetime | None = now + pace.processing
        if any(part.fate is SwiftFate.NEVER_ENDS for part in parts):
            ends_at = None
        elif any(part.fate is SwiftFate.STRANGE_WORD for part in parts):
            stages.append(Stage(now + pace.processing, pace.strange_word, "processing"))
            ends_at = now + pace.processing + pace.strange
        if ends_at is not None:
            stages.append(_end(parts, ends_at))
        return Course(tuple(stages), ends_at, parts, fate)

    def _part(self, wish: Wish, now: datetime) -> Part:
        if isinstance(wish, NewNumbers):
            return self._buy(wish)
        if isinstance(wish, AddMessagingNumbers):
            return self._add(wish, now)
        return self._remove(wish, now)

    def _buy(self, wish: NewNumbers) -> Part:
        found = self._inventory.find(criteria_of(wish.model_dump()), wish.quantity)
        area_code = wish.npa or (found[0][2:5] if found else "")
        fate = fates.of_new(area_code)
        done = _as_fated(found, wish.quantity, fate)
        self._inventory.take(done)
        shortage = f"{len(done)} of {wish.quantity} numbers ordered"
        return Part(wish=wish, fate=fate, done=done, troubles=_troubles(fate, done, wish.quantity, shortage))

    def _add(self, wish: AddMessagingNumbers, now: datetime) -> Part:
        numbers = tuple(f"+{number}" for number in wish.numbers)
        fate = fates.of_added(numbers)
        free = tuple(e164 for e164 in numbers if not self._holdings.is_taken(e164, now))
        done = _as_fated(free, len(numbers), fate)
        self._inventory.take(e164 for e164 in done if self._inventory.is_available(e164))
        shortage = f"numbers not added: {_listed(numbers, done)}"
        return Part(wish=wish, fate=fate, done=done, troubles=_troubles(fate, done, len(numbers), shortage))

    def _remove(self, wish: RemoveNumbers, now: datetime) -> Part:
        numbers = tuple(f"+{number}" for number in wish.numbers)
        fate = fates.of_removal(numbers)
        held = {did.e164: did for number in wish.numbers if (did := self._removable(number, now)) is not None}
        tainted = tuple(e164 for e164, did in held.items() if self._rule.is_tainted(did, now))
        troubles: tuple[Trouble, ...] = ()
        if tainted:
            troubles = (Trouble("REJECTED", f"numbers are tainted: {_listed(tainted)}"),)
            if self._rule.outcome == "error":
                return Part(wish=wish, fate=fate, troubles=troubles)
        if len(held) < len(numbers):
            troubles += (Trouble("HOST_DID_NOT_FOUND", f"numbers not found: {_listed(numbers, held)}"),)
        clean = tuple(e164 for e164 in held if e164 not in tainted)
        done = _as_fated(clean, len(numbers), fate)
        gone = () if fate is SwiftFate.CONTRADICTS else tuple(held[e164] for e164 in done)
        for did in gone:
            did.leaving = True  # at once, so that another removal of the same number finds nothing
        if not troubles:
            shortage = f"numbers not removed: {_listed(numbers, done)}"
            troubles = _troubles(fate, done, len(numbers), shortage)
        return Part(wish=wish, fate=fate, done=tuple(d.e164 for d in gone), troubles=troubles, removed=gone)

    def _removable(self, number: str, now: datetime) -> Did | None:
        return self._holdings.removable(f"+{number}", self._account_id, now)


def _as_fated(found: tuple[str, ...], asked: int, fate: SwiftFate) -> tuple[str, ...]:
    """Pretend a shortage where the fate is one."""
    match fate:
        case SwiftFate.FAILED:
            return ()
        case SwiftFate.PARTIAL | SwiftFate.CONTRADICTS:
            return found[: asked // 2]
        case _:
            return found


def _troubles(fate: SwiftFate, done: Sequence[str], asked: int, shortage: str) -> tuple[Trouble, ...]:
    if fate is SwiftFate.CONTRADICTS:
        return ()
    if len(done) < asked:
        return (Trouble("UPSTREAM_ERROR", shortage),)
    return (Trouble("GENERAL_ERROR", "completed with errors"),) if fate is SwiftFate.WITH_ERRORS else ()


def _end(parts: Sequence[Part], at: datetime) -> Stage:
    """Sum up: all well, some of it, or nothing at all."""
    troubles = [trouble for part in parts for trouble in part.troubles]
    if not troubles:
        return Stage(at, COMPLETED, "completed")
    something = any(part.done or not part.troubles for part in parts)
    detail = "; ".join(trouble.detail for trouble in troubles)
    return Stage(at, COMPLETED_WITH_ERRORS if something else ERROR, detail, troubles[0].error_code)


def _listed(numbers: Iterable[str], without: Iterable[str] = ()) -> str:
    left_out: set[str] = set(without)
    return ", ".join(number.removeprefix("+") for number in numbers if number not in left_out)
