"""What has become of a removal, judged from what Bandwidth shows of the disconnect.

Knows how to weigh a status against the numbers given up and the errors beside it, and that after a lost answer "not
yours" may mean "given up before": of which numbers it does, is found out elsewhere and told as `gone`. Knows no XML
and asks nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from number_orders.carriers.bandwidth.facts import GONE_CODES, NOT_ACTIVATED_YET, PENDING_CODE
from number_orders.carriers.bandwidth.outcomes import End, Ending, ending
from number_orders.carriers.bandwidth.xml import CarrierError, OrderView
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164


def still_removing(view: OrderView, status: str) -> StillOpen | None:
    """Return how an unfinished removal stands, or None when its status is one of the three ends."""
    detail = next((str(error) for error in view.errors), None)
    if status.upper() in NOT_ACTIVATED_YET or any(error.code == PENDING_CODE for error in view.errors):
        return StillOpen(status, detail=detail)
    return StillOpen(status, detail=detail, unheard_of=True) if ending(status) is None else None


def not_ours_now(order: Order, view: OrderView) -> tuple[E164, ...]:
    """Return the numbers of which an ended removal says that they are not ours: strangers, or given up before."""
    given_up = set(view.completed.listed)
    errors = ((e164, _error_of(e164, view)) for e164 in order.request.numbers if e164 not in given_up)
    return tuple(e164 for e164, error in errors if error and error.code in GONE_CODES)


def refused_as_not_ours(refused: Refused) -> tuple[E164, ...]:
    """Return the numbers of which a refusal says that they are not ours."""
    return tuple(result.e164 for result in refused.numbers if result.code in GONE_CODES)


def removal_end(order: Order, view: OrderView, status: str, gone: Collection[E164] = ()) -> End:
    """Return the end of a removal; one that contradicts itself ends with errors.

    `gone` are those of its numbers that an earlier send, whose answer was lost, gave up.
    """
    end = ending(status)
    assert end is not None, "every status that is not open is an end"
    results = tuple(_results(order, view, end, gone))
    if faults := [*_contradictions(order, view, end, gone)]:
        return FilledWithErrors(status, results, f"the carrier says {status}, yet {'; '.join(faults)}")
    return _end(order, results, status, _first_words(view, gone))


def with_the_gone(order: Order, refused: Refused, gone: Collection[E164]) -> End:
    """Return what a refusal comes to when an earlier send of this removal gave some of its numbers up."""
    if not gone:
        return refused
    results = tuple(
        replace(result, state=NumberState.RELEASED) if result.e164 in gone else result for result in refused.numbers
    )
    return _end(order, results, str(refused.code), refused.reason)


def _end(order: Order, results: tuple[NumberResult, ...], status: str, words: str | None) -> End:
    done = sum(result.state is NumberState.RELEASED for result in results)
    if done == order.request.wanted:
        return Filled(status, results)
    if not done:
        code = next((result.code for result in results if result.code), None)
        return Refused(words or "the carrier gave no reason", code, status, results)
    short = f"{done} of {order.request.wanted} numbers were given up"
    return PartlyFilled(status, results, f"{short}: {words}" if words else short)


def _results(order: Order, view: OrderView, end: Ending, gone: Collection[E164]) -> Iterator[NumberResult]:
    """Yield what became of every number. One that a COMPLETE does not mention stays as it was: nothing is known."""
    given_up = set(view.completed.listed)
    for e164 in dict.fromkeys((*order.request.numbers, *view.completed.listed)):
        error = _error_of(e164, view)
        told = (error.code, error.text) if error else (None, None)
        if e164 in given_up:
            own = error if error and error.e164 else None
            yield NumberResult(e164, NumberState.RELEASED, *((own.code, own.text) if own else (None, None)))
        elif error and e164 in gone:
            yield NumberResult(e164, NumberState.RELEASED, *told)
        elif error or end is not Ending.COMPLETE:
            yield NumberResult(e164, NumberState.FAILED, *told)


def _error_of(e164: E164, view: OrderView) -> CarrierError | None:
    """Return a number's own error, or else the one that concerns the whole removal."""
    own = next((error for error in view.errors if error.e164 == e164), None)
    return own or next((error for error in view.errors if error.e164 is None), None)


def _is_work_done(error: CarrierError, gone: Collection[E164]) -> bool:
    """Tell whether an error says only that an earlier send, whose answer was lost, did its work."""
    return error.code in GONE_CODES and (error.e164 in gone if error.e164 else bool(gone))


def _contradictions(order: Order, view: OrderView, end: Ending, gone: Collection[E164]) -> Iterator[str]:
    """Yield, in words, everything that cannot be true if the removal ended so."""
    given_up, asked = set(view.completed.listed), set(order.request.numbers)
    serious = [error for error in view.errors if not _is_work_done(error, gone)]
    if view.completed.unreadable:
        yield f"{view.completed.unreadable} of its numbers cannot be read"
    if given_up - asked:
        yield f"it gave up {_count(given_up - asked)} that nobody asked it to"
    if both := given_up & {error.e164 for error in serious}:
        yield f"{_count(both)} stand among the failed ones too"
    mentioned = given_up | {error.e164 for error in view.errors} if all(e.e164 for e in view.errors) else asked
    match end:
        case Ending.COMPLETE if serious:
            yield f"reports {serious[0]}"
        case Ending.COMPLETE if asked - mentioned:
            yield f"says nothing of {_count(asked - mentioned)}"
        case Ending.PARTIAL if not given_up or given_up >= asked:
            yield f"it gave up {len(given_up & asked)} of {_count(asked)}"
        case Ending.FAILED if given_up:
            yield f"it gave up {len(given_up & asked)} of {_count(asked)}"


def _first_words(view: OrderView, gone: Collection[E164]) -> str | None:
    error = next((error for error in view.errors if not _is_work_done(error, gone)), None)
    return (error.text or str(error)) if error else None


def _count(numbers: Collection[E164 | None]) -> str:
    return "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
