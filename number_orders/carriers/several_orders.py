"""Judge an order that a carrier has several times under our reference.

That happens when an answer was lost, the order was sent again, and both submissions had arrived. Every one of them is
followed to its end before ours ends. Two that bought numbers are two purchases, and the end says so.
"""

from collections.abc import Iterable, Mapping

from number_orders.orders.events import CalledBack, Filled, FilledWithErrors, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import HELD_STATES, CarrierOrderId, NumberResult

EndEvent = Filled | PartlyFilled | FilledWithErrors | Refused | CalledBack


def bought_numbers(end: EndEvent) -> bool:
    """Return whether an order has numbers at its end."""
    return _count_bought(end.numbers) > 0


def waits_for_others(
    end: EndEvent, ended: CarrierOrderId, others: Mapping[CarrierOrderId, str], *, slow: bool
) -> StillOpen:
    """Return the event for an order that has ended while others with our reference have not.

    Args:
        end: How the order has ended that we follow.
        ended: Its id.
        others: The statuses of the others.
        slow: Whether the others take days.
    """
    done = tuple(result for result in end.numbers if result.state in HELD_STATES)
    status = end.carrier_status or "ended"
    living = ", ".join(f"{carrier_order_id} is still {word}" for carrier_order_id, word in others.items())
    detail = f"the carrier has {1 + len(others)} orders with our reference: {ended} is {status}, {living}"
    return StillOpen(status, done, detail, slow=slow)


def end_of_several(ends: Mapping[CarrierOrderId, EndEvent]) -> EndEvent:
    """Return the end of an order that a carrier has several times. All have ended; the first is the one we follow."""
    bought = {named: count for named, end in ends.items() if (count := _count_bought(end.numbers))}
    followed = next(iter(ends.values()))
    if len(bought) <= 1:
        return followed
    results = [result for end in ends.values() for result in end.numbers]
    latest = {result.e164: result for result in sorted(results, key=_is_bought)}  # what one has bought is bought
    numbers = tuple(latest[e164] for e164 in dict.fromkeys(result.e164 for result in results))
    each = ", ".join(f"{named} ({count})" for named, count in bought.items())
    reason = f"bought twice: the carrier has {len(bought)} orders with our reference that bought numbers: {each}"
    return FilledWithErrors(followed.carrier_status or "ended", numbers, reason, tuple(bought))


def _count_bought(results: Iterable[NumberResult]) -> int:
    return sum(map(_is_bought, results))


def _is_bought(result: NumberResult) -> bool:
    return result.state in HELD_STATES
