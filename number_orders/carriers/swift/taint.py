"""The taint window: when a number may be removed, and what follows for an order whose numbers are too young.

A number is as old as the latest source says, since it may have left the account by hand and been bought again. On our
own clock, the age of a number that we brought counts from the moment when we learnt that it is ours. On the carrier's
clock, the age of every number counts from its `inserted_at` to the `inserted_at` of a cart that was just made. Knows no
JSON and sends nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from number_orders.carriers.contract import KnownNumbers
from number_orders.carriers.swift.facts import (
    AWAITED,
    AWAITED_PAUSES,
    NOT_LISTED,
    NOT_TRIED,
    NUMBER_IN_TEXT,
    TAINT_WINDOW,
    TAINTED,
    TAINTED_CODES,
    TAINTED_WORDS,
)
from number_orders.carriers.swift.json import Did, OrderView
from number_orders.orders.events import Deferred, Refused
from number_orders.orders.model import NumberResult, NumberState, Order, WhenTainted
from number_orders.orders.numbers import E164, count_in_words, e164_from_carrier

_DOUBLINGS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class RemovalTime:
    """When one number may be removed, and why not before: `code` and `text` are those of its result."""

    e164: E164
    at: datetime
    code: str
    text: str

    def result(self, state: NumberState) -> NumberResult:
        """Return the number's result."""
        return NumberResult(self.e164, state, self.code, self.text)


@dataclass(frozen=True, slots=True)
class Taint:
    """How long numbers are tainted, and how much longer we wait before we remove them."""

    window: timedelta = TAINT_WINDOW
    margin: timedelta = timedelta(minutes=1)

    @property
    def removal_age(self) -> timedelta:
        """How old a number must be before we remove it."""
        return self.window + self.margin

    def removal_times(
        self,
        order: Order,
        numbers: Sequence[E164],
        known: KnownNumbers,
        dids: Mapping[E164, Did],
        carrier_now: datetime,
    ) -> list[RemovalTime]:
        """Return when each number may be removed, by the ledger's clock.

        Args:
            order: The removal.
            numbers: Those of its numbers that are still to be removed.
            known: What the ledger knows of them, and its time.
            dids: The numbers that the carrier lists, as far as they were looked up.
            carrier_now: The carrier's time.
        """
        return [self._removal_time(order, number, known, dids.get(number), carrier_now) for number in numbers]

    def _removal_time(
        self, order: Order, number: E164, known: KnownNumbers, did: Did | None, carrier_now: datetime
    ) -> RemovalTime:
        if number in known.awaited:
            at = known.now + self._pause(order)
            return RemovalTime(number, at, AWAITED, "another order is still to bring it")
        times = []
        if number in known.held_since:
            since = known.held_since[number]
            times.append(self._after_window(number, since, since + self.removal_age, "is ours"))
        if did is not None:
            at = known.now + self.removal_age - (carrier_now - did.inserted_at)
            times.append(self._after_window(number, did.inserted_at, at, "is on the account"))
        if times:
            return max(times, key=lambda time: time.at)
        # Nobody knows its age, so it counts as new when the order was accepted. After that the carrier is asked.
        at = order.accepted_at + self.removal_age
        text = f"the carrier does not list it, so that its age is unknown; it is tried from {formatted(at)} on"
        return RemovalTime(number, at, NOT_LISTED, text)

    def _after_window(self, number: E164, since: datetime, at: datetime, how: str) -> RemovalTime:
        minutes = self.window / timedelta(minutes=1)
        window = "1 minute" if minutes == 1 else f"{minutes:g} minutes"
        text = f"{how} since {formatted(since)}, and tainted for {window}; it may be removed from {formatted(at)} on"
        return RemovalTime(number, at, TAINTED, text)

    def _pause(self, order: Order) -> timedelta:
        """Return how long to wait for a number that another order is to bring. Doubles from attempt to attempt."""
        doublings = min(max(order.sends - 1, 0), _DOUBLINGS_MAX)
        return min(self.window / AWAITED_PAUSES * float(2**doublings), self.window)

    def defer(self, now: datetime, refusal: str, tainted: Sequence[E164]) -> Deferred:
        """Return the event after a refusal as tainted. Our calculation was wrong, so a whole window passes again."""
        at = now + self.removal_age
        return Deferred(taint_refusal_reason(refusal), at, self.refused_results(tainted, at))

    def refused_results(self, numbers: Iterable[E164], at: datetime) -> tuple[NumberResult, ...]:
        """Return the results of numbers that wait because the carrier called them tainted."""
        text = f"the carrier calls it tainted; it is tried again from {formatted(at)} on"
        return tuple(NumberResult(number, NumberState.REQUESTED, TAINTED, text) for number in numbers)


