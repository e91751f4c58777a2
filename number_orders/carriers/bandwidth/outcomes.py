"""Judge how an order stands or ended, from what Bandwidth shows of it.

Compares the status with the lists, counts and errors beside it, and finds where they contradict each other. Knows no
XML and sends nothing. When an answer contradicts itself or leaves a number unmentioned, the conversation reads the
order's own list of numbers and looks up the numbers that are still missing, and the order is judged again with both.

No number has failed because nothing is said of it: it has failed if the carrier says so, of the number or of the whole
order, or if a look at the number shows that it is not ours. Otherwise its result is `requested`: nobody knows.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from number_orders.carriers.bandwidth.facts import (
    BACKORDER_INFO_CODES,
    BACKORDERED,
    COMPLETE,
    FAILED,
    OPEN_STATUSES,
    PARTIAL,
    PENDING_CODE,
    TAKEN_CODES,
)
from number_orders.carriers.bandwidth.xml import CarrierError, NumberList, OrderView
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import HELD_STATES, Kind, NumberResult, NumberState, Order
from number_orders.orders.numbers import E164, count_in_words

_INVALID_TEXT: Final = "not a valid number: no numbering plan has it, and the carrier shows it like this"
_UNREADABLE_SHOWN_MAX: Final = 20
"""Of so many entries that are no numbers the text is kept."""

Purchased = Filled | PartlyFilled | FilledWithErrors
"""An end that may have brought numbers."""
EndEvent = Purchased | Refused


class EndStatus(StrEnum):
    """The three ways in which an order ends at Bandwidth."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NumberLook:
    """What a look at one number shows: whether it is ours, if that can be told, and in words."""

    is_ours: bool | None
    text: str


def still_open(view: OrderView, status: str) -> StillOpen | None:
    """Return the event for an order that has not ended; None if its status is one of the three ends."""
    word = status.upper()
    if _is_pending(view) or word in OPEN_STATUSES:
        return StillOpen(status, detail=_detail(view))
    if word == BACKORDERED:
        return StillOpen(
            status, numbers=_acquired(view.completed.listed, view.completed.invalid), detail=_detail(view), slow=True
        )
    if end_status(status) is None:
        return StillOpen(status, detail=_detail(view), unheard_of=True)
    return None


def end_status(status: str) -> EndStatus | None:
    """Return which end a status is, or None if it is not an end."""
    word = status.upper()
    if word in COMPLETE:
        return EndStatus.COMPLETE
    return {PARTIAL: EndStatus.PARTIAL, FAILED: EndStatus.FAILED}.get(word)


def consistent_end(order: Order, view: OrderView, status: str, end: EndStatus) -> EndEvent | None:
    """Return the end of an order if its status, lists, counts and errors agree; None if they do not."""
    got = view.completed
    if any(_count_conflicts(view, end)) or (end is EndStatus.PARTIAL and len(got.listed) == _wanted(order)):
        return None
    if any(_contradictions(order, view, got, end)) or _unmentioned(order, view, end, got):
        return None
    return _end(order, view, status, end, got, {})


def unmentioned_numbers(order: Order, view: OrderView, end: EndStatus, own_list: NumberList | None) -> tuple[E164, ...]:
    """Return the numbers of an ended order of which nothing is said, so that a look must tell whose they are."""
    return _unmentioned(order, view, end, _most_likely_numbers(view, end, own_list))


def reconciled_end(
    order: Order,
    view: OrderView,
    status: str,
    end: EndStatus,
    own_list: NumberList | None,
    looks: Mapping[E164, NumberLook],
) -> EndEvent:
    """Return the end of an order that contradicts itself, using its own list of numbers and the looks at numbers.

    `own_list` is None if Bandwidth keeps no such list for the order.
    """
    ours = tuple(number for number, look in looks.items() if look.is_ours)
    shown = _most_likely_numbers(view, end, own_list)
    got = replace(shown, listed=tuple(dict.fromkeys((*shown.listed, *ours))))
    faults = [*_list_conflicts(view, end, own_list, looks), *_contradictions(order, view, got, end)]
    if faults:
        reason = f"the carrier says {status}, yet {'; '.join(faults)}"
        return FilledWithErrors(status, _results(order, view, end, got, looks), reason)
    return _end(order, view, status, end, got, looks)


def without_released(end: Purchased, looks: Mapping[E164, NumberLook]) -> Purchased:
    """Return the end of a purchase of which numbers have left the account since: these are released, not held."""
    held = {result.e164 for result in end.numbers if result.state in HELD_STATES}
    gone = {
        e164: look.text.partition(": ")[2] for e164, look in looks.items() if look.is_ours is False and e164 in held
    }
    if not gone:
        return end
    numbers = tuple(
        replace(result, state=NumberState.RELEASED, text=f"bought, and gone since: {gone[result.e164]}")
        if result.e164 in gone
        else result
        for result in end.numbers
    )
    why = f"{count_in_words(len(gone))} bought and not on the account any more"
    match end:
        case Filled():
            return FilledWithErrors(end.carrier_status, numbers, f"the carrier says {end.carrier_status}, yet {why}")
        case PartlyFilled() | FilledWithErrors():
            return replace(end, numbers=numbers, reason=f"{end.reason}; {why}")


