"""Judge what an order has brought, from what the order says and which numbers are on the account.

An order never lists its numbers. Bought numbers are those that came to the account since the cart was made and fit what
was ordered. Named numbers are looked up by name. Sends nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from number_orders.carriers.swift.facts import (
    MMS_UNAVAILABLE,
    SMS_UNAVAILABLE,
    MessagingStatus,
    Status,
)
from number_orders.carriers.swift.json import Did, OrderView
from number_orders.carriers.swift.removals import status_text
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused
from number_orders.orders.model import Criteria, NumberResult, NumberState, Order, Owner
from number_orders.orders.numbers import E164

End = Filled | PartlyFilled | FilledWithErrors | Refused


def candidates(
    order: Order, dids: Mapping[E164, Did], since: datetime, until: datetime | None, status: str
) -> tuple[E164, ...]:
    """Return the numbers that may have come by this order, the oldest first.

    Args:
        order: What was ordered.
        dids: The numbers on the account.
        since: When the cart was made, on the carrier's clock.
        until: When the next order of ours was made there, if that is already so.
        status: How the order ended. One that is COMPLETED may have found a named number on the account already.
    """
    in_order = sorted(dids.values(), key=lambda did: did.inserted_at)
    new = [did.e164 for did in in_order if did.inserted_at >= since and (until is None or did.inserted_at < until)]
    if not order.request.numbers:
        return tuple(number for number in new if _fits(order.request.criteria, number))
    here = set(new) if status == Status.ERROR else set(dids)
    return tuple(number for number in order.request.numbers if number in here)


def may_have_brought(owner: Owner | None, number: E164) -> bool:
    """Return whether the order that follows a purchase may have brought a number that it does not have."""
    return owner is None or (not owner.is_complete and _fits(owner.criteria, number))


def _fits(criteria: Criteria | None, number: E164) -> bool:
    national = number.removeprefix("+1")
    npa, nxx = (criteria.npa or "", criteria.nxx or "") if criteria else ("", "")
    return number.startswith("+1") and national.startswith(npa) and national[3:].startswith(nxx)


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order that has ended at the carrier, and the numbers that it brought."""

    order: Order
    view: OrderView
    status: str
    results: tuple[NumberResult, ...]
    pending: bool
    """Messaging is still to come on some of them."""
    unusable: int
    """How many will most likely never have messaging."""
    gone: int
    """How many are not on the account any more."""

    @classmethod
    def from_dids(
        cls, order: Order, view: OrderView, status: str, found: Collection[E164], dids: Mapping[E164, Did]
    ) -> "Purchase":
        """Judge every number of an order."""
        mms = order.request.options.get("mms_enabled") is True
        messaging = {number: _messaging(dids.get(number), mms=mms) for number in found}
        return cls(
            order,
            view,
            status,
            tuple(_result(number, status_and_code, dids.get(number)) for number, status_and_code in messaging.items()),
            any(one is not None and one[0] == MessagingStatus.PENDING for one in messaging.values()),
            sum(one is not None and one[0] == MessagingStatus.UNAVAILABLE for one in messaging.values()),
            sum(one is None for one in messaging.values()),
        )

    def present_results(self) -> tuple[NumberResult, ...]:
        """Return the results of the numbers that are certainly there."""
        return tuple(result for result in self.results if result.state is not NumberState.RELEASED)

    def end(self) -> End:
        """Return the end of the order."""
        results, wanted, got = (*self.results, *self._missing_results()), self.order.request.wanted, len(self.results)
        if conflict := self._conflict(got, wanted):
            return FilledWithErrors(self.status, results, conflict)
        text = status_text(self.view, self.status)
        if got == wanted:
            return Filled(self.status, results)
        if got:
            return PartlyFilled(self.status, results, f"{got} of {wanted} numbers came: {text}")
        return Refused(text, self.view.error_code, self.status, results)

    def _missing_results(self) -> Iterator[NumberResult]:
        """Yield the results of the numbers that were named and did not come."""
        came = {result.e164 for result in self.results}
        for number in self.order.request.numbers:
            if number not in came:
                text = f"not on the account; {status_text(self.view, self.status)}"
                yield NumberResult(number, NumberState.FAILED, self.view.error_code, text)

    def _conflict(self, got: int, wanted: int) -> str | None:
        """Return what contradicts the status, or does not fit a plain end; None if nothing does."""
        text = status_text(self.view, self.status)
        if self.gone:
            return f"{self.gone} of {got} numbers came and are not on the account any more; {text}"
        if self.unusable:
            return f"{self.unusable} of {got} numbers are ours and cannot send or take messages; {text}"
        if got > wanted:
            return f"{got} numbers came to the account where {wanted} were ordered; {text}"
        match self.status:
            case Status.ERROR if got:
                return f"{text}, yet {got} numbers came"
            case Status.COMPLETED if not got:
                return f"{text}, yet none of the numbers is on the account"
            case Status.COMPLETED_WITH_ERRORS if got == wanted:
                return text
            case _:
                return None


def _messaging(did: Did | None, *, mms: bool) -> tuple[str, str | None] | None:
    """Return a number's messaging status and the code of what it lacks; None if the number is gone."""
    if did is None:
        return None
    statuses = {SMS_UNAVAILABLE: did.sms, **({MMS_UNAVAILABLE: did.mms} if mms else {})}
    if not set(statuses.values()) <= {MessagingStatus.AVAILABLE, MessagingStatus.UNAVAILABLE}:
        return MessagingStatus.PENDING, None  # an unknown status counts as PENDING
    lacking = next((code for code, status in statuses.items() if status == MessagingStatus.UNAVAILABLE), None)
    return (MessagingStatus.UNAVAILABLE if lacking else MessagingStatus.AVAILABLE), lacking


def _result(number: E164, messaging: tuple[str, str | None] | None, did: Did | None) -> NumberResult:
    written = f"the carrier writes {did.written}, which no numbering plan allows" if did and did.written else None
    match messaging:
        case None:
            return NumberResult(number, NumberState.RELEASED, None, "it came, and is not on the account any more")
        case (MessagingStatus.AVAILABLE, _):
            return NumberResult(number, NumberState.USABLE, None, written)
        case (_, None):
            return NumberResult(number, NumberState.ACQUIRED, None, written)
        case (_, code):
            lacks = "the carrier offers no messaging on it"
            return NumberResult(number, NumberState.ACQUIRED, code, f"{lacks}; {written}" if written else lacks)
