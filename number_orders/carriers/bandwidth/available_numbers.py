"""Bandwidth's searches over `availableNumbers`: its page's tables of search types, and what they refuse.

A search passes when one type of the tables covers it: all that the type requires is there, and everything else is among
what it may be combined with. So the tables stand here as they stand on the page. Criteria become query parameters here;
how they are written is checked by `bandwidth_rules`. Knows no XML and asks nothing.

Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers.yml and numbers_v2.yml.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from number_orders.carriers.bandwidth.facts import QUANTITY_MAX
from number_orders.carriers.bandwidth.rules import NANP_COUNTRIES, format_faults, lonely_faults
from number_orders.carriers.bandwidth.search import LOCAL, TOLL_FREE, spoken
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
"""Our words for a type of number, and theirs."""

_OPTIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "order_by": ("orderBy", ("fullNumber", "npaNxxx", "npaNxx", "areaCode")),
    "protected": ("protected", ("NONE", "ONLY", "MIXED")),
}
_ALWAYS: Final = frozenset({"quantity"})
_USUALLY: Final = frozenset({"enableTNDetail", "protected"})
_LCA: Final = frozenset({"LCA"})
_PREFIXES: Final = frozenset({"areaCode", "npaNxx", "npaNxxx"})
_TOWN: Final = frozenset({"rateCenter", "city", "state"})


@dataclass(frozen=True, slots=True)
class SearchType:
    """One row of the tables. `name` ends the words "search by"."""

    name: str
    required: frozenset[str]
    combined: frozenset[str] = frozenset()
    optional: frozenset[str] = _USUALLY

    @property
    def allowed(self) -> frozenset[str]:
        """Every parameter that may be there."""
        return self.required | self.combined | self.optional | _ALWAYS

    def covers(self, given: frozenset[str]) -> bool:
        """Tell whether a search with these parameters is of this type."""
        return self.required <= given <= self.allowed


_ANYWHERE: Final = (
    SearchType("country", frozenset({"countryCodeA3"}), frozenset({"phoneNumberType", "areaCode", "city"})),
    SearchType("number type", frozenset({"countryCodeA3", "phoneNumberType"}), frozenset({"areaCode", "city"})),
    SearchType("area code in a country", frozenset({"countryCodeA3", "areaCode"}), frozenset({"phoneNumberType"})),
    SearchType("city in a country", frozenset({"countryCodeA3", "city"}), frozenset({"phoneNumberType"})),
)
"""The page requires the country for every search outside North America."""

_NORTH_AMERICAN: Final = (
    SearchType("local vanity", frozenset({"localVanity"}), frozenset({"state", "areaCode"}), _USUALLY | {"endsIn"}),
    SearchType("toll-free vanity", frozenset({"tollFreeVanity"}), frozenset({"orderBy"}), frozenset()),
    SearchType("toll-free pattern", frozenset({"tollFreeWildCardPattern"}), frozenset({"orderBy"}), frozenset()),
    SearchType("area code", frozenset({"areaCode"}), _TOWN | {"lata", "zip"}),
    SearchType("NPA-NXX", frozenset({"npaNxx"}), _TOWN | {"lata", "zip", "orderBy"}),
    SearchType("NPA-NXX with local calling area", frozenset({"npaNxx"}), optional=_USUALLY | _LCA),
    SearchType("NPA-NXX-X", frozenset({"npaNxxx"}), _TOWN | {"lata", "zip", "orderBy"}),
    SearchType(
        "NPA-NXX-X with local calling area",
        frozenset({"npaNxxx"}),
        _TOWN | {"lata", "zip"},
        _USUALLY | _LCA,
    ),
    SearchType("rate center", frozenset({"rateCenter", "state"}), _PREFIXES | {"city", "lata", "zip", "orderBy"}),
    SearchType("rate center with local calling area", frozenset({"rateCenter", "state"}), optional=_USUALLY | _LCA),
    SearchType("state", frozenset({"state"}), _PREFIXES | {"rateCenter", "city", "lata", "zip"}),
    SearchType("city", frozenset({"city", "state"}), _PREFIXES | {"rateCenter", "lata", "zip", "orderBy"}),
    SearchType("ZIP code", frozenset({"zip"}), _TOWN | _PREFIXES | {"lata", "orderBy"}),
    SearchType("LATA", frozenset({"lata"}), _TOWN | _PREFIXES | {"zip"}),
)

_BOTH: Final = (
    # The page's own example names the country beside a city and its state.
    *(replace(kind, combined=kind.combined | {"countryCodeA3"}) for kind in _NORTH_AMERICAN),
    *_ANYWHERE,
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
"""Their parameters, by the fields of ours that they come from."""

_COUNTRY: Final = re.compile(r"[A-Z]{3}")
_AREA_ABROAD: Final = re.compile(r"[0-9]{1,6}")
_PRINTABLE: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,100}")


def search_faults(wanted: SearchQuery) -> tuple[Fault, ...]:
    """Return everything that Bandwidth would not take in a search; empty when it is good."""
    faults = (*_own_faults(wanted), *written_faults(wanted.criteria))
    return faults or tuple(_combination_faults(wanted))


def search_query(wanted: SearchQuery) -> dict[str, str]:
    """Return the query of a search without faults: it asks for details, and for no neighbouring town unless you do."""
    query = _parameters(wanted)
    for name, value in (("enableTNDetail", "true"), ("LCA", "false")):
        # Their default for LCA is true. Where the tables have no LCA, it is not mentioned.
        if name not in query and _type_of(wanted.criteria, frozenset(query) | {name}):
            query[name] = value
    return query


def place_parameters(criteria: Criteria) -> dict[str, str]:
    """Return the parameters that say where a number lives, as Bandwidth names them."""
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


def _own_faults(wanted: SearchQuery) -> Iterator[Fault]:
    if wanted.quantity is not None and not 1 <= wanted.quantity <= QUANTITY_MAX:
        yield Fault("quantity", f"must be 1 to {QUANTITY_MAX}")
    for name, value in wanted.options.items():
        if name not in _OPTIONS:
            yield Fault(f"options.{name}", f"is unknown for searches; Bandwidth knows {', '.join(_OPTIONS)}")
        elif value not in _OPTIONS[name][1]:
            yield Fault(f"options.{name}", f"must be one of {', '.join(_OPTIONS[name][1])}")


def written_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every criterion that is not written as it must be, in North America or abroad."""
    if criteria.country is not None and not _COUNTRY.fullmatch(criteria.country):
        yield Fault("criteria.country", "must be three capital letters (ISO 3166), such as USA")
    if criteria.number_type is not None and criteria.number_type not in NUMBER_TYPES:
        yield Fault("criteria.number_type", f"must be one of {', '.join(NUMBER_TYPES)}")
    if not _is_abroad(criteria):
        yield from format_faults(criteria)
        yield from lonely_faults(criteria)
        return
    if criteria.npa is not None and not _AREA_ABROAD.fullmatch(criteria.npa):
        yield Fault("criteria.npa", "must be an area code: up to six digits")
    if criteria.city is not None and not _PRINTABLE.fullmatch(criteria.city):
        yield Fault("criteria.city", "must be 1 to 100 printable characters")


