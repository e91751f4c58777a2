"""What has become of an order, judged from what Bandwidth shows.

Knows how to weigh a status against the lists, counts and errors beside it, and when they cannot all be
true. Knows no XML and asks nothing: when the first look does not settle it, the order's own list of
numbers is read (`number_orders.carriers.bandwidth.adapter`), and the judgement is made again with it.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum

from number_orders.carriers.bandwidth.facts import (
    BACKORDER_NEWS,
    BACKORDERED,
    COMPLETE,
    FAILED,
    NOT_ACTIVATED_YET,
    PARTIAL,
    PENDING_CODE,
    TAKEN_CODES,
)
from number_orders.carriers.bandwidth.xml import CarrierError, Numbers, OrderView
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164

End = Filled | PartlyFilled | FilledWithErrors | Refused


class Ending(StrEnum):
    """The three ends that Bandwidth knows."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


def still_open(view: OrderView, status: str) -> StillOpen | None:
    """Return how an unfinished order stands, or None when its status is one of the three ends."""
    word = status.upper()
    if _is_pending(view) or word in NOT_ACTIVATED_YET:
        return StillOpen(status, detail=_detail(view))
    if word == BACKORDERED:
        return StillOpen(status, numbers=_acquired(view.completed.listed), detail=_detail(view), slow=True)
    if ending(status) is None:
        return StillOpen(status, detail=_detail(view), unheard_of=True)
    return None


def ending(status: str) -> Ending | None:
    """Return which end a status is, or None when it is none."""
    word = status.upper()
    if word in COMPLETE:
        return Ending.COMPLETE
    return {PARTIAL: Ending.PARTIAL, FAILED: Ending.FAILED}.get(word)


def plain_end(order: Order, view: OrderView, status: str, end: Ending) -> End | None:
    """Return the end of an order whose status, lists, counts and errors agree; None when they do not."""
    got = view.completed
    if any(_miscounts(view, end)) or (end is Ending.PARTIAL and len(got.listed) == _wanted(order)):
        return None
    if any(_contradictions(order, view, got, end)):
        return None
    return _end(order, view, status, end, got.listed)


def weighed_end(order: Order, view: OrderView, status: str, end: Ending, true_list: Numbers | None) -> End:
    """Return the end of an order that contradicts itself, given its own list of numbers.

    `true_list` is None when Bandwidth keeps no such list for the order.
    """
    got = _believed(view, end, true_list)
    faults = [*_list_faults(view, end, true_list), *_contradictions(order, view, got, end)]
    if faults:
        reason = f"the carrier says {status}, yet {'; '.join(faults)}"
        return FilledWithErrors(status, _results(order, view, got.listed), reason)
    return _end(order, view, status, end, got.listed)


def refused_order(order: Order, errors: Collection[CarrierError]) -> Refused:
    """Return the refusal of an order that was never made."""
    first = next((error for error in errors if error.code), None)
    return Refused(
        reason=first.text or str(first) if first else "no reason given",
        code=first.code if first else None,
        numbers=_failures(order.request.numbers, errors),
    )


def taken(view: OrderView) -> tuple[E164, ...]:
    """Return the numbers that were gone already; after a lost answer it may be us who have them."""
    named = [error.e164 for error in view.errors if error.code in TAKEN_CODES and error.e164]
    unnamed = any(error.code in TAKEN_CODES and error.e164 is None for error in view.errors)
    return tuple(dict.fromkeys([*named, *(view.failed.listed if unnamed else ())]))


def is_taken(errors: Collection[CarrierError]) -> bool:
    """Tell whether numbers were gone already."""
    return any(error.code in TAKEN_CODES for error in errors)


def split_between(order: Order, view: OrderView, status: str, earlier_id: str, earlier: OrderView) -> FilledWithErrors:
    """Return the end of an order whose numbers went in part to an earlier one with our reference."""
    got = tuple(dict.fromkeys([*view.completed.listed, *earlier.completed.listed]))
    reason = f"the carrier has two orders with our reference: order {earlier_id} holds numbers as well"
    return FilledWithErrors(status, _results(order, view, got), reason)


def _is_pending(view: OrderView) -> bool:
    return any(error.code == PENDING_CODE for error in view.errors)


def _detail(view: OrderView) -> str | None:
    return next((str(error) for error in view.errors), None)


def _wanted(order: Order) -> int:
    return order.request.wanted


def _serious(view: OrderView) -> tuple[CarrierError, ...]:
    return tuple(error for error in view.errors if error.code not in BACKORDER_NEWS)


