"""Read a carrier's list of our numbers, and records of single numbers, within the carrier's rate limits.

Each page and each record is one inquiry, so a fault costs one page and not the whole list.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from number_orders.carriers.holdings import CarrierHoldings, HoldingsPage, RecordsNumbers
from number_orders.carriers.market import HeldNumber
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.inquirer import Inquirer, InquiryStores
from number_orders.fulfilment.lanes.rate import LedgerClock
from number_orders.ledger.holdings import ReportedNumber
from number_orders.orders.errors import NoAnswer
from number_orders.orders.numbers import E164

_SHOWN_MIN: Final = 0.9
"""The part of the carrier's total that a whole list shows at least."""


@dataclass(slots=True)
class Reading:
    """A carrier's list as it was read."""

    listed: dict[E164, ReportedNumber] = field(default_factory=dict)
    unreadable: int = 0

    def merged(self, other: "Reading") -> "Reading":
        """Return what either reading shows."""
        return Reading(self.listed | other.listed, max(self.unreadable, other.unreadable))


@dataclass(frozen=True, slots=True)
class HoldingsReader:
    """Reads what one carrier says that we hold."""

    carrier: Carrier
    holdings: CarrierHoldings
    ledger: InquiryStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock

    @property
    def _inquirer(self) -> Inquirer:
        return Inquirer(self.carrier, self.ledger, self.boot_clock, self.ledger_clock)

    async def read_list(self) -> Reading:
        """Read the whole list.

        Raises:
            Declined, UnreadableAnswer: The carrier refused, or its answer cannot be read.
            NoAnswer: The carrier does not answer, or the list has no end.
        """
        reading, page = Reading(), HoldingsPage(())
        totals: list[int | None] = []
        asked: set[str | None] = set()
        while page.next_page not in asked and len(asked) < self.holdings.pages_max:
            asked.add(page.next_page)
            page = await self._inquirer.ask(self.holdings.list_group, partial(self.holdings.page, page.next_page))
            reading.listed.update((one.e164, _listed(one)) for one in page.listed)
            reading.unreadable += page.unreadable
            totals.append(page.total)
            if page.next_page is None:
                return _whole(reading, totals)
        raise NoAnswer(f"the list of numbers has no end: {len(reading.listed)} were shown")

    async def records(self, numbers: Iterable[E164]) -> dict[E164, HeldNumber]:
        """Read the records of these numbers; of none, if the carrier has no records."""
        source = self.holdings
        if not isinstance(source, RecordsNumbers):
            return {}
        return {e164: await self._inquirer.ask(source.record_group, partial(source.record, e164)) for e164 in numbers}

    async def references(self, carrier_order_ids: Iterable[str]) -> dict[str, str | None]:
        """Read the references of these orders of the carrier."""
        source = self.holdings
        if not isinstance(source, RecordsNumbers):
            return {}
        return {
            one: await self._inquirer.ask(source.record_group, partial(source.reference, one))
            for one in carrier_order_ids
        }


def _listed(held: HeldNumber) -> ReportedNumber:
    return ReportedNumber(held.e164, held.account, held.ordered_at)


def _whole(reading: Reading, totals: Sequence[int | None]) -> Reading:
    """Return the list, unless the carrier says that it has many more numbers: each would look like a ghost.

    Numbers come and go while pages are read, so a small difference means nothing.

    Raises:
        NoAnswer: It has many more.
    """
    shown = len(reading.listed) + reading.unreadable
    least = min((total for total in totals if total is not None), default=0)
    if shown < least * _SHOWN_MIN:
        raise NoAnswer(f"the list of numbers is not whole: {shown} of {least} were shown")
    return reading
