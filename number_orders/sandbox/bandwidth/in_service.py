"""Bandwidth's numbers in service, and its restrictions by country: queries, filters, pages.

Knows queries and answers. `order_book.py` knows who owns a number.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.datastructures import QueryParams

from number_orders.sandbox.bandwidth import xml
from number_orders.sandbox.bandwidth.order_list import filters_as_query
from number_orders.sandbox.geography import RESTRICTIONS_ON_THE_PAGE, Place

_SIZE: Final = "300"
_DIGITS: Final = {"areaCode": r"\d{1,6}", "npaNxx": r"\d{6}", "npaNxxx": r"\d{7}", "lata": r"\d{1,5}"}
_COUNTRY: Final = re.compile(r"[A-Z]{3}")


def has_unreadable_filter(query: QueryParams) -> bool:
    """Return whether a filter cannot be read; Bandwidth answers that with 404."""
    size = query.get("size", _SIZE)
    if not size.isdigit() or int(size) < 1 or ("rateCenter" in query and "state" not in query):
        return True
    return any(name in query and not re.fullmatch(digits, query[name]) for name, digits in _DIGITS.items())


def matches(e164: str, place: Place, query: QueryParams) -> bool:
    """Return whether a number matches the filters."""
    national = e164.removeprefix("+1")
    prefix = query.get("npaNxxx") or query.get("npaNxx") or query.get("areaCode", "")
    begins = national.startswith(prefix) if e164.startswith("+1") else prefix in {"", place.area_code}
    wanted = {
        "city": place.city,
        "state": place.state,
        "rateCenter": place.rate_center,
        "lata": place.lata,
        "countryCodeA3": place.country,
        "phoneNumberType": place.number_type,
    }
    return begins and all(query.get(name, has).upper() == has for name, has in wanted.items())


def page_of(numbers: Sequence[str], query: QueryParams, account_id: str) -> bytes | None:
    """Write one page, which is named by its first number or `1`; return None if there is no such page."""
    page, size = query.get("page", "1"), int(query.get("size", _SIZE))
    if page not in {"1", *numbers}:
        return None
    start = 0 if page == "1" else numbers.index(page)
    following = numbers[start + size : start + size + 1]
    path = f"/accounts/{account_id}/inserviceNumbers"
    links = xml.links(path, size, filters_as_query(query), first="1", next=following[0] if following else None)
    listed = [xml.text("TelephoneNumber", e164) for e164 in numbers[start : start + size]]
    shown = xml.element("TelephoneNumbers", xml.text("Count", len(listed)), *listed)
    return xml.document(xml.element("TNs", xml.text("TotalCount", len(numbers)), links, shown))


def restrictions(country: str) -> bytes | None:
    """Write the restrictions of a country; return None if it is no country code. The page shows only Italy's."""
    if not _COUNTRY.fullmatch(country):
        return None
    listed = RESTRICTIONS_ON_THE_PAGE if country == "ITA" else ()
    return xml.document(xml.element("RestrictionResponse", xml.element("Restrictions", *_each(country, listed))))


def _each(country: str, listed: Iterable[tuple[str, str, str]]) -> Iterable[str]:
    return (
        xml.element(
            "Restriction",
            xml.text("CountryCodeA3", country),
            xml.text("RestrictionCategory", category),
            xml.text("RestrictionDescription", description),
            xml.text("RestrictionType", kind),
        )
        for kind, category, description in listed
    )
