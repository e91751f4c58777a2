"""Read the XML of answers about no order: search results, restrictions, one number, numbers in service.

Accepts as much as `xml` does: an unreadable entry costs only that entry. Another document than the one asked for raises
`UnreadableAnswer`.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from number_orders.carriers.bandwidth.elements import (
    child_text,
    descendants,
    local_name,
    next_page,
    parse,
    parse_count,
    parse_number,
    text_of,
)
from number_orders.carriers.bandwidth.facts import CARRIER, NOT_OWNED_STATUSES, OWNED_STATUSES
from number_orders.carriers.bandwidth.xml import read_moment
from number_orders.carriers.holdings import HoldingsPage
from number_orders.carriers.market import HeldNumber, Offer, Offers, Restriction
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.numbers import E164

_RULE_LENGTH_MAX: Final = 2000
"""Rules are sentences, and some are long."""


def read_offers(body: bytes) -> Offers:
    """Read a search result, with or without details. Without numbers it is an empty element.

    Raises:
        UnreadableAnswer: Not XML, or not a search result.
    """
    root = _parse_document(body, "SearchResult", "a search result")
    details = tuple(descendants(root, "TelephoneNumberDetail"))
    read = (
        [_detailed_offer(one) for one in details]
        if details
        else [_bare_offer(one) for one in descendants(root, "TelephoneNumber")]
    )
    offers = {offer.e164: offer for offer in read if offer}
    return Offers(tuple(offers.values()), read.count(None))


def read_restrictions(body: bytes, country: str) -> tuple[Restriction, ...]:
    """Read the restrictions of a country.

    Raises:
        UnreadableAnswer: Not XML, or not a list of restrictions.
    """
    root = _parse_document(body, "RestrictionResponse", "a list of restrictions")
    return tuple(
        Restriction(
            country=child_text(one, "CountryCodeA3") or country,
            subject=child_text(one, "RestrictionCategory") or "unnamed",
            rule=child_text(one, "RestrictionDescription", longest=_RULE_LENGTH_MAX) or "no description",
            nature=child_text(one, "RestrictionType"),
        )
        for one in descendants(root, "Restriction")
    )


def read_held(body: bytes, e164: E164) -> HeldNumber:
    """Read what is on record about a number.

    Raises:
        UnreadableAnswer: Not XML, not about a number, or about another one.
    """
    root = _parse_document(body, "TelephoneNumberResponse", "about a number")
    named = child_text(root, "TelephoneNumber", "FullNumber")
    if named and parse_number(named) != e164:
        raise UnreadableAnswer(CARRIER, f"asked for {e164}, got another number", body)
    status = child_text(root, "Status")
    return HeldNumber(
        e164,
        status=status,
        is_ours=_is_owned(status),
        carrier_order_id=child_text(root, "OrderId"),
        account=child_text(root, "AccountId"),
        sub_account=child_text(root, "SiteId"),
        ordered_at=read_moment(child_text(root, "OrderCreateDate")),
        in_service_at=read_moment(child_text(root, "InServiceDate")),
        changed_at=read_moment(child_text(root, "LastModifiedDate")),
    )


def read_holdings(body: bytes) -> HoldingsPage:
    """Read one page of the numbers in service.

    Raises:
        UnreadableAnswer: Not XML, or not a list of numbers.
    """
    root = _parse_document(body, "TNs", "a list of numbers in service")
    texts = (text_of(one) or child_text(one, "FullNumber") for one in descendants(root, "TelephoneNumber"))
    numbers = [parse_number(text) for text in texts if text]
    total = next((parse_count(text_of(one)) for one in descendants(root, "TotalCount")), None)
    listed = tuple(HeldNumber(e164) for e164 in _unique(numbers))
    return HoldingsPage(listed, next_page(root), total, numbers.count(None))


def _is_owned(status: str | None) -> bool | None:
    """Return whether an account has a number of this status; None for a word that the documents do not list."""
    word = (status or "").upper()
    return True if word in OWNED_STATUSES else False if word in NOT_OWNED_STATUSES else None


def _parse_document(body: bytes, name: str, what: str) -> Element:
    root = parse(body)
    if local_name(root) != name:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not {what}", body)
    return root


def _detailed_offer(one: Element) -> Offer | None:
    e164 = parse_number(child_text(one, "FullNumber", "TelephoneNumber") or "")
    if e164 is None:
        return None
    return Offer(
        e164,
        country=child_text(one, "CountryCodeA3"),
        number_type=child_text(one, "PhoneNumberType"),
        city=child_text(one, "City"),
        state=child_text(one, "State"),
        rate_center=child_text(one, "RateCenter"),
        lata=child_text(one, "LATA"),
        area_code=child_text(one, "AreaCode"),
        tier=child_text(one, "Tier"),
    )


def _bare_offer(one: Element) -> Offer | None:
    e164 = parse_number(text_of(one) or "")
    return Offer(e164) if e164 else None


def _unique(numbers: Sequence[E164 | None]) -> tuple[E164, ...]:
    return tuple(dict.fromkeys(number for number in numbers if number))
