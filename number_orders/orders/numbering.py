"""What can be sold at all: area codes, exchanges, states and numbers that no carrier can have.

Only what the numbering plans rule out for good is refused: new area codes open faster than tables are updated, so an
unknown one is left to the carrier. North America's rules are NANPA's: the codes N11 are services, N9X are kept for
longer numbers, 37X and 96X for pairs of codes; 950, 958, 959 and 976 are no subscribers' exchanges.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from number_orders.orders.numbers import E164, is_nanp, national

TOLL_FREE_NPAS: Final = frozenset({"800", "833", "844", "855", "866", "877", "888"})

_SERVICE: Final = re.compile(r"[2-9]11")
_KEPT_FREE: Final = re.compile(r"[2-9]9[0-9]|37[0-9]|96[0-9]|88[0-79]")
"""The plan's expansion codes, the two blocks beside them, and toll-free codes of the future."""
_NO_AREA: Final = frozenset({"555", "822", "976"})
_NOT_SOLD: Final[Mapping[str, str]] = {
    npa: kind
    for kind, npas in {
        "premium-rate": "900",
        "personal": "500 521 522 523 524 525 526 527 528 529 533 544 566 577 588",
        "Canadian data": "600 622 633 644 655 677 688",
        "carriers' own": "700",
        "government": "710",
        "international inbound": "456",
    }.items()
    for npa in npas.split()
}
_NO_EXCHANGE: Final = frozenset({"950", "958", "959", "976"})
_NPA_DIGITS: Final = 3
_NXX_ENDS: Final = 6

_STATES: Final[Mapping[str, str]] = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia", "FL": "Florida", "GA": "Georgia",
    "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky",
    "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island",
    "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    "AS": "American Samoa", "GU": "Guam", "MP": "Northern Mariana Islands", "PR": "Puerto Rico",
    "VI": "U.S. Virgin Islands",
}  # fmt: skip
_PROVINCES: Final[Mapping[str, str]] = {
    "AB": "Alberta", "BC": "British Columbia", "MB": "Manitoba", "NB": "New Brunswick",
    "NL": "Newfoundland and Labrador", "NS": "Nova Scotia", "NT": "Northwest Territories", "NU": "Nunavut",
    "ON": "Ontario", "PE": "Prince Edward Island", "QC": "Quebec", "SK": "Saskatchewan", "YT": "Yukon",
    "NF": "Newfoundland", "PQ": "Québec", "YK": "Yukon Territory",  # as carriers' lists still have them
}  # fmt: skip
_BY_COUNTRY: Final[Mapping[str | None, Mapping[str, str]]] = {
    "USA": _STATES,
    "CAN": _PROVINCES,
    None: {**_STATES, **_PROVINCES},
}


def npa_fault(npa: str, *, toll_free: bool = False) -> str | None:
    """Return why no such numbers can be ordered in this North American area code, or None.

    Args:
        npa: Three digits, the first 2-9.
        toll_free: Whether toll-free numbers are wanted; they have codes of their own.
    """
    if rule := _impossible(npa):
        return rule
    if kind := _NOT_SOLD.get(npa):
        return f"{npa} has {kind} numbers, which carriers do not sell"
    if toll_free and npa not in TOLL_FREE_NPAS:
        return f"{npa} is no toll-free code; these are {', '.join(sorted(TOLL_FREE_NPAS))}"
    if npa in TOLL_FREE_NPAS and not toll_free:
        return f"{npa} is a toll-free code, and local numbers are wanted"
    return None


def nxx_fault(nxx: str) -> str | None:
    """Return why no subscriber of any area code has numbers in this exchange, or None."""
    if _SERVICE.fullmatch(nxx):
        return f"{nxx} is no exchange: codes that end in 11 are services, such as 911 for emergencies"
    return f"{nxx} is no subscribers' exchange, but for services and tests" if nxx in _NO_EXCHANGE else None


def state_fault(state: str, country: str | None) -> str | None:
    """Return why this is no state or province of the country (ISO 3166 alpha-3), or None; others have none to check."""
    known = _BY_COUNTRY.get(country)
    if known is None or state.upper() in known or state.casefold() in map(str.casefold, known.values()):
        return None
    where = {"USA": "the USA", "CAN": "Canada"}.get(str(country), "the USA or Canada")
    return f"{state!r} is no state or province of {where}; write its two letters, such as {_example(known)}"


def number_fault(number: E164, *, is_bought: bool) -> str | None:
    """Return why no carrier can have this E.164 number or, if it is to be bought, sells it; None if it may."""
    if is_nanp(number):
        return _nanp_fault(national(number), is_bought=is_bought)
    parsed = phonenumbers.parse(number)
    if parsed.country_code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        return f"+{parsed.country_code} belongs to no country, but to satellites and services that carriers do not sell"
    if is_bought and phonenumbers.number_type(parsed) == PhoneNumberType.PREMIUM_RATE:
        return "is a premium-rate number, which carriers do not sell"
    return None


def _nanp_fault(digits: str, *, is_bought: bool) -> str | None:
    npa, nxx = digits[:_NPA_DIGITS], digits[_NPA_DIGITS:_NXX_ENDS]
    rule = npa_fault(npa, toll_free=npa in TOLL_FREE_NPAS) if is_bought else _impossible(npa)
    if rule is None and npa not in TOLL_FREE_NPAS:
        rule = nxx_fault(nxx)
    return rule and f"cannot be had: {rule}"


def _impossible(npa: str) -> str | None:
    if _SERVICE.fullmatch(npa):
        return f"{npa} is no area code: codes that end in 11 are services, such as 911 for emergencies"
    if npa in _NO_AREA or _KEPT_FREE.fullmatch(npa):
        return f"{npa} is no area code: the North American plan has no numbers in it"
    return None


def _example(known: Iterable[str]) -> str:
    return "NC" if "NC" in known else "ON"
