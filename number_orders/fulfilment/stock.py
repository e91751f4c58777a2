"""What a carrier has in stock for an order that is not placed yet. Buys and reserves nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from number_orders.carriers.contract import Inquiry
from number_orders.carriers.market import Coverage, CoverageQuery, Offers, SearchQuery, Topic
from number_orders.fulfilment.inquiries import Seller, failure_of
from number_orders.orders.errors import Declined, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName, Criteria, Kind, OrderRequest


@dataclass(frozen=True, slots=True)
class Stock:
    """How many numbers for sale the carrier has shown; at most as many as the order wants, if it lists them."""

    available: int | None
    """None: it is not known."""
    why_unknown: str | None = None


async def look_at_stock(request: OrderRequest, sellers: Mapping[CarrierName, Seller]) -> Stock | None:
    """Ask the order's carrier how many such numbers it has; return None for an order that needs no stock."""
    if request.kind is not Kind.NEW_NUMBERS or request.criteria is None:
        return None
    seller = sellers.get(request.carrier)
    if seller is None or not {Topic.SEARCH, Topic.COVERAGE} & seller.market.offers:
        return Stock(None, f"{request.carrier} does not say what it has in stock")
    try:
        return Stock(await seller.courier.inquire(_counted(seller, request.criteria, request.wanted)))
    except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
        return Stock(None, failure_of(trouble).words)


def _counted(seller: Seller, criteria: Criteria, wanted: int) -> Inquiry[int | None]:
    """Return the inquiry that counts numbers: by a search where the carrier has one, otherwise by its coverage."""
    if Topic.SEARCH in seller.market.offers:
        return _count_offers(seller.market.search(SearchQuery(criteria, wanted)))
    return _read_total(seller.market.coverage(CoverageQuery(criteria)))


def _count_offers(search: Inquiry[Offers]) -> Inquiry[int | None]:
    return len((yield from search).listed)


def _read_total(coverage: Inquiry[Coverage]) -> Inquiry[int | None]:
    return (yield from coverage).quantity
