"""Searches over Bandwidth's `availableNumbers`: which criteria can be combined, and the query parameters.

A search is allowed if one search type of the page's tables covers it: everything that the type requires is given, and
everything else is among what the type may be combined with. The tables stand here as they stand on the page. `rules`
checks how criteria are written. Knows no XML and sends nothing.

Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers.yml and numbers_v2.yml.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from number_orders.carriers.bandwidth.facts import QUANTITY_MAX
from number_orders.carriers.bandwidth.rules import NANP_COUNTRIES, companion_faults, north_american_format_faults
from number_orders.carriers.bandwidth.search import LOCAL, TOLL_FREE, xml_bool
from number_orders.carriers.market import SearchQuery
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria

NUMBER_TYPES: Final[Mapping[str, str]] = {
    LOCAL: "GEOGRAPHIC",
    "national": "NATIONAL",
    "mobile": "MOBILE",
    TOLL_FREE: "TOLL_FREE",
    "shared_cost": "SHARED_COST",
}
"""Our words for number types, and Bandwidth's."""

_OPTIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "order_by": ("orderBy", ("fullNumber", "npaNxxx", "npaNxx", "areaCode")),
    "protected": ("protected", ("NONE", "ONLY", "MIXED")),
}
_ALWAYS: Final = frozenset({"quantity"})
_USUALLY: Final = frozenset({"enableTNDetail", "protected"})
_LCA: Final = frozenset({"LCA"})
_PREFIXES: Final = frozenset({"areaCode", "npaNxx", "npaNxxx"})
_TOWN_FIELDS: Final = frozenset({"rateCenter", "city", "state"})


@dataclass(frozen=True, slots=True)
class SearchType:
    """One row of the tables. `name` completes the words "search by"."""

    name: str
    required: frozenset[str]
    combined: frozenset[str] = frozenset()
    optional: frozenset[str] = _USUALLY

    @property
    def allowed(self) -> frozenset[str]:
        """All parameters that may be given."""
        return self.required | self.combined | self.optional | _ALWAYS

    def covers(self, given: frozenset[str]) -> bool:
        """Return whether a search with these parameters is of this type."""
        return self.required <= given <= self.allowed


_COUNTRY_SEARCHES: Final = (
    SearchType("country", frozenset({"countryCodeA3"}), frozenset({"phoneNumberType", "areaCode", "city"})),
    SearchType("number type", frozenset({"countryCodeA3", "phoneNumberType"}), frozenset({"areaCode", "city"})),
    SearchType("area code in a country", frozenset({"countryCodeA3", "areaCode"}), frozenset({"phoneNumberType"})),
    SearchType("city in a country", frozenset({"countryCodeA3", "city"}), frozenset({"phoneNumberType"})),
)
"""Outside North America the page requires the country for every search."""

_NORTH_AMERICAN_SEARCHES: Final = (
    SearchType("local vanity", frozenset({"localVanity"}), frozenset({"state", "areaCode"}), _USUALLY | {"endsIn"}),
    SearchType("toll-free vanity", frozenset({"tollFreeVanity"}), frozenset({"orderBy"}), frozenset()),
    SearchType("toll-free pattern", frozenset({"tollFreeWildCardPattern"}), frozenset({"orderBy"}), frozenset()),
    SearchType("area code", frozenset({"areaCode"}), _TOWN_FIELDS | {"lata", "zip"}),
    SearchType("NPA-NXX", frozenset({"npaNxx"}), _TOWN_FIELDS | {"lata", "zip", "orderBy"}),
    SearchType("NPA-NXX with local calling area", frozenset({"npaNxx"}), optional=_USUALLY | _LCA),
    SearchType("NPA-NXX-X", frozenset({"npaNxxx"}), _TOWN_FIELDS | {"lata", "zip", "orderBy"}),
    SearchType(
        "NPA-NXX-X with local calling area",
        frozenset({"npaNxxx"}),
        _TOWN_FIELDS | {"lata", "zip"},
        _USUALLY | _LCA,
    ),
    SearchType("rate center", frozenset({"rateCenter", "state"}), _PREFIXES | {"city", "lata", "zip", "orderBy"}),
    SearchType("rate center with local calling area", frozenset({"rateCenter", "state"}), optional=_USUALLY | _LCA),
    SearchType("state", frozenset({"state"}), _PREFIXES | {"rateCenter", "city", "lata", "zip"}),
    SearchType("city", frozenset({"city", "state"}), _PREFIXES | {"rateCenter", "lata", "zip", "orderBy"}),
    SearchType("ZIP code", frozenset({"zip"}), _TOWN_FIELDS | _PREFIXES | {"lata", "orderBy"}),
    SearchType("LATA", frozenset({"lata"}), _TOWN_FIELDS | _PREFIXES | {"zip"}),
)

