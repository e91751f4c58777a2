"""What an order has brought, judged from what it says and which numbers are on the account.

An order never lists its numbers. Bought ones are those that came to the account since the cart did and fit what was
ordered; named ones are looked up by name. Asks nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from number_orders.carriers.swift.facts import LOOKS, MMS_UNAVAILABLE, SMS_UNAVAILABLE, UNAVAILABLE_LOOKS, Reach, Status
from number_orders.carriers.swift.json import Did, OrderView
from number_orders.carriers.swift.removals import said
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164

End = Filled | PartlyFilled | FilledWithErrors | Refused


def candidates(order: Order, dids: Mapping[E164, Did], since: datetime, status: str) -> tuple[E164, ...]:
    """Return the numbers that may have come by this order, the oldest first.

    Args:
        order: What was ordered.
        dids: The numbers on the account.
        since: When the cart came to be, on the carrier's clock.
        status: How the order ended. One that is done may have found a named number on the account already.
    """
    new = [did.e164 for did in sorted(dids.values(), key=lambda did: did.inserted_at) if did.inserted_at >= since]
    if not order.request.numbers:
        return tuple(number for number in new if _fits(order, number))
    here = set(new) if status == Status.ERROR else set(dids)
    return tuple(number for number in order.request.numbers if number in here)


def _fits(order: Order, number: E164) -> bool:
    criteria = order.request.criteria
    national = number.removeprefix("+1")
    npa, nxx = (criteria.npa or "", criteria.nxx or "") if criteria else ("", "")
    return number.startswith("+1") and national.startswith(npa) and national[3:].startswith(nxx)


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order that the carrier has ended, and the numbers that it brought."""

    order: Order
    view: OrderView
    status: str
    results: tuple[NumberResult, ...]
    pending: bool
    """Some of them are on their way to being usable."""
    unusable: int
    """So many will hardly ever be."""
    gone: int
    """So many are on the account no more."""

    @classmethod
    def of(
        cls, order: Order, view: OrderView, status: str, found: Collection[E164], dids: Mapping[E164, Did]
    ) -> "Purchase":
        """Look at every number of an order."""
        mms = order.request.options.get("mms_enabled") is True
        reached = {number: _reach(dids.get(number), mms=mms) for number in found}
        return cls(
            order,
            view,
            status,
            tuple(_result(number, reach) for number, reach in reached.items()),
            any(reach is not None and reach[0] == Reach.PENDING for reach in reached.values()),
            sum(reach is not None and reach[0] == Reach.UNAVAILABLE for reach in reached.values()),
            sum(reach is None for reach in reached.values()),
        )

    @property
    def looks_wanted(self) -> int:
        """How often what is amiss with a number must be seen before it is believed."""
        return UNAVAILABLE_LOOKS if self.unusable else LOOKS if self.gone else 0

    def known(self) -> tuple[NumberResult, ...]:
        """Return the numbers that are there beyond doubt."""
        return tuple(result for result in self.results if result.state is not NumberState.RELEASED)

    def end(self) -> End:
        """Return how the order ended."""
        results, wanted, got = (*self.results, *self._missing()), self.order.request.wanted, len(self.results)
        if trouble := self._trouble(got, wanted):
            return FilledWithErrors(self.status, results, trouble)
        words = said(self.view, self.status)
        if got == wanted:
            return Filled(self.status, results)
        if got:
            return PartlyFilled(self.status, results, f"{got} of {wanted} numbers came: {words}")
        return Refused(words, self.view.error_code, self.status, results)

    def _missing(self) -> Iterator[NumberResult]:
        """Yield the numbers that were named and did not come."""
        came = {result.e164 for result in self.results}
        for number in self.order.request.numbers:
            if number not in came:
                words = f"not on the account; {said(self.view, self.status)}"
                yield NumberResult(number, NumberState.FAILED, self.view.error_code, words)

    def _trouble(self, got: int, wanted: int) -> str | None:
        """Say what cannot be told as a plain end, or contradicts itself."""
        words = said(self.view, self.status)
        if self.gone:
            return f"{self.gone} of {got} numbers came and are on the account no more; {words}"
        if self.unusable:
            return f"{self.unusable} of {got} numbers are ours and cannot send or take messages; {words}"
        if got > wanted:
            return f"{got} numbers came to the account where {wanted} were ordered; {words}"
        match self.status:
            case Status.ERROR if got:
                return f"{words}, yet {got} numbers came"
            case Status.COMPLETED if not got:
                return f"{words}, yet none of the numbers is on the account"
            case Status.COMPLETED_WITH_ERRORS if got == wanted:
                return words
            case _:
                return None


def _reach(did: Did | None, *, mms: bool) -> tuple[str, str | None] | None:
    """Return how far messaging is on a number, and the code of what cannot be had; None for one that is gone."""
    if did is None:
        return None
    reaches = {SMS_UNAVAILABLE: did.sms, **({MMS_UNAVAILABLE: did.mms} if mms else {})}
    if not set(reaches.values()) <= {Reach.AVAILABLE, Reach.UNAVAILABLE}:
        return Reach.PENDING, None  # also what nobody has heard of
    none = next((code for code, reach in reaches.items() if reach == Reach.UNAVAILABLE), None)
    return (Reach.UNAVAILABLE if none else Reach.AVAILABLE), none


def _result(number: E164, reach: tuple[str, str | None] | None) -> NumberResult:
    match reach:
        case None:
            return NumberResult(number, NumberState.RELEASED, None, "it came, and is on the account no more")
        case (Reach.AVAILABLE, _):
            return NumberResult(number, NumberState.USABLE)
        case (_, None):
            return NumberResult(number, NumberState.ACQUIRED)
        case (_, code):
            return NumberResult(number, NumberState.ACQUIRED, code, "the carrier offers no messaging on it")
