"""Bandwidth's searches against the tables of its page, which are repeated here as the page prints them."""

import re
from itertools import combinations
from typing import Any, Final

import pytest

from number_orders.carriers.bandwidth.available_numbers import NUMBER_TYPES, search_faults, search_query
from number_orders.carriers.market import SearchQuery
from number_orders.orders.model import Criteria

# Search Type | Required Parameters | Combinational Parameters | Optional Parameters
NORTH_AMERICA: Final = """
Area Code | areaCode | rateCenter (state required), city (state required), state, lata, zip | quantity, enableTNDetail, protected
NPA-NXX | npaNxx | rateCenter (state required), city (state required), state, lata, zip, orderBy | quantity, enableTNDetail, protected
NPA-NXX with | npaNxx | | quantity, LCA, enableTNDetail, protected
NPA-NXX-X | npaNxxx | rateCenter (state required), city (state required), state, lata, zip, orderBy | quantity, enableTNDetail, protected
NPA-NXX-X with | npaNxxx | rateCenter (state required), city (state required), state, lata, zip | quantity, LCA, enableTNDetail, protected
RateCenter | rateCenter, state | city, areaCode/npaNxx/npaNxxx, lata, zip, orderBy | quantity, enableTNDetail, protected
RateCenter with Local Calling Area | rateCenter, state | | quantity, LCA, enableTNDetail, protected
State | state | rateCenter, city, areaCode/npaNxx/npaNxxx, lata, zip | quantity, enableTNDetail, protected
City | state, city | rateCenter, state, areaCode/npaNxx/npaNxxx, lata, zip, orderBy | quantity, enableTNDetail, protected
Zip Code | zip | rateCenter (state required), city (state required), state, areaCode/npaNxx/npaNxxx, lata, orderBy | quantity, enableTNDetail, protected
LATA | lata | rateCenter (state required), city (state required), state, areaCode/npaNxx/npaNxxx, zip | quantity, enableTNDetail, protected
Local Vanity | localVanity | state, areaCode | endsIn, quantity, protected, enableTNDetail
TollFree Vanity | tollFreeVanity | orderBy | quantity
TollFree WildCard | tollFreeWildCardPattern | orderBy | quantity
"""  # noqa: E501  a table stays a table
ABROAD: Final = """
Country | countryCodeA3 | numberType, areaCode, city | quantity, enableTNDetail, protected
Number Type | numberType, countryCodeA3 | areaCode, city | quantity, enableTNDetail, protected
Area Code | areaCode, countryCodeA3 | numberType | quantity, enableTNDetail, protected
City | city, countryCodeA3 | numberType | quantity, enableTNDetail, protected
"""
SAID: Final[dict[str, dict[str, Any]]] = {
    "areaCode": {"npa": "919"},
    "npaNxx": {"npa": "919", "nxx": "555"},
    "npaNxxx": {"npa": "919", "nxx": "555", "thousands_block": "2"},
    "rateCenter": {"rate_center": "RALEIGH"},
    "city": {"city": "Raleigh"},
    "state": {"state": "NC"},
    "lata": {"lata": "426"},
    "zip": {"zip": "27601"},
    "localVanity": {"vanity": "CALL"},
    "endsIn": {"vanity_at_end": True},
    "tollFreeVanity": {"vanity": "FLOWERS", "number_type": "toll_free"},
    "tollFreeWildCardPattern": {"toll_free_pattern": "83*"},
    "LCA": {"local_calling_area": True},
    "orderBy": {"order_by": "fullNumber"},
    "protected": {"protected": "MIXED"},
    "countryCodeA3": {"country": "DEU"},
    "numberType": {"number_type": "national"},
}
"""How each parameter of theirs is asked for here."""
PREFIXES: Final = ("areaCode", "npaNxx", "npaNxxx")
VANITIES: Final = ("localVanity", "tollFreeVanity")


