"""Judge how a removal stands or ended, from what Bandwidth shows of the disconnect.

Compares the status with the disconnected numbers and the errors beside it. After a lost answer, "not your number" may
mean that an earlier send has disconnected it. The conversation finds out for which numbers that is so, and passes them
as `released_before`. Knows no XML and sends nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from number_orders.carriers.bandwidth.facts import NOT_DISCONNECTABLE_CODES, OPEN_STATUSES, PENDING_CODE
from number_orders.carriers.bandwidth.outcomes import EndEvent, EndStatus, end_status
from number_orders.carriers.bandwidth.xml import CarrierError, OrderView
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164


def open_removal(view: OrderView, status: str) -> StillOpen | None:
    """Return the event for a removal that has not ended; None if its status is one of the three ends."""
    detail = next((str(error) for error in view.errors), None)
    if status.upper() in OPEN_STATUSES or any(error.code == PENDING_CODE for error in view.errors):
        return StillOpen(status, detail=detail)
    return StillOpen(status, detail=detail, unheard_of=True) if end_status(status) is None else None


def numbers_not_ours(order: Order, view: OrderView) -> tuple[E164, ...]:
    """Return the numbers that an ended removal calls not ours: they never were, or were disconnected before."""
    disconnected = set(view.completed.listed)
    errors = ((e164, _error_for(e164, view)) for e164 in order.request.numbers if e164 not in disconnected)
    return tuple(e164 for e164, error in errors if error and error.code in NOT_DISCONNECTABLE_CODES)


def numbers_refused_as_not_ours(refused: Refused) -> tuple[E164, ...]:
    """Return the numbers that a refusal calls not ours."""
    return tuple(result.e164 for result in refused.numbers if result.code in NOT_DISCONNECTABLE_CODES)


def removal_end(order: Order, view: OrderView, status: str, released_before: Collection[E164] = ()) -> EndEvent:
    """Return the end of a removal; `FilledWithErrors` if it contradicts itself.

    `released_before` are its numbers that an earlier send, whose answer was lost, has disconnected.
    """
    end = end_status(status)
    assert end is not None, "every status that is not open is an end"
    results = tuple(_results(order, view, end, released_before))
    if faults := [*_contradictions(order, view, end, released_before)]:
        return FilledWithErrors(status, results, f"the carrier says {status}, yet {'; '.join(faults)}")
    return _end(order, results, status, _reason(view, released_before))


def end_of_refusal(order: Order, refused: Refused, released_before: Collection[E164]) -> EndEvent:
    """Return the end of a refused removal, of which an earlier send may have disconnected numbers."""
    if not released_before:
        return refused
    results = tuple(
        replace(result, state=NumberState.RELEASED) if result.e164 in released_before else result
        for result in refused.numbers
    )
    return _end(order, results, str(refused.code), refused.reason)


def _end(order: Order, results: tuple[NumberResult, ...], status: str, reason: str | None) -> EndEvent:
    done = sum(result.state is NumberState.RELEASED for result in results)
    if done == order.request.wanted:
        return Filled(status, results)
    if not done:
        code = next((result.code for result in results if result.code), None)
        return Refused(reason or "the carrier gave no reason", code, status, results)
    short = f"{done} of {order.request.wanted} numbers were disconnected"
    return PartlyFilled(status, results, f"{short}: {reason}" if reason else short)


def _results(
    order: Order, view: OrderView, end: EndStatus, released_before: Collection[E164]
) -> Iterator[NumberResult]:
    """Yield the result of every number. One that a COMPLETE does not mention has none: nothing is known of it."""
    disconnected = set(view.completed.listed)
    for e164 in dict.fromkeys((*order.request.numbers, *view.completed.listed)):
        error = _error_for(e164, view)
        shown = (error.code, error.text) if error else (None, None)
        if e164 in disconnected:
            own = error if error and error.e164 else None
            yield NumberResult(e164, NumberState.RELEASED, *((own.code, own.text) if own else (None, None)))
        elif error and e164 in released_before:
            yield NumberResult(e164, NumberState.RELEASED, *shown)
        elif error or end is not EndStatus.COMPLETE:
            yield NumberResult(e164, NumberState.FAILED, *shown)


def _error_for(e164: E164, view: OrderView) -> CarrierError | None:
    """Return the number's own error, or else the one that concerns the whole removal."""
    own = next((error for error in view.errors if error.e164 == e164), None)
    return own or next((error for error in view.errors if error.e164 is None), None)


def _says_released_before(error: CarrierError, released_before: Collection[E164]) -> bool:
    """Return whether an error says only that an earlier send, whose answer was lost, has disconnected the number."""
    return error.code in NOT_DISCONNECTABLE_CODES and (
        error.e164 in released_before if error.e164 else bool(released_before)
    )


def _contradictions(order: Order, view: OrderView, end: EndStatus, released_before: Collection[E164]) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the removal ended so."""
    disconnected, asked = set(view.completed.listed), set(order.request.numbers)
    serious = [error for error in view.errors if not _says_released_before(error, released_before)]
    if view.completed.unreadable:
        yield f"{view.completed.unreadable} of its numbers cannot be read"
    if disconnected - asked:
        yield f"it disconnected {_count(disconnected - asked)} that the order does not name"
    if both := disconnected & {error.e164 for error in serious}:
        yield f"it lists {_count(both)} both as disconnected and with an error"
    mentioned = disconnected | {error.e164 for error in view.errors} if all(e.e164 for e in view.errors) else asked
    match end:
        case EndStatus.COMPLETE if serious:
            yield f"reports {serious[0]}"
        case EndStatus.COMPLETE if asked - mentioned:
            yield f"says nothing of {_count(asked - mentioned)}"
        case EndStatus.PARTIAL if not disconnected or disconnected >= asked:
            yield f"it disconnected {len(disconnected & asked)} of {_count(asked)}"
        case EndStatus.FAILED if disconnected:
            yield f"it disconnected {len(disconnected & asked)} of {_count(asked)}"


def _reason(view: OrderView, released_before: Collection[E164]) -> str | None:
    error = next((error for error in view.errors if not _says_released_before(error, released_before)), None)
    return (error.text or str(error)) if error else None


def _count(numbers: Collection[E164 | None]) -> str:
    return "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
