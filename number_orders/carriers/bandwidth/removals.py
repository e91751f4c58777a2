"""Judge how a removal stands or ended, from what Bandwidth shows of the disconnect.

Compares the status with the disconnected numbers and the errors beside it. After a lost answer, "not your number" may
mean that an earlier send has disconnected it. The conversation finds out for which numbers that is so, and passes them
as `released_before`. Knows no XML and sends nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from number_orders.carriers.bandwidth.facts import NOT_DISCONNECTABLE_CODES, OPEN_STATUSES, PENDING_CODE
from number_orders.carriers.bandwidth.outcomes import EndEvent, EndStatus, NumberLook, end_status, unreadable_text
from number_orders.carriers.bandwidth.xml import CarrierError, OrderView
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164, count_in_words

_NO_LOOKS: Final[Mapping[E164, NumberLook]] = MappingProxyType({})


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


def unmentioned_numbers(order: Order, view: OrderView, status: str) -> tuple[E164, ...]:
    """Return the numbers of an ended removal of which nothing is said. FAILED says of each that it is still ours."""
    if end_status(status) is EndStatus.FAILED:
        return ()
    disconnected = set(view.completed.listed)
    return tuple(e164 for e164 in order.request.numbers if e164 not in disconnected and not _error_for(e164, view))


def removal_end(
    order: Order,
    view: OrderView,
    status: str,
    released_before: Collection[E164] = (),
    looks: Mapping[E164, NumberLook] = _NO_LOOKS,
) -> EndEvent:
    """Return the end of a removal; `FilledWithErrors` if it contradicts itself.

    `released_before` are its numbers that an earlier send, whose answer was lost, has disconnected. `looks` show whose
    the numbers are that it does not mention.
    """
    end = end_status(status)
    assert end is not None, "every status that is not open is an end"
    results = tuple(_results(order, view, end, released_before, looks))
    if faults := [*_contradictions(order, view, end, released_before, looks)]:
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
    order: Order, view: OrderView, end: EndStatus, released_before: Collection[E164], looks: Mapping[E164, NumberLook]
) -> Iterator[NumberResult]:
    """Yield the result of every number. Of one that is not mentioned only a look at it tells."""
    disconnected = set(view.completed.listed)
    for e164 in dict.fromkeys((*order.request.numbers, *view.completed.listed)):
        error = _error_for(e164, view)
        shown = (error.code, error.text) if error else (None, None)
        if e164 in disconnected:
            own = error if error and error.e164 else None
            yield NumberResult(e164, NumberState.RELEASED, *((own.code, own.text) if own else (None, None)))
        elif error and e164 in released_before:
            yield NumberResult(e164, NumberState.RELEASED, *shown)
        elif error:
            yield NumberResult(e164, NumberState.FAILED, error.code, error.text or (None if error.code else str(error)))
        elif end is EndStatus.FAILED:
            yield NumberResult(e164, NumberState.FAILED, None, view.summary or "the carrier gave no reason")
        else:
            yield _result_of_look(e164, looks.get(e164))


def _result_of_look(e164: E164, look: NumberLook | None) -> NumberResult:
    """Return the result of a number that an ended removal does not mention."""
    if look is None:
        return NumberResult(e164, NumberState.REQUESTED, None, "not known: the carrier says nothing of this number")
    if look.is_ours is None:
        return NumberResult(e164, NumberState.REQUESTED, None, f"not known: {look.text}")
    if look.is_ours:
        return NumberResult(e164, NumberState.FAILED, None, f"not disconnected: {look.text}")
    return NumberResult(e164, NumberState.RELEASED)


def _error_for(e164: E164, view: OrderView) -> CarrierError | None:
    """Return the number's own error, or else the one that concerns the whole removal."""
    own = next((error for error in view.errors if error.e164 == e164), None)
    return own or next((error for error in view.errors if error.e164 is None), None)


def _says_released_before(error: CarrierError, released_before: Collection[E164]) -> bool:
    """Return whether an error says only that an earlier send, whose answer was lost, has disconnected the number."""
    return error.code in NOT_DISCONNECTABLE_CODES and (
        error.e164 in released_before if error.e164 else bool(released_before)
    )


def _contradictions(
    order: Order, view: OrderView, end: EndStatus, released_before: Collection[E164], looks: Mapping[E164, NumberLook]
) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the removal ended so."""
    gone = {e164 for e164, look in looks.items() if look.is_ours is False}
    disconnected, asked = {*view.completed.listed, *gone}, set(order.request.numbers)
    serious = [error for error in view.errors if not _says_released_before(error, released_before)]
    if view.completed.unreadable:
        yield unreadable_text(view.completed)
    if disconnected - asked:
        yield f"it disconnected {count_in_words(len(disconnected - asked))} that the order does not name"
    if both := disconnected & {error.e164 for error in serious}:
        yield f"it lists {count_in_words(len(both))} both as disconnected and with an error"
    mentioned = disconnected | {error.e164 for error in view.errors} if all(e.e164 for e in view.errors) else asked
    match end:
        case EndStatus.COMPLETE if serious:
            yield f"reports {serious[0]}"
        case EndStatus.COMPLETE if asked - mentioned:
            yield f"says nothing of {count_in_words(len(asked - mentioned))}"
        case EndStatus.PARTIAL if not disconnected or disconnected >= asked:
            yield f"it disconnected {len(disconnected & asked)} of {count_in_words(len(asked))}"
        case EndStatus.FAILED if disconnected:
            yield f"it disconnected {len(disconnected & asked)} of {count_in_words(len(asked))}"


def _reason(view: OrderView, released_before: Collection[E164]) -> str | None:
    error = next((error for error in view.errors if not _says_released_before(error, released_before)), None)
    return (error.text or str(error)) if error else None