def refused_order(order: Order, errors: Collection[CarrierError]) -> Refused:
    """Return the refusal of an order that was not made."""
    first = next((error for error in errors if error.code), None)
    return Refused(
        reason=first.text or str(first) if first else "no reason given",
        code=first.code if first else None,
        numbers=tuple(_failure(number, errors, _blamed(order, errors)) for number in order.request.numbers),
    )


def taken_numbers(view: OrderView) -> tuple[E164, ...]:
    """Return the numbers that were not available any more. After a lost answer, we ourselves may own them."""
    named = [error.e164 for error in view.errors if error.code in TAKEN_CODES and error.e164]
    unnamed = any(error.code in TAKEN_CODES and error.e164 is None for error in view.errors)
    return tuple(dict.fromkeys([*named, *(view.failed.listed if unnamed else ())]))


def says_taken(errors: Collection[CarrierError]) -> bool:
    """Return whether an error says that numbers were not available any more."""
    return any(error.code in TAKEN_CODES for error in errors)


def _is_pending(view: OrderView) -> bool:
    return any(error.code == PENDING_CODE for error in view.errors)


def _detail(view: OrderView) -> str | None:
    said = [*(str(error) for error in view.errors[:1]), *(_number_faults(view.completed))]
    return "; ".join(said) or None


def _wanted(order: Order) -> int:
    return order.request.wanted


def _real_errors(view: OrderView) -> tuple[CarrierError, ...]:
    return tuple(error for error in view.errors if error.code not in BACKORDER_INFO_CODES)


def _count_conflicts(view: OrderView, end: EndStatus) -> Iterator[str]:
    if view.completed_quantity not in {None, len(view.completed.listed)}:
        yield "CompletedQuantity"
    if end is EndStatus.COMPLETE and view.failed_quantity:
        yield "FailedQuantity"


def _most_likely_numbers(view: OrderView, end: EndStatus, own_list: NumberList | None) -> NumberList:
    """Return the numbers that the order most likely has.

    Its own list counts more than what stands beside the status. Only if that list is empty although the status promises
    numbers, the latter are kept: a number that was paid for must not be forgotten.
    """
    if own_list is None or (not own_list.listed and end is not EndStatus.FAILED):
        return view.completed
    return own_list


def _unmentioned(order: Order, view: OrderView, end: EndStatus, got: NumberList) -> tuple[E164, ...]:
    """Return the numbers of which neither the lists nor the errors nor the status say anything.

    FAILED says of every number that it was not bought. So does an error of the whole order beside PARTIAL.
    """
    if end is EndStatus.FAILED or (end is EndStatus.PARTIAL and _common_error(view.errors)):
        return ()
    mentioned = {*got.listed, *view.failed.listed, *(error.e164 for error in view.errors)}
    return tuple(number for number in order.request.numbers or view.completed.listed if number not in mentioned)


def _list_conflicts(
    view: OrderView, end: EndStatus, own_list: NumberList | None, looks: Mapping[E164, NumberLook]
) -> Iterator[str]:
    ours = {number for number, look in looks.items() if look.is_ours}
    if own_list is None:
        if not looks or ours != set(looks):
            yield "keeps no list of its numbers"
        return
    missing = set(view.completed.listed) - set(own_list.listed) - ours
    if missing and end is not EndStatus.FAILED:
        yield f"its own list lacks {count_in_words(len(missing))} that it names as completed"


