"""Reads the query of GET /availableNumbers: which criteria may be combined, and their values.

The tables are those of Bandwidth's page "Order Numbers". Parameter names are read in any case, because the page itself
writes `City`, `PhoneNumberType` and `numberType`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from number_orders.sandbox.bandwidth import vocabulary as terms
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, error
from number_orders.sandbox.inventory import Criteria, Pool

_NANP: Final = {"USA", "CAN"}
_FIELDS: Final = {
    "areacode": "AreaCode",
    "npanxx": "NpaNxx",
    "npanxxx": "NpaNxxX",
    "ratecenter": "RateCenter",
    "city": "City",
    "state": "State",
    "zip": "Zip",
    "lata": "Lata",
    "localvanity": "LocalVanity",
    "tollfreevanity": "TollFreeVanity",
    "tollfreewildcardpattern": "TollFreeWildCardPattern",
}
_CODE_OF: Final = {
    "AreaCode": 4000,
    "NpaNxx": 4002,
    "NpaNxxX": 4002,
    "RateCenter": 4001,
    "City": 4005,
    "State": 4006,
    "Zip": 4007,
    "Lata": 4008,
    "LocalVanity": 4010,
    "TollFreeVanity": 4003,
    "TollFreeWildCardPattern": 4004,
}
_ORDERED_BY: Final = {"fullNumber", "npaNxxx", "npaNxx", "areaCode"}
_ORDERABLE: Final = {
    "NpaNxx",
    "NpaNxxX",
    "RateCenter",
    "City",
    "Zip",
    "TollFreeVanity",
    "TollFreeWildCardPattern",
}
_STAND_ALONE: Final = {"TollFreeVanity", "TollFreeWildCardPattern"}
_NUMBER_TYPES: Final = {"GEOGRAPHIC", "NATIONAL", "MOBILE", "TOLL_FREE", "SHARED_COST"}
_AREA_DIGITS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Search:
    """A valid search. `protected_only` finds nothing: no number of the sandbox is protected."""

    criteria: Criteria
    quantity: int
    detail: bool
    in_order: bool
    protected_only: bool


class SearchRefused(Exception):
    """Bandwidth answers 400 with a single Error."""

    def __init__(self, reason: CarrierError) -> None:
        super().__init__(reason)
        self.reason = reason


def read_search(pairs: Iterable[tuple[str, str]]) -> Search:
    """Read the query parameters; of a repeated one, the last value counts.

    Raises:
        SearchRefused: with the first error.
    """
    query = {name.lower(): value.strip() for name, value in pairs if value.strip()}
    fields = {_FIELDS[name]: value for name, value in query.items() if name in _FIELDS}
    country = query.get("countrycodea3", "")
    is_foreign = bool(country) and country not in _NANP
    reason = next(_errors(query, fields, is_foreign=is_foreign), None)
    if reason is not None:
        raise SearchRefused(reason)
    return Search(
        criteria=_foreign_criteria(query, fields) if is_foreign else _nanp_criteria(query, fields),
        quantity=int(query.get("quantity", terms.QUANTITY_MAX)),
        detail=_is_true(query, "enabletndetail"),
        in_order="orderby" in query,
        protected_only=query.get("protected") == "ONLY",
    )


def _is_true(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return query.get(name, str(default)).lower() == "true"


def _number_type(query: Mapping[str, str]) -> str:
    return query.get("phonenumbertype") or query.get("numbertype") or ""


def _foreign_criteria(query: Mapping[str, str], fields: Mapping[str, str]) -> Criteria:
    return Criteria(
        pool="foreign",
        country=query["countrycodea3"],
        number_type=_number_type(query),
        starts_with=fields.get("AreaCode", ""),
        city=fields.get("City", "").upper(),
    )


def _nanp_criteria(query: Mapping[str, str], fields: dict[str, str]) -> Criteria:
    country, kind = query.get("countrycodea3", ""), _number_type(query)
    pool: Pool = "toll_free" if kind == "TOLL_FREE" else "local"
    if not fields:
        return Criteria(pool=pool, country=country, number_type=kind)
    criteria = terms.criteria_from(
        fields,
        calling_area=_is_true(query, "lca", default=True),
        ends_in=_is_true(query, "endsin"),
    )
    pool = "toll_free" if kind == "TOLL_FREE" else criteria.pool
    return replace(criteria, pool=pool, country=country, number_type=kind)


def _errors(query: Mapping[str, str], fields: dict[str, str], *, is_foreign: bool) -> Iterator[CarrierError]:
    """Yield every error; only the first is reported."""
    quantity = query.get("quantity", "1")
    if not quantity.isdigit() or not 1 <= int(quantity) <= terms.QUANTITY_MAX:
        yield error(4010)
    if query.get("protected", "NONE") not in {"NONE", "ONLY", "MIXED"}:
        yield error(4022)
    yield from _order_by_errors(query, fields)
    yield from _foreign_errors(query, fields) if is_foreign else _nanp_errors(query, fields)


def _order_by_errors(query: Mapping[str, str], fields: dict[str, str]) -> Iterator[CarrierError]:
    wanted = query.get("orderby")
    if wanted is not None and wanted not in _ORDERED_BY:
        yield error(4020)
    if wanted is not None and not _ORDERABLE & fields.keys():
        yield error(4021)


def _foreign_errors(query: Mapping[str, str], fields: dict[str, str]) -> Iterator[CarrierError]:
    area_code = fields.get("AreaCode", "0")
    if not area_code.isdigit() or len(area_code) > _AREA_DIGITS_MAX:
        yield error(4000)
    if fields.keys() - {"AreaCode", "City"}:
        yield error(4010)
    if _number_type(query) not in {"", *_NUMBER_TYPES}:
        yield error(4010)


def _nanp_errors(query: Mapping[str, str], fields: dict[str, str]) -> Iterator[CarrierError]:
    given = fields.keys()
    if not given and "countrycodea3" not in query:
        yield error(4010)
    if _number_type(query) and "countrycodea3" not in query:
        yield error(4010)
    for field, value in fields.items():
        if terms.field_error(field, value) is not None:
            yield error(_CODE_OF[field])
    if "RateCenter" in given and "State" not in given:
        yield error(4001)
    if "City" in given and "State" not in given:
        yield error(4005)
    if _are_incompatible(set(given)):
        yield error(4010)


def _are_incompatible(given: set[str]) -> bool:
    alone = given & _STAND_ALONE and len(given) > 1
    prefixes = len(given & {"AreaCode", "NpaNxx", "NpaNxxX"}) > 1
    vanity = "LocalVanity" in given and not given <= {"LocalVanity", "AreaCode", "State"}
    return bool(alone or prefixes or vanity)
