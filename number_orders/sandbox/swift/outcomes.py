"""Decides the whole timeline of an order when its cart is checked out.

A timeline has the order's stages and what each request gets. The taint window is checked here, by the age of a number
when its removal is checked out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from number_orders.sandbox.inventory import Inventory
from number_orders.sandbox.swift import fates
from number_orders.sandbox.swift.dids import Did, Holdings
from number_orders.sandbox.swift.fates import SwiftFate
from number_orders.sandbox.swift.order_requests import (
    AddMessagingNumbers,
    NewNumbers,
    RemoveNumbers,
    RequestedNumbers,
    criteria_of,
)

NEW: Final = "NEW"
PROCESSING: Final = "PROCESSING"
COMPLETED: Final = "COMPLETED"
ERROR: Final = "ERROR"
COMPLETED_WITH_ERRORS: Final = "COMPLETED_WITH_ERRORS"
OK: Final = "OK"
_NEW_SHARE: Final = 0.3  # of the processing time, an order stays NEW


@dataclass(frozen=True, slots=True)
class Stage:
    """What the carrier says of an order from `at` on."""

    at: datetime
    status: str
    detail: str
    error_code: str = OK


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the phases of one order take, and the status of a `strange_word` order."""

    processing: timedelta
    strange: timedelta
    strange_word: str
    flips: tuple[timedelta, ...] = ()
    """How long each wrong status lasts that the order shows before its end."""


@dataclass(frozen=True, slots=True)
class RequestError:
    """What went wrong with a request, in the carrier's words."""

    error_code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """What one request of a cart gets; `done` are the numbers bought, added or removed."""

    requested: RequestedNumbers
    fate: SwiftFate
    done: tuple[str, ...] = ()
    errors: tuple[RequestError, ...] = ()
    removed: tuple[Did, ...] = ()

    @property
    def quantity(self) -> int:
        """Return how many numbers the request asks for."""
        return self.requested.quantity if isinstance(self.requested, NewNumbers) else len(self.requested.numbers)


@dataclass(frozen=True, slots=True)
class Timeline:
    """An order's stages, when it ends (if ever), and the results of its requests."""

    stages: tuple[Stage, ...]
    ends_at: datetime | None
    results: tuple[RequestResult, ...]
    fate: SwiftFate


@dataclass(frozen=True, slots=True)
class TaintRule:
    """How old a number must be to be removed, and what happens if it is younger."""

    window: timedelta
    outcome: Literal["error", "with_errors", "refused"]

    def is_tainted(self, did: Did, now: datetime) -> bool:
        """Return whether a number is too young to be removed."""
        return now - did.inserted_at < self.window


