"""The taint window: when a number may be removed, and what becomes of an order whose numbers are too young.

A number that we brought is reckoned on our own clock, from the moment at which we knew that it was ours: the carrier
gave it no later. Any other is reckoned on the carrier's clock, from its `inserted_at` to a cart just made. Knows no
JSON and asks nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from number_orders.carriers.contract import KnownNumbers
from number_orders.carriers.swift.facts import (
    AWAITED,
    AWAITED_PARTS,
    NOT_LISTED,
    NOT_TRIED,
    NUMBERS_NAMED,
    TAINT_WINDOW,
    TAINTED,
    TAINTED_CODES,
    TAINTED_WORDS,
)
from number_orders.carriers.swift.json import Did, OrderView
from number_orders.orders.events import Deferred, Refused
from number_orders.orders.model import NumberResult, NumberState, Order, WhenTainted
from number_orders.orders.numbers import E164, e164_from_carrier

_DOUBLINGS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Turn:
    """When the turn of one number comes, and why not before."""

    e164: E164
    at: datetime
    code: str
    text: str

    def result(self, state: NumberState) -> NumberResult:
        """Return it as a number's result."""
        return NumberResult(self.e164, state, self.code, self.text)


@dataclass(frozen=True, slots=True)
class Taint:
    """How long numbers stay tainted, and by how much longer we leave them alone."""

    window: timedelta = TAINT_WINDOW
    margin: timedelta = timedelta(minutes=1)

    @property
    def whole(self) -> timedelta:
        """How old a number must be before we remove it."""
        return self.window + self.margin

    def turns(
        self, order: Order, numbers: Sequence[E164], known: KnownNumbers, dids: Mapping[E164, Did], there: datetime
    ) -> list[Turn]:
        """Return when each number may be removed.

        Args:
            order: The removal.
            numbers: Those of its numbers that are still to be removed.
            known: What the ledger knows of them, and its time.
            dids: The numbers that the carrier lists, as far as they were looked up.
            there: The carrier's time.
        """
        return [self._turn(order, number, known, dids.get(number), there) for number in numbers]

    def _turn(self, order: Order, number: E164, known: KnownNumbers, did: Did | None, there: datetime) -> Turn:
        if number in known.held_since:
            since = known.held_since[number]
            return self._tainted(number, since, since + self.whole, "is ours")
        if number in known.awaited:
            at = known.now + self._pause(order)
            return Turn(number, at, AWAITED, "another order is still to bring it")
        if did is not None:
            at = known.now + self.whole - (there - did.inserted_at)
            return self._tainted(number, did.inserted_at, at, "is on the account")
        # Nobody knows its age, so it counts as fresh when the order came in; after that the carrier is asked.
        at = order.accepted_at + self.whole
        text = f"the carrier does not list it, so that its age is unknown; it is tried from {_said(at)} on"
        return Turn(number, at, NOT_LISTED, text)

    def _tainted(self, number: E164, since: datetime, at: datetime, how: str) -> Turn:
        minutes = self.window / timedelta(minutes=1)
        window = "1 minute" if minutes == 1 else f"{minutes:g} minutes"
        text = f"{how} since {_said(since)}, and tainted for {window}; it may be removed from {_said(at)} on"
        return Turn(number, at, TAINTED, text)

    def _pause(self, order: Order) -> timedelta:
        """Return how long to leave a number alone that is still to come: longer from attempt to attempt."""
        doublings = min(max(order.sends - 1, 0), _DOUBLINGS_MAX)
        return min(self.window / AWAITED_PARTS * float(2**doublings), self.window)

    def again(self, order: Order, now: datetime, said: str, tainted: Sequence[E164]) -> Deferred:
        """Return what a refusal as tainted comes to: our reckoning was wrong, so the whole window passes once more."""
        at = now + self.whole
        return Deferred(reason_of_refusal(said), at, self.refused(tainted, at))

    def refused(self, numbers: Iterable[E164], at: datetime) -> tuple[NumberResult, ...]:
        """Return the numbers that wait because the carrier called them tainted."""
        text = f"the carrier calls it tainted; it is tried again from {_said(at)} on"
        return tuple(NumberResult(number, NumberState.REQUESTED, TAINTED, text) for number in numbers)


def decided(order: Order, turns: Sequence[Turn], now: datetime) -> tuple[E164, ...] | Deferred | Refused:
    """Return the numbers to remove now, or what the order comes to instead."""
    clean = tuple(turn.e164 for turn in turns if turn.at <= now)
    waiting = [turn for turn in turns if turn.at > now]
    when = order.request.when_tainted
    if not waiting or (clean and when is WhenTainted.SPLIT):
        return clean
    if when is WhenTainted.FAIL:
        return _failed(order, turns, now)
    at = min(turn.at for turn in waiting) if when is WhenTainted.SPLIT else max(turn.at for turn in waiting)
    return Deferred(_reason(waiting, at), at, to_wait(waiting))


def to_wait(turns: Iterable[Turn]) -> tuple[NumberResult, ...]:
    """Return numbers whose turn is still to come, each with when and why."""
    return tuple(turn.result(NumberState.REQUESTED) for turn in turns)


def is_tainted(said: str | None, code: str | None = None) -> bool:
    """Tell whether a refusal says that numbers are too young to be removed."""
    return (code or "").casefold() in TAINTED_CODES or bool(said and TAINTED_WORDS.search(said))


def called_tainted(view: OrderView, left: Collection[E164]) -> tuple[E164, ...]:
    """Return which of the numbers that were not removed the carrier calls tainted: those that it names, else all."""
    said = [piece for text in (*view.troubles, view.detail or "") for piece in text.split(";")]
    about_taint = [piece for piece in said if is_tainted(piece)]
    if not about_taint and not is_tainted(None, view.error_code):
        return ()
    named = {number for piece in about_taint for number in _named(piece)}
    return tuple(number for number in left if number in named) or tuple(left)


def reason_of_refusal(said: str) -> str:
    """Return why a removal that the carrier would not do yet waits."""
    return f"the carrier refused as tainted, against our reckoning: {said}"


def _named(text: str) -> Iterable[E164]:
    for found in NUMBERS_NAMED.findall(text):
        yield e164_from_carrier(found)


def _failed(order: Order, turns: Sequence[Turn], now: datetime) -> Refused:
    waiting = [turn for turn in turns if turn.at > now]
    not_tried = "not removed: others of the order are tainted, and it is to fail then"
    numbers = tuple(
        turn.result(NumberState.FAILED)
        if turn.at > now
        else NumberResult(turn.e164, NumberState.FAILED, NOT_TRIED, not_tried)
        for turn in turns
    )
    count = f"{len(waiting)} of {len(turns)} numbers"
    return Refused(
        f"{count} cannot be removed yet: {waiting[0].e164} {waiting[0].text}", waiting[0].code, None, numbers
    )


def _reason(waiting: Sequence[Turn], at: datetime) -> str:
    awaited = sum(turn.code == AWAITED for turn in waiting)
    if awaited == len(waiting):
        return f"waits for {_count(awaited)} that another order is still to bring"
    which = f"{_count(len(waiting))} cannot be removed yet"
    return f"tainted: {which}; it goes on at {_said(at)}"


def _count(numbers: int) -> str:
    return "1 number" if numbers == 1 else f"{numbers} numbers"


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
