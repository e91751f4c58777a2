"""Choose Bandwidth's search-and-order type for criteria, and its fields; compare them with what Bandwidth shows.

Does not check criteria: `rules` has done that. Knows no XML.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from number_orders.orders.model import Criteria, OrderRequest

TOLL_FREE: Final = "toll_free"
LOCAL: Final = "local"

QUALIFIERS: Final = frozenset({"country", "number_type", "local_calling_area", "vanity_at_end"})
"""Criteria that say how to search. All others say where."""

_TYPES: Final = {
    frozenset({"npa"}): "AreaCodeSearchAndOrderType",
    frozenset({"rate_center", "state"}): "RateCenterSearchAndOrderType",
    frozenset({"npa", "nxx"}): "NPANXXSearchAndOrderType",
    frozenset({"npa", "nxx", "thousands_block"}): "NPANXXSearchAndOrderType",
    frozenset({"state"}): "StateSearchAndOrderType",
    frozenset({"city", "state"}): "CitySearchAndOrderType",
    frozenset({"zip"}): "ZIPSearchAndOrderType",
    frozenset({"lata"}): "LATASearchAndOrderType",
    frozenset({"toll_free_pattern"}): "TollFreeWildCharSearchAndOrderType",
}
_COMBINED: Final = "CombinedSearchAndOrderType"
_TOLL_FREE_VANITY: Final = "TollFreeVanitySearchAndOrderType"
_WITH_CALLING_AREA: Final = frozenset({"RateCenterSearchAndOrderType", "NPANXXSearchAndOrderType", _COMBINED})

_SEARCH: Final = "SearchAndOrderType"
"""How the names of all types of search end."""
_QUANTITY: Final = "quantity"

SearchFields = tuple[tuple[str, str], ...]


def location_criteria(criteria: Criteria) -> frozenset[str]:
    """Return the names of the given criteria that say where."""
    return criteria.given() - QUALIFIERS


def search_type(criteria: Criteria) -> str:
    """Return the order type that is made for exactly these criteria, or the combined one."""
    if criteria.vanity and criteria.number_type == TOLL_FREE:
        return _TOLL_FREE_VANITY
    return _TYPES.get(location_criteria(criteria), _COMBINED)


def search_fields(criteria: Criteria) -> SearchFields:
    """Return the order type's fields and values, without the quantity, by Bandwidth's names."""
    return tuple(_fields(criteria, search_type(criteria)))


def other_choice(request: OrderRequest, shown_type: str | None, shown: Mapping[str, str]) -> str | None:
    """Return in words how the numbers of an order were chosen, if our request chooses them otherwise; else None.

    What is not shown is no difference, unless something else is shown in its place.

    Args:
        request: Ours.
        shown_type: The order type of the carrier's order; None if it is not shown.
        shown: Its fields, by their names in lower case.
    """
    if shown_type is None:
        return None
    is_search = shown_type.casefold().endswith(_SEARCH.casefold())
    if request.criteria is None or not is_search:
        return None if is_search is (request.criteria is not None) else _choice_in_words(shown_type, shown)
    theirs = {name: value.casefold() for name, value in shown.items() if name != _QUANTITY}
    ours = {name.casefold(): value.casefold() for name, value in search_fields(request.criteria)}
    same_type = shown_type.casefold() == search_type(request.criteria).casefold()
    differs = any(theirs[name] != ours[name] for name in theirs.keys() & ours.keys())
    replaced = theirs.keys() - ours.keys() and ours.keys() - theirs.keys()
    return None if same_type and not differs and not replaced else _choice_in_words(shown_type, shown)


def _choice_in_words(shown_type: str, shown: Mapping[str, str]) -> str:
    fields = ", ".join(f"{name} {value}" for name, value in shown.items() if name != _QUANTITY)
    return f"{shown_type} ({fields})" if fields and shown_type.endswith(_SEARCH) else shown_type


def xml_bool(wanted: bool) -> str:
    """Return a boolean as Bandwidth writes it."""
    return "true" if wanted else "false"


def _fields(criteria: Criteria, kind: str) -> Iterator[tuple[str, str]]:
    if criteria.vanity and criteria.number_type == TOLL_FREE:
        yield "TollFreeVanity", criteria.vanity
        return
    yield from _prefix_fields(criteria)
    yield from _names(criteria)
    if criteria.vanity:
        yield "LocalVanity", criteria.vanity
        yield "EndsIn", xml_bool(bool(criteria.vanity_at_end))
    elif kind in _WITH_CALLING_AREA:
        # Always sent: Bandwidth's default is true, which brings numbers from neighbouring towns.
        yield "EnableLCA", xml_bool(bool(criteria.local_calling_area))


def _prefix_fields(criteria: Criteria) -> Iterator[tuple[str, str]]:
    npa, nxx, block = criteria.npa, criteria.nxx, criteria.thousands_block
    if npa and nxx and block:
        yield "NpaNxxX", npa + nxx + block
    elif npa and nxx:
        yield "NpaNxx", npa + nxx
    elif npa:
        yield "AreaCode", npa


def _names(criteria: Criteria) -> Iterator[tuple[str, str]]:
    named = (
        ("RateCenter", criteria.rate_center),
        ("City", criteria.city),
        ("State", criteria.state.upper() if criteria.state else None),
        ("Lata", criteria.lata),
        ("Zip", criteria.zip),
        ("TollFreeWildCardPattern", criteria.toll_free_pattern),
    )
    yield from ((field, value) for field, value in named if value)