class OutcomePlanner:
    """Plans the timeline of one order and takes its numbers out of stock."""

    def __init__(self, inventory: Inventory, holdings: Holdings, rule: TaintRule, account_id: str) -> None:
        self._inventory = inventory
        self._holdings = holdings
        self._rule = rule
        self._account_id = account_id

    def tainted(self, request_data: Iterable[RequestedNumbers], now: datetime) -> list[Did]:
        """Return the numbers that would be removed too early."""
        removals = [requested for requested in request_data if isinstance(requested, RemoveNumbers)]
        dids = (self._removable(number, now) for requested in removals for number in requested.numbers)
        return [did for did in dids if did is not None and self._rule.is_tainted(did, now)]

    def plan(self, request_data: Sequence[RequestedNumbers], durations: Durations, now: datetime) -> Timeline:
        """Decide the result of every request in order; each sees the results of those before it."""
        results = tuple(self._result(requested, now) for requested in request_data)
        forced = (result.fate for result in results if result.fate is not SwiftFate.ORDINARY)
        fate = next(forced, SwiftFate.ORDINARY)
        stages = [
            Stage(now, NEW, "checkout cart"),
            Stage(now + durations.processing * _NEW_SHARE, PROCESSING, "processing"),
        ]
        ends_at: datetime | None = now + durations.processing
        if any(result.fate is SwiftFate.NEVER_ENDS for result in results):
            ends_at = None
        elif any(result.fate is SwiftFate.STRANGE_WORD for result in results):
            stages.append(Stage(now + durations.processing, durations.strange_word, "processing"))
            ends_at = now + durations.processing + durations.strange
        if ends_at is not None:
            stages += _flips(ends_at, durations.flips)
            ends_at += sum(durations.flips, timedelta())
            stages.append(_end(results, ends_at))
        return Timeline(tuple(stages), ends_at, results, fate)

    def _result(self, requested: RequestedNumbers, now: datetime) -> RequestResult:
        if isinstance(requested, NewNumbers):
            return self._buy(requested)
        if isinstance(requested, AddMessagingNumbers):
            return self._add(requested, now)
        return self._remove(requested, now)

    def _buy(self, requested: NewNumbers) -> RequestResult:
        found = self._inventory.find(criteria_of(requested.model_dump()), requested.quantity)
        area_code = requested.npa or (found[0][2:5] if found else "")
        fate = fates.of_new(area_code)
        done = _limited_by_fate(found, requested.quantity, fate)
        self._inventory.take(done)
        shortage = f"{len(done)} of {requested.quantity} numbers ordered"
        errors = _errors(fate, done, requested.quantity, shortage)
        return RequestResult(requested=requested, fate=fate, done=done, errors=errors)

    def _add(self, requested: AddMessagingNumbers, now: datetime) -> RequestResult:
        numbers = tuple(f"+{number}" for number in requested.numbers)
        fate = fates.of_added(numbers)
        free = tuple(e164 for e164 in numbers if not self._holdings.is_taken(e164, now))
        done = _limited_by_fate(free, len(numbers), fate)
        self._inventory.take(e164 for e164 in done if self._inventory.is_available(e164))
        shortage = f"numbers not added: {_listed(numbers, done)}"
        errors = _errors(fate, done, len(numbers), shortage)
        return RequestResult(requested=requested, fate=fate, done=done, errors=errors)

    def _remove(self, requested: RemoveNumbers, now: datetime) -> RequestResult:
        numbers = tuple(f"+{number}" for number in requested.numbers)
        fate = fates.of_removal(numbers)
        held = {did.e164: did for number in requested.numbers if (did := self._removable(number, now)) is not None}
        tainted = tuple(e164 for e164, did in held.items() if self._rule.is_tainted(did, now))
        errors: tuple[RequestError, ...] = ()
        if tainted:
            errors = (RequestError("REJECTED", f"numbers are tainted: {_listed(tainted)}"),)
            if self._rule.outcome == "error":
                return RequestResult(requested=requested, fate=fate, errors=errors)
        if len(held) < len(numbers):
            errors += (RequestError("HOST_DID_NOT_FOUND", f"numbers not found: {_listed(numbers, held)}"),)
        clean = tuple(e164 for e164 in held if e164 not in tainted)
        done = _limited_by_fate(clean, len(numbers), fate)
        removed = () if fate is SwiftFate.CONTRADICTS else tuple(held[e164] for e164 in done)
        for did in removed:
            did.removal_ordered = True  # at once, so that another removal of this number does not find it
        if not errors:
            shortage = f"numbers not removed: {_listed(numbers, done)}"
            errors = _errors(fate, done, len(numbers), shortage)
        done = tuple(did.e164 for did in removed)
        return RequestResult(requested=requested, fate=fate, done=done, errors=errors, removed=removed)

    def _removable(self, number: str, now: datetime) -> Did | None:
        return self._holdings.removable(f"+{number}", self._account_id, now)


def _limited_by_fate(found: tuple[str, ...], quantity: int, fate: SwiftFate) -> tuple[str, ...]:
    """Reduce the numbers found where the fate is a shortage."""
    match fate:
        case SwiftFate.FAILED:
            return ()
        case SwiftFate.PARTIAL | SwiftFate.CONTRADICTS:
            return found[: quantity // 2]
        case _:
            return found


def _errors(fate: SwiftFate, done: Sequence[str], quantity: int, shortage: str) -> tuple[RequestError, ...]:
    if fate is SwiftFate.CONTRADICTS:
        return ()
    if len(done) < quantity:
        return (RequestError("UPSTREAM_ERROR", shortage),)
    if fate is SwiftFate.ERROR_BUT_BOUGHT:
        return (RequestError("UPSTREAM_ERROR", "numbers could not be ordered"),)
    return (RequestError("GENERAL_ERROR", "completed with errors"),) if fate is SwiftFate.WITH_ERRORS else ()


def _flips(at: datetime, flips: Sequence[timedelta]) -> Iterator[Stage]:
    """Yield the stages that an order shows before its end: every third is an end that is taken back."""
    for number, lasts in enumerate(flips):
        status, detail = ((NEW, "checkout cart"), (PROCESSING, "processing"), (ERROR, "no answer"))[number % 3]
        yield Stage(at, status, detail, "UPSTREAM_ERROR" if status == ERROR else OK)
        at += lasts


def _end(results: Sequence[RequestResult], at: datetime) -> Stage:
    """Return the last stage: all requests done, some of them, or none."""
    errors = [error for result in results for error in result.errors]
    if not errors:
        return Stage(at, COMPLETED, "completed")
    claims_nothing = any(result.fate is SwiftFate.ERROR_BUT_BOUGHT for result in results)
    something = not claims_nothing and any(result.done or not result.errors for result in results)
    detail = "; ".join(error.detail for error in errors)
    return Stage(at, COMPLETED_WITH_ERRORS if something else ERROR, detail, errors[0].error_code)


def _listed(numbers: Iterable[str], without: Iterable[str] = ()) -> str:
    left_out: set[str] = set(without)
    return ", ".join(number.removeprefix("+") for number in numbers if number not in left_out)