def _miscounts(view: OrderView, end: Ending) -> Iterator[str]:
    if view.completed_quantity not in {None, len(view.completed.listed)}:
        yield "CompletedQuantity"
    if end is Ending.COMPLETE and view.failed_quantity:
        yield "FailedQuantity"


def _believed(view: OrderView, end: Ending, true_list: Numbers | None) -> Numbers:
    """Return the numbers that the order most likely has.

    Its own list is believed before what stands beside the status. Only when that is empty although
    others were promised, these are kept: a number paid for must not drop out of sight.
    """
    if true_list is None or (not true_list.listed and end is not Ending.FAILED):
        return view.completed
    return true_list


def _list_faults(view: OrderView, end: Ending, true_list: Numbers | None) -> Iterator[str]:
    if true_list is None:
        yield "keeps no list of its numbers"
        return
    missing = set(view.completed.listed) - set(true_list.listed)
    if missing and end is not Ending.FAILED:
        yield f"its own list lacks {_count(missing)} that it names as completed"


def _contradictions(order: Order, view: OrderView, got: Numbers, end: Ending) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the order ended so with `got`."""
    listed, asked = set(got.listed), set(order.request.numbers)
    if got.unreadable:
        yield f"{got.unreadable} of its numbers cannot be read"
    if asked and listed - asked:
        yield f"it has {_count(listed - asked)} that nobody asked for"
    if listed & set(view.failed.listed):
        yield f"{_count(listed & set(view.failed.listed))} stand among the failed ones too"
    yield from _short_or_over(len(listed), _wanted(order), end)
    if end is Ending.COMPLETE or (end is Ending.PARTIAL and len(listed) == _wanted(order)):
        yield from _blemishes(view, listed)


def _short_or_over(got: int, wanted: int, end: Ending) -> Iterator[str]:
    match end:
        case Ending.COMPLETE if got != wanted:
            yield f"it has {got} of {wanted} numbers"
        case Ending.PARTIAL if not 0 < got <= wanted:
            yield f"it has {got} of {wanted} numbers"
        case Ending.FAILED if got:
            yield f"it has {got} of {wanted} numbers"


def _blemishes(view: OrderView, listed: Collection[E164]) -> Iterator[str]:
    if error := next(iter(_serious(view)), None):
        yield f"reports {error}"
    if stray := set(view.failed.listed) - set(listed):
        yield f"names {_count(stray)} as failed"


def _count(numbers: Collection[E164]) -> str:
    return "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"


def _end(order: Order, view: OrderView, status: str, end: Ending, got: tuple[E164, ...]) -> End:
    results = _results(order, view, got)
    if end is not Ending.FAILED and len(got) == _wanted(order):
        return Filled(status, results)
    error = next(iter(_serious(view)), None)
    if end is Ending.FAILED:
        reason = _words(error, view) or "the carrier gave no reason"
        return Refused(reason, error.code if error else None, status, results)
    short = f"{len(got)} of {_wanted(order)} numbers"
    return PartlyFilled(status, results, f"{short}: {words}" if (words := _words(error, view)) else short)


def _words(error: CarrierError | None, view: OrderView) -> str | None:
    return (error.text or str(error)) if error else view.summary


def _acquired(numbers: Collection[E164]) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, NumberState.ACQUIRED) for number in numbers)


def _results(order: Order, view: OrderView, got: Collection[E164]) -> tuple[NumberResult, ...]:
    """Return what became of every number that was asked for, and of every other one they name.

    Numbers are matched by themselves, never by their place in a list. For an order by criteria only
    numbers that Bandwidth names appear.
    """
    asked = order.request.numbers
    held, wished = set(got), set(asked)
    named = [*view.failed.listed, *(error.e164 for error in view.errors if error.e164), *view.completed.listed]
    lost = [number for number in dict.fromkeys(asked or named) if number not in held]
    first = [number for number in asked if number in held]
    extra = [number for number in got if number not in wished]
    return (*_acquired([*first, *extra]), *_failures(lost, view.errors))


def _failures(numbers: Collection[E164], errors: Collection[CarrierError]) -> tuple[NumberResult, ...]:
    """Return the failed numbers with their own errors, or with the one that concerns the whole order."""
    own = {error.e164: error for error in reversed(tuple(errors)) if error.e164}
    common = next((error for error in errors if error.e164 is None and error.code not in BACKORDER_NEWS), None)
    unknown = CarrierError(None, None)
    return tuple(
        NumberResult(number, NumberState.FAILED, error.code, error.text)
        for number in numbers
        for error in [own.get(number) or common or unknown]
    )