def _contradictions(order: Order, view: OrderView, got: NumberList, end: EndStatus) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the order ended with this status and these numbers."""
    listed, asked = set(got.listed), set(order.request.numbers)
    yield from _number_faults(got)
    if asked and listed - asked:
        yield f"it has {count_in_words(len(listed - asked))} that the order does not name"
    if listed & set(view.failed.listed):
        yield f"it lists {count_in_words(len(listed & set(view.failed.listed)))} both as completed and as failed"
    yield from _quantity_conflicts(len(listed), _wanted(order), end)
    if end is EndStatus.COMPLETE or (end is EndStatus.PARTIAL and len(listed) == _wanted(order)):
        yield from _error_conflicts(view, listed)


def _number_faults(got: NumberList) -> Iterator[str]:
    if got.unreadable:
        yield unreadable_text(got)
    if got.invalid:
        yield f"{count_in_words(len(got.invalid))} of it cannot be valid: {', '.join(sorted(got.invalid))}"


def unreadable_text(got: NumberList) -> str:
    """Return which entries of a list are no numbers, as they are written."""
    shown = ", ".join(repr(text[:40]) for text in got.unreadable[:_UNREADABLE_SHOWN_MAX])
    return f"{len(got.unreadable)} of its numbers cannot be read: {shown}"


def _quantity_conflicts(got: int, wanted: int, end: EndStatus) -> Iterator[str]:
    match end:
        case EndStatus.COMPLETE if got != wanted:
            yield f"it has {got} of {wanted} numbers"
        case EndStatus.PARTIAL if not 0 < got <= wanted:
            yield f"it has {got} of {wanted} numbers"
        case EndStatus.FAILED if got:
            yield f"it has {got} of {wanted} numbers"


def _error_conflicts(view: OrderView, listed: Collection[E164]) -> Iterator[str]:
    if error := next(iter(_real_errors(view)), None):
        yield f"reports {error}"
    if stray := set(view.failed.listed) - set(listed):
        yield f"names {count_in_words(len(stray))} as failed"


def _end(
    order: Order, view: OrderView, status: str, end: EndStatus, got: NumberList, looks: Mapping[E164, NumberLook]
) -> EndEvent:
    results = _results(order, view, end, got, looks)
    done = len(got.listed)
    if end is not EndStatus.FAILED and done == _wanted(order):
        return Filled(status, results)
    error = next(iter(_real_errors(view)), None)
    if end is EndStatus.FAILED:
        reason = _reason(error, view) or "the carrier gave no reason"
        return Refused(reason, error.code if error else None, status, results)
    short, why = f"{done} of {_wanted(order)} numbers", _reason(error, view)
    return PartlyFilled(status, results, f"{short}: {why}" if why else short)


def _reason(error: CarrierError | None, view: OrderView) -> str | None:
    return (error.text or str(error)) if error else view.summary


def _acquired(numbers: Collection[E164], invalid: Collection[E164] = ()) -> tuple[NumberResult, ...]:
    return tuple(
        NumberResult(number, NumberState.ACQUIRED, None, _INVALID_TEXT if number in invalid else None)
        for number in numbers
    )


def _results(
    order: Order, view: OrderView, end: EndStatus, got: NumberList, looks: Mapping[E164, NumberLook]
) -> tuple[NumberResult, ...]:
    """Return the result of every number that was ordered, and of every other number that Bandwidth names.

    Numbers are compared by value, never by their position in a list. For an order by criteria there are only results of
    numbers that Bandwidth names.
    """
    asked = order.request.numbers
    held, ordered = set(got.listed), set(asked)
    named = [*view.failed.listed, *(error.e164 for error in view.errors if error.e164), *view.completed.listed]
    missing = [number for number in dict.fromkeys(asked or named) if number not in held]
    first = [number for number in asked if number in held]
    extra = [number for number in got.listed if number not in ordered]
    unmentioned = frozenset(_unmentioned(order, view, end, got))
    refused = _blamed(order, view.errors) or view.summary if end is EndStatus.FAILED else None
    return (
        *_acquired([*first, *extra], got.invalid),
        *(
            _unmentioned_result(number, looks.get(number))
            if number in unmentioned
            else _failure(number, view.errors, refused)
            for number in missing
        ),
    )


def _unmentioned_result(number: E164, look: NumberLook | None) -> NumberResult:
    """Return the result of a number that is not ours as far as a look at it shows, or of which nothing is known."""
    if look is None:
        return NumberResult(number, NumberState.REQUESTED, None, "not known: the carrier says nothing of this number")
    if look.is_ours is None:
        return NumberResult(number, NumberState.REQUESTED, None, f"not known: {look.text}")
    return NumberResult(number, NumberState.FAILED, None, look.text)


def _failure(number: E164, errors: Collection[CarrierError], otherwise: str | None) -> NumberResult:
    """Return a failed number with its own error, the one of the whole order, or else with the text `otherwise`."""
    own = next((error for error in errors if error.e164 == number), None)
    if error := own or _common_error(errors):
        text = error.text or (None if error.code else str(error))
        return NumberResult(number, NumberState.FAILED, error.code, text)
    return NumberResult(number, NumberState.FAILED, None, otherwise or "the carrier gave no reason")


def _blamed(order: Order, errors: Collection[CarrierError]) -> str | None:
    """Return why nothing became of the other numbers of an order that was refused as a whole."""
    culprit = next((error for error in errors if error.e164), None)
    done = "disconnected" if order.request.kind is Kind.REMOVE_NUMBERS else "bought"
    return f"not {done} because of {culprit.e164}: {culprit}" if culprit else None


def _common_error(errors: Collection[CarrierError]) -> CarrierError | None:
    """Return the error that concerns the whole order."""
    return next((error for error in errors if error.e164 is None and error.code not in BACKORDER_INFO_CODES), None)