def _combination_faults(wanted: SearchQuery) -> Iterator[Fault]:
    """Name what no search type has beside the rest, and the type that comes nearest."""
    criteria = wanted.criteria
    given = frozenset(_parameters(wanted))
    if criteria.toll_free_pattern is not None and criteria.number_type == LOCAL:
        yield Fault("criteria.toll_free_pattern", f"cannot go with number_type {LOCAL}")
        return
    if _type_of(criteria, given):
        return
    if "phoneNumberType" in given and "countryCodeA3" not in given:
        yield Fault("criteria.number_type", "needs criteria.country beside it")
        return
    possible = [kind for kind in _types(criteria) if kind.required <= given]
    if not possible:
        yield Fault(
            "criteria", "must say where: country, npa, rate_center, city, state, zip, lata, vanity or a pattern"
        )
        return
    nearest = min(possible, key=lambda kind: len(given - kind.allowed))
    for extra in sorted(given - nearest.allowed):
        yield Fault(_FIELD_OF[extra], _rule_of(nearest))


def _is_type_alone(criteria: Criteria) -> bool:
    """Tell whether the number type has to be said, since nothing else says it."""
    return criteria.number_type not in {None, LOCAL} and criteria.vanity is None and criteria.toll_free_pattern is None


def _rule_of(kind: SearchType) -> str:
    beside = sorted({_FIELD_OF[name].split(".")[1] for name in kind.allowed - kind.required if name in _FIELD_OF})
    return f"cannot be combined so: Bandwidth's search by {kind.name} goes with {', '.join(beside)} only"


def _types(criteria: Criteria) -> tuple[SearchType, ...]:
    return _ANYWHERE if _is_abroad(criteria) else _BOTH


def _type_of(criteria: Criteria, given: frozenset[str]) -> SearchType | None:
    return next((kind for kind in _types(criteria) if kind.covers(given)), None)


def _parameters(wanted: SearchQuery) -> dict[str, str]:
    """Return what was asked for, as Bandwidth names it."""
    criteria = wanted.criteria
    query = place_parameters(criteria)
    query.update(_special_parameters(criteria))
    if criteria.number_type is not None and _says_the_type(criteria, query):
        query["phoneNumberType"] = NUMBER_TYPES[criteria.number_type]
    query.update({_OPTIONS[name][0]: value for name, value in wanted.options.items() if name in _OPTIONS})
    if wanted.quantity is not None:
        query["quantity"] = str(wanted.quantity)
    return query


def _special_parameters(criteria: Criteria) -> Iterator[tuple[str, str]]:
    if criteria.vanity is not None:
        is_toll_free = criteria.number_type == TOLL_FREE
        yield "tollFreeVanity" if is_toll_free else "localVanity", criteria.vanity
    if criteria.toll_free_pattern is not None:
        yield "tollFreeWildCardPattern", criteria.toll_free_pattern
    if criteria.vanity_at_end is not None:
        yield "endsIn", spoken(criteria.vanity_at_end)
    if criteria.local_calling_area:
        yield "LCA", "true"


def _says_the_type(criteria: Criteria, query: Mapping[str, str]) -> bool:
    """Tell whether the type is a parameter. In North America a place says local, and a toll-free search toll-free."""
    if _is_abroad(criteria):
        return True
    return _is_type_alone(criteria) or (criteria.number_type == LOCAL and query.keys() <= {"countryCodeA3"})
