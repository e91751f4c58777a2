"""Swift's coverage: how many numbers there are, but not which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from number_orders.sandbox.geography import Place
from number_orders.sandbox.inventory import Criteria, Inventory
from number_orders.sandbox.swift.order_requests import FILTERS, Refused, criteria_of


@dataclass(frozen=True, slots=True)
class CoverageQuery:
    """What is counted, and by which fields."""

    criteria: Criteria
    group_by: Sequence[str]


def read_coverage_query(query: QueryParams) -> CoverageQuery:
    """Read the query of a coverage search.

    Raises:
        Refused: 422 for a number type other than tendlc, or a field that cannot be grouped by.
    """
    errors: dict[str, list[str]] = {}
    if query.get("number_type") != "tendlc":
        errors["number_type"] = ["is invalid"]
    group_by = list(dict.fromkeys(query.getlist("group_by[]")))
    if not set(group_by) <= set(FILTERS):
        errors["group_by"] = [f"must be of {', '.join(FILTERS)}"]
    if errors:
        raise Refused(422, errors)
    return CoverageQuery(criteria_of(query), group_by)


def count(inventory: Inventory, coverage_query: CoverageQuery) -> Counter[tuple[str, ...]]:
    """Count the stock by group; without a field to group by, all is one group."""
    groups: Counter[tuple[str, ...]] = Counter()
    for place, digits, quantity in inventory.count(coverage_query.criteria):
        fields = _fields(place, digits)
        groups[tuple(fields[name] for name in coverage_query.group_by)] += quantity
    return groups


def _fields(place: Place, digits: str) -> dict[str, str]:
    return {
        "npa": digits[:3],
        "nxx": digits[3:],
        "lata": place.lata,
        "state": place.state,
        "rate_center": place.rate_center,
        "country_code": "1",
    }