def rows(table: str) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return the required and the allowed parameters of each row."""
    found = []
    for line in table.strip().splitlines():
        _, required, combined, optional = (
            frozenset(re.findall(r"[a-z]\w*[A-Z]*\w*|LCA", cell)) for cell in line.split("|")
        )
        found.append((required, required | (combined - {"required"}) | optional))
    return found


def is_on_the_page(given: frozenset[str], table: str) -> bool:
    return any(required <= given <= allowed for required, allowed in rows(table))


def search(*parameters: str) -> SearchQuery:
    said = {name: value for parameter in parameters for name, value in SAID[parameter].items()}
    options: dict[str, str] = {name: said.pop(name) for name in ("order_by", "protected") if name in said}
    return SearchQuery(Criteria(**said), options=options)


def every_choice(names: list[str], *, most: int) -> list[tuple[str, ...]]:
    """Return every choice of up to `most` parameters, no two of which come from the same field of ours."""
    chosen = [choice for count in range(1, most + 1) for choice in combinations(names, count)]
    return [choice for choice in chosen if all(len(set(group) & set(choice)) <= 1 for group in (PREFIXES, VANITIES))]


def says_the_type_twice(choice: tuple[str, ...]) -> bool:
    return {"tollFreeVanity", "numberType"} <= set(choice)


def test_the_tables_are_read_as_they_are_printed() -> None:
    assert len(rows(NORTH_AMERICA)) == 14
    assert rows(NORTH_AMERICA)[2] == (
        frozenset({"npaNxx"}),
        frozenset({"npaNxx", "quantity", "LCA", "enableTNDetail", "protected"}),
    )
    assert len(rows(ABROAD)) == 4


def test_what_the_page_combines_passes_and_nothing_else_does() -> None:
    """Every choice of up to five of the fifteen North American parameters."""
    names = [name for name in SAID if name not in {"countryCodeA3", "numberType"}]
    wrong, passed = [], 0
    for choice in every_choice(names, most=5):
        given = frozenset(choice)
        lonely = bool(given & {"city", "rateCenter"}) and "state" not in given
        expected = is_on_the_page(given, NORTH_AMERICA) and not lonely
        passed += expected
        if expected != (search_faults(search(*choice)) == ()):
            wrong.append((choice, expected))

    assert wrong == []
    assert passed > 100, "the tables let something through"


def test_abroad_only_country_type_area_code_and_city_combine() -> None:
    names = [name for name in SAID if name != "countryCodeA3"]
    wrong = []
    for choice in [(), *every_choice(names, most=3)]:
        if says_the_type_twice(choice):
            continue
        given = frozenset({*choice, "countryCodeA3"})
        if is_on_the_page(given, ABROAD) != (search_faults(search(*given)) == ()):
            wrong.append(choice)

    assert wrong == []


def test_a_fault_names_the_field_that_was_given() -> None:
    """The faults of a refused combination name fields of the search, each with a rule."""
    names = [name for name in SAID if name not in {"countryCodeA3", "numberType"}]
    for choice in every_choice(names, most=3):
        wanted = search(*choice)
        given = {f"criteria.{name}" for name in wanted.criteria.given()} | {
            f"options.{name}" for name in wanted.options
        }
        for fault in search_faults(wanted):
            assert fault.field in {*given, "criteria"}, (choice, fault)
            assert fault.rule


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (("areaCode",), {"areaCode": "919"}),
        (("npaNxx",), {"npaNxx": "919555", "LCA": "false"}),
        (("npaNxx", "LCA"), {"npaNxx": "919555", "LCA": "true"}),
        (("npaNxx", "orderBy"), {"npaNxx": "919555", "orderBy": "fullNumber"}),
        (("npaNxxx",), {"npaNxxx": "9195552", "LCA": "false"}),
        (("npaNxxx", "zip", "LCA"), {"npaNxxx": "9195552", "zip": "27601", "LCA": "true"}),
        (("rateCenter", "state"), {"rateCenter": "RALEIGH", "state": "NC", "LCA": "false"}),
        (("rateCenter", "state", "lata"), {"rateCenter": "RALEIGH", "state": "NC", "lata": "426"}),
        (("state", "protected"), {"state": "NC", "protected": "MIXED"}),
        (("city", "state"), {"city": "Raleigh", "state": "NC"}),
        (("zip",), {"zip": "27601"}),
        (("lata",), {"lata": "426"}),
        (("localVanity",), {"localVanity": "CALL"}),
        (("localVanity", "areaCode", "endsIn"), {"localVanity": "CALL", "areaCode": "919", "endsIn": "true"}),
        (("countryCodeA3",), {"countryCodeA3": "DEU"}),
        (("countryCodeA3", "numberType"), {"countryCodeA3": "DEU", "phoneNumberType": "NATIONAL"}),
    ],
)
def test_every_search_type_becomes_its_parameters(wanted: tuple[str, ...], query: dict[str, str]) -> None:
    """Details are asked for, and neighbouring towns excluded, wherever the page allows it."""
    assert search_faults(search(*wanted)) == ()
    assert search_query(search(*wanted)) == {**query, "enableTNDetail": "true"}


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (("tollFreeVanity",), {"tollFreeVanity": "FLOWERS"}),
        (("tollFreeWildCardPattern", "orderBy"), {"tollFreeWildCardPattern": "83*", "orderBy": "fullNumber"}),
    ],
)
def test_toll_free_searches_ask_for_no_details(wanted: tuple[str, ...], query: dict[str, str]) -> None:
    """The page allows only quantity and order beside them."""
    assert search_query(search(*wanted)) == query


@pytest.mark.parametrize(
    ("criteria", "query"),
    [
        # As the page's examples have them, but for the details.
        (Criteria(country="DEU"), {"countryCodeA3": "DEU"}),
        (Criteria(country="DEU", number_type="national"), {"countryCodeA3": "DEU", "phoneNumberType": "NATIONAL"}),
        (Criteria(country="DEU", npa="30"), {"countryCodeA3": "DEU", "areaCode": "30"}),
        (Criteria(country="DEU", city="Berlin"), {"countryCodeA3": "DEU", "city": "Berlin"}),
        (Criteria(country="GBR", number_type="local"), {"countryCodeA3": "GBR", "phoneNumberType": "GEOGRAPHIC"}),
        (
            Criteria(country="USA", city="Raleigh", state="NC"),
            {"countryCodeA3": "USA", "city": "Raleigh", "state": "NC"},
        ),
        (Criteria(country="USA", number_type="local", zip="27601"), {"countryCodeA3": "USA", "zip": "27601"}),
        (Criteria(country="USA", number_type="local"), {"countryCodeA3": "USA", "phoneNumberType": "GEOGRAPHIC"}),
        (
            Criteria(country="USA", number_type="toll_free", npa="833"),
            {"countryCodeA3": "USA", "phoneNumberType": "TOLL_FREE", "areaCode": "833"},
        ),
    ],
)
def test_countries_and_number_types_are_spelled_as_bandwidth_does(criteria: Criteria, query: dict[str, str]) -> None:
    wanted = SearchQuery(criteria, 5)

    assert search_faults(wanted) == ()
    assert search_query(wanted) == {**query, "quantity": "5", "enableTNDetail": "true"}


@pytest.mark.parametrize("word", NUMBER_TYPES)
def test_every_type_of_number_can_be_searched_abroad(word: str) -> None:
    query = search_query(SearchQuery(Criteria(country="GBR", number_type=word)))

    assert query["phoneNumberType"] == NUMBER_TYPES[word]


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        (SearchQuery(Criteria()), "criteria", "must say where"),
        (SearchQuery(Criteria(), 5), "criteria", "must say where"),
        (SearchQuery(Criteria(country="usa")), "criteria.country", "three capital letters"),
        (SearchQuery(Criteria(country="GBR", number_type="premium")), "criteria.number_type", "must be one of local,"),
        (SearchQuery(Criteria(number_type="national")), "criteria.number_type", "needs criteria.country"),
        (SearchQuery(Criteria(number_type="local"), 5), "criteria.number_type", "needs criteria.country"),
        (SearchQuery(Criteria(number_type="toll_free", npa="833")), "criteria.number_type", "needs criteria.country"),
        (
            SearchQuery(Criteria(country="USA", number_type="toll_free", zip="27601")),
            "criteria.number_type",
            "search by ZIP",
        ),
        (
            SearchQuery(Criteria(number_type="local", toll_free_pattern="83*")),
            "criteria.toll_free_pattern",
            "number_type local",
        ),
        (SearchQuery(Criteria(npa="119")), "criteria.npa", "three digits, the first 2-9"),
        (SearchQuery(Criteria(nxx="555")), "criteria.nxx", "needs criteria.npa"),
        (SearchQuery(Criteria(npa="919", thousands_block="2")), "criteria.thousands_block", "needs criteria.nxx"),
        (SearchQuery(Criteria(country="DEU", npa="1234567")), "criteria.npa", "up to six digits"),
        (SearchQuery(Criteria(country="DEU", city="\t")), "criteria.city", "printable"),
        (SearchQuery(Criteria(country="DEU", zip="10115")), "criteria.zip", "search by country goes with"),
        (SearchQuery(Criteria(country="USA", city="Raleigh")), "criteria.city", "needs criteria.state"),
        (SearchQuery(Criteria(rate_center="RALEIGH")), "criteria.rate_center", "needs criteria.state"),
        (SearchQuery(Criteria(vanity="CALL", zip="27601")), "criteria.zip", "search by local vanity goes with"),
        (SearchQuery(Criteria(zip="2760")), "criteria.zip", "ZIP code"),
        (SearchQuery(Criteria(npa="919"), 0), "quantity", "1 to 5000"),
        (SearchQuery(Criteria(npa="919"), 5001), "quantity", "1 to 5000"),
        (
            SearchQuery(Criteria(npa="919"), options={"color": "red"}),
            "options.color",
            "Bandwidth knows order_by, protected",
        ),
        (SearchQuery(Criteria(zip="27601"), options={"order_by": "price"}), "options.order_by", "fullNumber"),
        (
            SearchQuery(Criteria(npa="919"), options={"order_by": "fullNumber"}),
            "options.order_by",
            "search by area code goes",
        ),
        (SearchQuery(Criteria(npa="919"), options={"protected": "SOME"}), "options.protected", "NONE, ONLY, MIXED"),
    ],
)
def test_a_refusal_names_field_and_rule(wanted: SearchQuery, field: str, words: str) -> None:
    (fault,) = search_faults(wanted)

    assert fault.field == field
    assert words in fault.rule


def test_a_zero_before_an_area_code_abroad_stays() -> None:
    """Version 2 of the API takes area codes as text."""
    assert search_query(SearchQuery(Criteria(country="ITA", npa="06")))["areaCode"] == "06"
