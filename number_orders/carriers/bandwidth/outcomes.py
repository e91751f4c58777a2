"""Judge how an order stands or ended, from what Bandwidth shows of it.

Compares the status with the lists, counts and errors beside it, and finds where they contradict each other. Knows no
XML and sends nothing. When an answer contradicts itself, the conversation reads the order's own list of numbers, and
the order is judged again with that list.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum

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
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164

EndEvent = Filled | PartlyFilled | FilledWithErrors | Refused


class EndStatus(StrEnum):
    """The three ways in which an order ends at Bandwidth."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


def still_open(view: OrderView, status: str) -> StillOpen | None:
    """Return the event for an order that has not ended; None if its status is one of the three ends."""
    word = status.upper()
    if _is_pending(view) or word in OPEN_STATUSES:
        return StillOpen(status, detail=_detail(view))
    if word == BACKORDERED:
        return StillOpen(status, numbers=_acquired(view.completed.listed), detail=_detail(view), slow=True)
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
    if any(_contradictions(order, view, got, end)):
        return None
    return _end(order, view, status, end, got.listed)


def reconciled_end(order: Order, view: OrderView, status: str, end: EndStatus, own_list: NumberList | None) -> EndEvent:
    """Return the end of an order that contradicts itself, using its own list of numbers.

    `own_list` is None if Bandwidth keeps no such list for the order.
    """
    got = _most_likely_numbers(view, end, own_list)
    faults = [*_list_conflicts(view, end, own_list), *_contradictions(order, view, got, end)]
    if faults:
        reason = f"the carrier says {status}, yet {'; '.join(faults)}"
        return FilledWithErrors(status, _results(order, view, got.listed), reason)
    return _end(order, view, status, end, got.listed)


def refused_order(order: Order, errors: Collection[CarrierError]) -> Refused:
    """Return the refusal of an order that was not made."""
    first = next((error for error in errors if error.code), None)
    return Refused(
        reason=first.text or str(first) if first else "no reason given",
        code=first.code if first else None,
        numbers=_failures(order.request.numbers, errors),
    )


def taken_numbers(view: OrderView) -> tuple[E164, ...]:
    """Return the numbers that were not available any more. After a lost answer, we ourselves may own them."""
    named = [error.e164 for error in view.errors if error.code in TAKEN_CODES and error.e164]
    unnamed = any(error.code in TAKEN_CODES and error.e164 is None for error in view.errors)
    return tuple(dict.fromkeys([*named, *(view.failed.listed if unnamed else ())]))


def says_taken(errors: Collection[CarrierError]) -> bool:
    """Return whether an error says that numbers were not available any more."""
    return any(error.code in TAKEN_CODES for error in errors)


def end_of_two_orders(
    order: Order, view: OrderView, status: str, earlier_id: str, earlier: OrderView
) -> FilledWithErrors:
    """Return the end of an order of which an earlier one with our reference has numbers as well."""
    got = tuple(dict.fromkeys([*view.completed.listed, *earlier.completed.listed]))
    reason = f"the carrier has two orders with our reference: order {earlier_id} holds numbers as well"
    return FilledWithErrors(status, _results(order, view, got), reason)


def _is_pending(view: OrderView) -> bool:
    return any(error.code == PENDING_CODE for error in view.errors)


def _detail(view: OrderView) -> str | None:
    return next((str(error) for error in view.errors), None)


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


def _list_conflicts(view: OrderView, end: EndStatus, own_list: NumberList | None) -> Iterator[str]:
    if own_list is None:
        yield "keeps no list of its numbers"
        return
    missing = set(view.completed.listed) - set(own_list.listed)
    if missing and end is not EndStatus.FAILED:
        yield f"its own list lacks {_count(missing)} that it names as completed"


def _contradictions(order: Order, view: OrderView, got: NumberList, end: EndStatus) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the order ended with this status and these numbers."""
    listed, asked = set(got.listed), set(order.request.numbers)
    if got.unreadable:
        yield f"{got.unreadable} of its numbers cannot be read"
    if asked and listed - asked:
        yield f"it has {_count(listed - asked)} that the order does not name"
    if listed & set(view.failed.listed):
        yield f"it lists {_count(listed & set(view.failed.listed))} both as completed and as failed"
    yield from _quantity_conflicts(len(listed), _wanted(order), end)
    if end is EndStatus.COMPLETE or (end is EndStatus.PARTIAL and len(listed) == _wanted(order)):
        yield from _error_conflicts(view, listed)


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
        yield f"names {_count(stray)} as failed"


def _count(numbers: Collection[E164]) -> str:
    return "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"


def _end(order: Order, view: OrderView, status: str, end: EndStatus, got: tuple[E164, ...]) -> EndEvent:
    results = _results(order, view, got)
    if end is not EndStatus.FAILED and len(got) == _wanted(order):
        return Filled(status, results)
    error = next(iter(_real_errors(view)), None)
    if end is EndStatus.FAILED:
        reason = _reason(error, view) or "the carrier gave no reason"
        return Refused(reason, error.code if error else None, status, results)
    short, why = f"{len(got)} of {_wanted(order)} numbers", _reason(error, view)
    return PartlyFilled(status, results, f"{short}: {why}" if why else short)


def _reason(error: CarrierError | None, view: OrderView) -> str | None:
    return (error.text or str(error)) if error else view.summary


def _acquired(numbers: Collection[E164]) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, NumberState.ACQUIRED) for number in numbers)


def _results(order: Order, view: OrderView, got: Collection[E164]) -> tuple[NumberResult, ...]:
    """Return the result of every number that was ordered, and of every other number that Bandwidth names.

    Numbers are compared by value, never by their position in a list. For an order by criteria there are only results of
    numbers that Bandwidth names.
    """
    asked = order.request.numbers
    held, ordered = set(got), set(asked)
    named = [*view.failed.listed, *(error.e164 for error in view.errors if error.e164), *view.completed.listed]
    missing = [number for number in dict.fromkeys(asked or named) if number not in held]
    first = [number for number in asked if number in held]
    extra = [number for number in got if number not in ordered]
    return (*_acquired([*first, *extra]), *_failures(missing, view.errors))


def _failures(numbers: Collection[E164], errors: Collection[CarrierError]) -> tuple[NumberResult, ...]:
    """Return the failed numbers, each with its own error, or with the one that concerns the whole order."""
    own = {error.e164: error for error in reversed(tuple(errors)) if error.e164}
    common = next((error for error in errors if error.e164 is None and error.code not in BACKORDER_INFO_CODES), None)
    unknown = CarrierError(None, None)
    return tuple(
        NumberResult(number, NumberState.FAILED, error.code, error.text)
        for number in numbers
        for error in [own.get(number) or common or unknown]
    )
