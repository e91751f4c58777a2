"""Bandwidth's XML of what concerns no order, read: search results, restrictions, one number, numbers in service.

As lax as `bandwidth_xml`: an entry that cannot be read costs that entry alone. Another document than the one asked for
raises `UnreadableAnswer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from number_orders.carriers.bandwidth.elements import (
    below,
    child_text,
    count_of,
    local_name,
    next_page,
    number_of,
    parse,
    text_of,
)
from number_orders.carriers.bandwidth.facts import CARRIER
from number_orders.carriers.bandwidth.xml import read_moment
from number_orders.carriers.market import HeldNumber, Offer, Offers, Restriction
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.numbers import E164

_RULE_LENGTH_MAX: Final = 2000
"""Rules are sentences, and some of them are long."""


@dataclass(frozen=True, slots=True)
class HoldingsPage:
    """One page of the numbers in service. `following` starts the next page, if there is one."""

    listed: tuple[E164, ...]
    unreadable: int
    total: int | None
    following: str | None


def read_offers(body: bytes) -> Offers:
    """Read a search result, with details or without; one without numbers is an empty element.

    Raises:
        UnreadableAnswer: Not XML, or no search result.
    """
    root = _document(body, "SearchResult", "a search result")
    details = tuple(below(root, "TelephoneNumberDetail"))
    read = [_detailed(one) for one in details] if details else [_bare(one) for one in below(root, "TelephoneNumber")]
    offers = {offer.e164: offer for offer in read if offer}
    return Offers(tuple(offers.values()), read.count(None))


def read_restrictions(body: bytes, country: str) -> tuple[Restriction, ...]:
    """Read the restrictions of a country.

    Raises:
        UnreadableAnswer: Not XML, or no list of restrictions.
    """
    root = _document(body, "RestrictionResponse", "a list of restrictions")
    return tuple(
        Restriction(
            country=child_text(one, "CountryCodeA3") or country,
            subject=child_text(one, "RestrictionCategory") or "unnamed",
            rule=child_text(one, "RestrictionDescription", longest=_RULE_LENGTH_MAX) or "no description",
            nature=child_text(one, "RestrictionType"),
        )
        for one in below(root, "Restriction")
    )


def read_held(body: bytes, e164: E164) -> HeldNumber:
    """Read what is on record about a number.

    Raises:
        UnreadableAnswer: Not XML, not about a number, or about another one.
    """
    root = _document(body, "TelephoneNumberResponse", "about a number")
    named = child_text(root, "TelephoneNumber", "FullNumber")
    if named and number_of(named) != e164:
        raise UnreadableAnswer(CARRIER, f"asked for {e164}, got another number", body)
    return HeldNumber(
        e164,
        status=child_text(root, "Status"),
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
        UnreadableAnswer: Not XML, or no list of numbers.
    """
    root = _document(body, "TNs", "a list of numbers in service")
    texts = (text_of(one) or child_text(one, "FullNumber") for one in below(root, "TelephoneNumber"))
    named = [number_of(text) for text in texts if text]
    total = next((count_of(text_of(one)) for one in below(root, "TotalCount")), None)
    return HoldingsPage(_each_once(named), named.count(None), total, next_page(root))


def _document(body: bytes, name: str, what: str) -> Element:
    root = parse(body)
    if local_name(root) != name:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not {what}", body)
    return root


def _detailed(one: Element) -> Offer | None:
    e164 = number_of(child_text(one, "FullNumber", "TelephoneNumber") or "")
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


def _bare(one: Element) -> Offer | None:
    e164 = number_of(text_of(one) or "")
    return Offer(e164) if e164 else None


def _each_once(numbers: Sequence[E164 | None]) -> tuple[E164, ...]:
    return tuple(dict.fromkeys(number for number in numbers if number))