def removable_now(order: Order, times: Sequence[RemovalTime], now: datetime) -> tuple[E164, ...] | Deferred | Refused:
    """Return the numbers to remove now, or the event if none is to be removed now."""
    clean = tuple(time.e164 for time in times if time.at <= now)
    waiting = [time for time in times if time.at > now]
    when = order.request.when_tainted
    if not waiting or (clean and when is WhenTainted.SPLIT):
        return clean
    if when is WhenTainted.FAIL:
        return _failed(times, now)
    at = min(time.at for time in waiting) if when is WhenTainted.SPLIT else max(time.at for time in waiting)
    return Deferred(_reason(waiting, at), at, waiting_results(waiting))


def waiting_results(times: Iterable[RemovalTime]) -> tuple[NumberResult, ...]:
    """Return the results of numbers that wait: each says until when and why."""
    return tuple(time.result(NumberState.REQUESTED) for time in times)


def says_tainted(text: str | None, code: str | None = None) -> bool:
    """Return whether a refusal says that numbers are too young to be removed."""
    return (code or "").casefold() in TAINTED_CODES or bool(text and TAINTED_WORDS.search(text))


def numbers_called_tainted(view: OrderView, left: Collection[E164]) -> tuple[E164, ...]:
    """Return which of the numbers that were not removed the carrier calls tainted: those that it names, or else all."""
    about_taint = [piece for piece in _pieces(view) if says_tainted(piece)]
    if not about_taint and not says_tainted(None, view.error_code):
        return ()
    named = {number for piece in about_taint for number in _numbers_in(piece)}
    return tuple(number for number in left if number in named) or tuple(left)


def numbers_named(view: OrderView) -> frozenset[E164]:
    """Return the numbers that the carrier names in its errors."""
    return frozenset(number for piece in _pieces(view) for number in _numbers_in(piece))


def taint_refusal_reason(refusal: str) -> str:
    """Return why a removal waits that the carrier refused as tainted."""
    return f"the carrier refused as tainted, although the taint window was over by our clock: {refusal}"


def _pieces(view: OrderView) -> list[str]:
    return [piece for text in (*view.error_details, view.detail or "") for piece in text.split(";")]


def _numbers_in(text: str) -> Iterable[E164]:
    for found in NUMBER_IN_TEXT.findall(text):
        yield e164_from_carrier(found)


def _failed(times: Sequence[RemovalTime], now: datetime) -> Refused:
    waiting = [time for time in times if time.at > now]
    not_tried = "not removed: others of the order are tainted, and it is to fail then"
    numbers = tuple(
        time.result(NumberState.FAILED)
        if time.at > now
        else NumberResult(time.e164, NumberState.FAILED, NOT_TRIED, not_tried)
        for time in times
    )
    first, count = waiting[0], f"{len(waiting)} of {len(times)} numbers"
    return Refused(f"{count} cannot be removed yet: {first.e164} {first.text}", first.code, None, numbers)


def _reason(waiting: Sequence[RemovalTime], at: datetime) -> str:
    awaited = sum(time.code == AWAITED for time in waiting)
    if awaited == len(waiting):
        return f"waits for {count_in_words(awaited)} that another order is still to bring"
    return f"tainted: {count_in_words(len(waiting))} cannot be removed yet; it goes on at {formatted(at)}"


def formatted(moment: datetime) -> str:
    """Return a moment as results have it."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
