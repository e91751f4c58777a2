"""Find what CM.com would refuse in an order, before it is sent.

Knows the rules of the page "Create Number Request" that need no question to CM.com. Which numbers and range sizes it
has where, only CM.com knows. Every fault names the field as the producer wrote it.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from number_orders.carriers.cm.facts import NANPA, QUANTITY_MAX, NumberType
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria, Kind, OrderRequest, WhenTainted
from number_orders.orders.numbering import npa_fault, state_fault

Profiles = Mapping[str, str]
"""Company profiles by country and number type: `NLD:local` → GUID."""

_CRITERIA: Final = frozenset({"country", "number_type", "npa", "city", "state"})
_PLACE: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,100}")
_NPA: Final = re.compile(r"[2-9][0-9]{2}")
_DECIMAL: Final = 10
_AREA_CODE: Final = re.compile(r"[0-9]{1,8}")


def profile_key(criteria: Criteria) -> str:
    """Return the key of the company profile for these criteria."""
    return f"{criteria.country}:{criteria.number_type}"


def faults(request: OrderRequest, profiles: Profiles) -> tuple[Fault, ...]:
    """Return everything that CM.com would refuse, or would understand differently."""
    if request.kind is not Kind.NEW_NUMBERS:
        return (Fault("kind", f"must be {Kind.NEW_NUMBERS}: CM.com does not take {request.kind}"),)
    if request.criteria is None:
        return (Fault("numbers", "CM.com sells no numbers by name: give criteria and a quantity"),)
    checks = (
        _order_faults(request),
        _count_faults(request),
        _criteria_faults(request.criteria),
        _profile_faults(request.criteria, profiles),
    )
    return tuple(chain.from_iterable(checks))


def _order_faults(request: OrderRequest) -> Iterator[Fault]:
    if request.account is not None:
        yield Fault("account", "is not offered: the account is a setting")
    if request.when_tainted is not WhenTainted.WAIT:
        yield Fault("when_tainted", "goes with removals only")
    if request.allow_backorder:
        yield Fault("allow_backorder", "is not offered: CM.com always waits for numbers that are not in stock")
    if not request.allow_partial:
        yield Fault("allow_partial", "cannot be false: CM.com has no way to say all or nothing")
    for name in request.options:
        yield Fault(f"options.{name}", "is unknown; CM.com has no options")


def _count_faults(request: OrderRequest) -> Iterator[Fault]:
    quantity, size = request.quantity or 0, request.range_size
    if not 1 <= quantity <= QUANTITY_MAX:
        yield Fault("quantity", f"must be 1 to {QUANTITY_MAX}")
    if size is None:
        return
    if not 1 <= size <= QUANTITY_MAX:
        yield Fault("range_size", f"must be 1 to {QUANTITY_MAX}")
    elif size > 1 and size % _DECIMAL:
        rule = "must be a multiple of ten, since numbers are given out in decimal blocks"
        yield Fault("range_size", f"{rule}; `number-orders restrictions` shows the sizes that CM.com has")
    elif quantity % size:
        yield Fault("range_size", "must divide the quantity: numbers come in whole ranges")


def _criteria_faults(criteria: Criteria) -> Iterator[Fault]:
    for field in sorted(criteria.given() - _CRITERIA):
        yield Fault(f"criteria.{field}", "is not offered: CM.com goes by country, number_type, npa, city and state")
    if criteria.npa is None and criteria.city is None:
        yield Fault("criteria", "must say where: npa (the area code, in any country), city, or both")
    is_nanpa = criteria.country in NANPA
    if criteria.npa is not None and is_nanpa and not _NPA.fullmatch(criteria.npa):
        yield Fault("criteria.npa", "must be an area code: three digits, the first 2-9")
    elif criteria.npa is not None and is_nanpa and (rule := npa_fault(criteria.npa, toll_free=_is_toll_free(criteria))):
        yield Fault("criteria.npa", rule)
    elif criteria.npa is not None and not _AREA_CODE.fullmatch(criteria.npa):
        yield Fault("criteria.npa", "must be an area code: up to eight digits, as dialled within the country (020)")
    for field, value in (("city", criteria.city), ("state", criteria.state)):
        if value is not None and not _PLACE.fullmatch(value):
            yield Fault(f"criteria.{field}", "must be 1 to 100 printable characters")
        elif field == "state" and value is not None and (rule := state_fault(value, criteria.country)):
            yield Fault("criteria.state", rule)
    if is_nanpa and criteria.state is None:
        yield Fault("criteria.state", f"is needed in {criteria.country}: CM.com wants the region in North America")


def _is_toll_free(criteria: Criteria) -> bool:
    return criteria.number_type == NumberType.TOLL_FREE


def _profile_faults(criteria: Criteria, profiles: Profiles) -> Iterator[Fault]:
    types = ", ".join(NumberType)
    if criteria.country is None:
        yield Fault("criteria.country", "is needed: the company profile is chosen by it")
    if criteria.number_type is None:
        yield Fault("criteria.number_type", f"is needed: one of {types}")
    elif criteria.number_type not in set(NumberType):
        yield Fault("criteria.number_type", f"must be one of {types}")
    elif criteria.country is not None and profile_key(criteria) not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        yield Fault("criteria.country", f"no company profile is set up for {profile_key(criteria)}; there are {known}")