_ALL_SEARCHES: Final = (
    # The page's own example has the country beside a city and its state.
    *(replace(kind, combined=kind.combined | {"countryCodeA3"}) for kind in _NORTH_AMERICAN_SEARCHES),
    *_COUNTRY_SEARCHES,
)

_FIELD_OF: Final[Mapping[str, str]] = {
    "countryCodeA3": "criteria.country",
    "phoneNumberType": "criteria.number_type",
    "areaCode": "criteria.npa",
    "npaNxx": "criteria.nxx",
    "npaNxxx": "criteria.thousands_block",
    "rateCenter": "criteria.rate_center",
    "city": "criteria.city",
    "state": "criteria.state",
    "zip": "criteria.zip",
    "lata": "criteria.lata",
    "localVanity": "criteria.vanity",
    "endsIn": "criteria.vanity_at_end",
    "tollFreeVanity": "criteria.vanity",
    "tollFreeWildCardPattern": "criteria.toll_free_pattern",
    "LCA": "criteria.local_calling_area",
    "orderBy": "options.order_by",
    "protected": "options.protected",
}
"""The field of ours that a parameter comes from."""

_COUNTRY: Final = re.compile(r"[A-Z]{3}")
_AREA_ABROAD: Final = re.compile(r"[0-9]{1,6}")
_PRINTABLE: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,100}")


def search_faults(query: SearchQuery) -> tuple[Fault, ...]:
    """Return everything that Bandwidth would refuse in a search; empty if it is good."""
    faults = (*_query_faults(query), *criteria_format_faults(query.criteria))
    return faults or tuple(_combination_faults(query))


def search_query(query: SearchQuery) -> dict[str, str]:
    """Return the query parameters of a search without faults.

    Asks for details wherever it can, and for numbers of neighbouring towns (LCA) only if the query does.
    """
    parameters = _query_parameters(query)
    for name, value in (("enableTNDetail", "true"), ("LCA", "false")):
        # LCA is true by default at Bandwidth. It is not sent where the tables do not have it.
        if name not in parameters and _covering_type(query.criteria, frozenset(parameters) | {name}):
            parameters[name] = value
    return parameters


def place_parameters(criteria: Criteria) -> dict[str, str]:
    """Return the parameters that say where a number lives, by Bandwidth's names."""
    npa, nxx, block = criteria.npa, criteria.nxx, criteria.thousands_block
    named = {
        "countryCodeA3": criteria.country,
        "npaNxxx": f"{npa}{nxx}{block}" if block else None,
        "npaNxx": f"{npa}{nxx}" if nxx and not block else None,
        "areaCode": npa if not nxx else None,
        "rateCenter": criteria.rate_center,
        "city": criteria.city,
        "state": criteria.state.upper() if criteria.state else None,
        "zip": criteria.zip,
        "lata": criteria.lata,
    }
    return {name: value for name, value in named.items() if value is not None}


def _is_abroad(criteria: Criteria) -> bool:
    return criteria.country is not None and criteria.country not in NANP_COUNTRIES


def _query_faults(query: SearchQuery) -> Iterator[Fault]:
    if query.quantity is not None and not 1 <= query.quantity <= QUANTITY_MAX:
        yield Fault("quantity", f"must be 1 to {QUANTITY_MAX}")
    for name, value in query.options.items():
        if name not in _OPTIONS:
            yield Fault(f"options.{name}", f"is unknown for searches; Bandwidth knows {', '.join(_OPTIONS)}")
        elif value not in _OPTIONS[name][1]:
            yield Fault(f"options.{name}", f"must be one of {', '.join(_OPTIONS[name][1])}")


