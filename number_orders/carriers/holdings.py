"""What a carrier says that we hold: the list of our numbers page by page, and its record of one of them.

These are inquiries (`carriers.contract.Inquiry`): they cost nothing, are about no order, and change nothing. Each reads
one page or one record, so whoever asks keeps to the carrier's limits, and continues after a fault where it stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from number_orders.carriers.contract import Inquiry
from number_orders.carriers.market import HeldNumber, Holdings
from number_orders.orders.errors import NoAnswer
from number_orders.orders.numbers import E164


@dataclass(frozen=True, slots=True)
class HoldingsPage:
    """One page of the list of our numbers."""

    listed: tuple[HeldNumber, ...]
    next_page: str | None = None
    """Names the next page. None: this is the last."""
    total: int | None = None
    """How many numbers the whole list has, if the carrier says so."""
    unreadable: int = 0
    """How many entries could not be read as numbers."""


class CarrierHoldings(Protocol):
    """The inquiries about the numbers that one carrier says we hold.

    An inquiry raises:
        Declined: The carrier refused to answer.
        NoAnswer: The carrier did not answer, or a gateway answered in its place.
        UnreadableAnswer: The answer is not what the carrier's documents describe.
    """

    @property
    def pages_max(self) -> int:
        """More pages than this are no list of our numbers."""
        ...

    @property
    def list_group(self) -> str:
        """The rate limit that counts a page, in the carrier's word."""
        ...

    def page(self, name: str | None = None) -> Inquiry[HoldingsPage]:
        """Read one page of the numbers of all accounts; the first, if none is named."""
        ...


@runtime_checkable
class RecordsNumbers(Protocol):
    """Holdings of a carrier that also answers about one number, and about the order that brought it."""

    @property
    def record_group(self) -> str:
        """The rate limit that counts these inquiries, in the carrier's word."""
        ...

    def record(self, e164: E164) -> Inquiry[HeldNumber]:
        """Read the record of a number; `is_ours` says whether we hold it, as far as the carrier says."""
        ...

    def reference(self, carrier_order_id: str) -> Inquiry[str | None]:
        """Read the reference of the order that brought a number; None if it has none, or is not ours to read."""
        ...


@runtime_checkable
class ShowsHoldings(Protocol):
    """An adapter whose carrier lists the numbers that we hold."""

    @property
    def holdings(self) -> CarrierHoldings:
        """The inquiries about them."""
        ...


def read_holdings(
    holdings: CarrierHoldings, limit: int | None, *, wanted: Callable[[E164], bool] = lambda _: True
) -> Inquiry[Holdings]:
    """Read pages until the list ends, or has shown so many of the numbers that are `wanted`.

    Raises:
        NoAnswer: The list has no end.
    """
    found: dict[E164, HeldNumber] = {}
    page, total, unreadable = HoldingsPage(()), None, 0
    asked: set[str | None] = set()
    while page.next_page not in asked and len(asked) < holdings.pages_max:
        asked.add(page.next_page)
        page = yield from holdings.page(page.next_page)
        found.update((held.e164, held) for held in page.listed if wanted(held.e164))
        total, unreadable = page.total, unreadable + page.unreadable
        if page.next_page is None or (limit is not None and len(found) >= limit):
            return Holdings(tuple(found.values())[:limit], total, unreadable)
    raise NoAnswer(f"the list of numbers has no end: {len(found)} were shown")