def criteria_format_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every criterion that is not written correctly, in North America or elsewhere."""
    if criteria.country is not None and not _COUNTRY.fullmatch(criteria.country):
        yield Fault("criteria.country", "must be three capital letters (ISO 3166), such as USA")
    if criteria.number_type is not None and criteria.number_type not in NUMBER_TYPES:
        yield Fault("criteria.number_type", f"must be one of {', '.join(NUMBER_TYPES)}")
    if not _is_abroad(criteria):
        yield from north_american_format_faults(criteria)
        yield from companion_faults(criteria)
        return
    if criteria.npa is not None and not _AREA_ABROAD.fullmatch(criteria.npa):
        yield Fault("criteria.npa", "must be an area code: up to six digits")
    if criteria.city is not None and not _PRINTABLE.fullmatch(criteria.city):
        yield Fault("criteria.city", "must be 1 to 100 printable characters")


def _combination_faults(query: SearchQuery) -> Iterator[Fault]:
    """Yield every criterion that the nearest search type cannot be combined with."""
    criteria = query.criteria
    given = frozenset(_query_parameters(query))
    if criteria.toll_free_pattern is not None and criteria.number_type == LOCAL:
        yield Fault("criteria.toll_free_pattern", f"cannot go with number_type {LOCAL}")
        return
    if _covering_type(criteria, given):
        return
    if "phoneNumberType" in given and "countryCodeA3" not in given:
        yield Fault("criteria.number_type", "needs criteria.country beside it")
        return
    possible = [kind for kind in _search_types(criteria) if kind.required <= given]
    if not possible:
        yield Fault(
            "criteria", "must say where: country, npa, rate_center, city, state, zip, lata, vanity or a pattern"
        )
        return
    nearest = min(possible, key=lambda kind: len(given - kind.allowed))
    for extra in sorted(given - nearest.allowed):
        yield Fault(_FIELD_OF[extra], _combination_rule(nearest))


def _is_type_unsaid(criteria: Criteria) -> bool:
    """Return whether only a parameter can say the number type, because no other criterion implies it."""
    return criteria.number_type not in {None, LOCAL} and criteria.vanity is None and criteria.toll_free_pattern is None


def _combination_rule(kind: SearchType) -> str:
    beside = sorted({_FIELD_OF[name].split(".")[1] for name in kind.allowed - kind.required if name in _FIELD_OF})
    return f"cannot be combined so: Bandwidth's search by {kind.name} goes with {', '.join(beside)} only"


def _search_types(criteria: Criteria) -> tuple[SearchType, ...]:
    return _COUNTRY_SEARCHES if _is_abroad(criteria) else _ALL_SEARCHES


def _covering_type(criteria: Criteria, given: frozenset[str]) -> SearchType | None:
    return next((kind for kind in _search_types(criteria) if kind.covers(given)), None)


def _query_parameters(query: SearchQuery) -> dict[str, str]:
    """Return what was asked for, by Bandwidth's names."""
    criteria = query.criteria
    parameters = place_parameters(criteria)
    parameters.update(_special_parameters(criteria))
    if criteria.number_type is not None and _sends_type(criteria, parameters):
        parameters["phoneNumberType"] = NUMBER_TYPES[criteria.number_type]
    parameters.update({_OPTIONS[name][0]: value for name, value in query.options.items() if name in _OPTIONS})
    if query.quantity is not None:
        parameters["quantity"] = str(query.quantity)
    return parameters


def _special_parameters(criteria: Criteria) -> Iterator[tuple[str, str]]:
    if criteria.vanity is not None:
        is_toll_free = criteria.number_type == TOLL_FREE
        yield "tollFreeVanity" if is_toll_free else "localVanity", criteria.vanity
    if criteria.toll_free_pattern is not None:
        yield "tollFreeWildCardPattern", criteria.toll_free_pattern
    if criteria.vanity_at_end is not None:
        yield "endsIn", xml_bool(criteria.vanity_at_end)
    if criteria.local_calling_area:
        yield "LCA", "true"


def _sends_type(criteria: Criteria, parameters: Mapping[str, str]) -> bool:
    """Return whether to send the number type. In North America a place implies local, a toll-free search toll-free."""
    if _is_abroad(criteria):
        return True
    return _is_type_unsaid(criteria) or (criteria.number_type == LOCAL and parameters.keys() <= {"countryCodeA3"})
