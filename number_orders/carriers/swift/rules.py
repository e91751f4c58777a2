"""Find what Swift would refuse in an order, before it is sent.

Knows the rules of the page "Number Ordering" that need no question to Swift. What is in stock and which accounts there
are, only Swift knows. Every fault names the field as the producer wrote it.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from number_orders.carriers.swift.facts import IDENTIFIER, NANP, NUMBER_TYPE, NUMBERS_MAX, QUANTITY_MAX
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria, Kind, OrderRequest, WhenTainted
from number_orders.orders.numbering import npa_fault, nxx_fault, state_fault
from number_orders.orders.numbers import is_nanp

_CRITERIA: Final = frozenset({"country", "number_type", "npa", "nxx", "lata", "state", "rate_center"})
_THREE_DIGITS: Final = re.compile(r"[2-9][0-9]{2}")
_LATA: Final = re.compile(r"[0-9]{1,5}")
_PLACE: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,100}")
_OPTIONS: Final = {Kind.ADD_MESSAGING_NUMBERS: frozenset({"mms_enabled", "api_key_ids"})}


def faults(request: OrderRequest) -> tuple[Fault, ...]:
    """Return everything that Swift would refuse, or would understand differently."""
    named = request.kind is not Kind.NEW_NUMBERS
    return tuple(
        chain(
            _order_faults(request),
            _named_faults(request) if named else _bought_faults(request),
            _option_faults(request),
        )
    )


def _order_faults(request: OrderRequest) -> Iterator[Fault]:
    if request.account is not None and not IDENTIFIER.fullmatch(request.account):
        yield Fault("account", "must be the id of an account: letters and digits")
    if request.when_tainted is not WhenTainted.WAIT and request.kind is not Kind.REMOVE_NUMBERS:
        yield Fault("when_tainted", "goes with removals only")
    if request.allow_backorder:
        yield Fault("allow_backorder", "is not offered: Swift sells what is in stock")
    if not request.allow_partial:
        yield Fault("allow_partial", "cannot be false: Swift has no way to say all or nothing")
    if request.range_size is not None:
        yield Fault("range_size", "is not offered: Swift sells no ranges")


def _named_faults(request: OrderRequest) -> Iterator[Fault]:
    if not request.numbers:
        yield Fault("numbers", f"are needed for {request.kind}: it names its numbers one by one")
    if len(request.numbers) > NUMBERS_MAX:
        yield Fault("numbers", f"must be at most {NUMBERS_MAX}")
    for index, number in enumerate(request.numbers):
        if not is_nanp(number):
            yield Fault(f"numbers.{index}", "must be a North American number: Swift has no others")


def _bought_faults(request: OrderRequest) -> Iterator[Fault]:
    if request.criteria is None:
        yield Fault("numbers", "Swift sells no numbers by name: give criteria and a quantity")
        return
    if not 1 <= (request.quantity or 0) <= QUANTITY_MAX:
        yield Fault("quantity", f"must be 1 to {QUANTITY_MAX}")
    yield from criteria_faults(request.criteria)


def criteria_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every criterion that Swift does not use, or that is not written correctly."""
    for field in sorted(criteria.given() - _CRITERIA):
        yield Fault(f"criteria.{field}", "is not offered: Swift goes by npa, nxx, lata, state, rate_center and country")
    if criteria.country is not None and criteria.country not in NANP:
        yield Fault("criteria.country", "must be a country of the North American plan: Swift has no other numbers")
    if criteria.number_type not in {None, NUMBER_TYPE}:
        yield Fault("criteria.number_type", f"must be {NUMBER_TYPE}, or left out")
    if criteria.lata is not None and not _LATA.fullmatch(criteria.lata):
        yield Fault("criteria.lata", "must be up to five digits")
    yield from _place_faults(criteria)


def _place_faults(criteria: Criteria) -> Iterator[Fault]:
    for field, value, check in (("npa", criteria.npa, npa_fault), ("nxx", criteria.nxx, nxx_fault)):
        if value is not None and not _THREE_DIGITS.fullmatch(value):
            yield Fault(f"criteria.{field}", "must be three digits, the first 2-9")
        elif value is not None and (rule := check(value)):
            yield Fault(f"criteria.{field}", rule)
    for field, value in (("state", criteria.state), ("rate_center", criteria.rate_center)):
        if value is not None and not _PLACE.fullmatch(value):
            yield Fault(f"criteria.{field}", "must be 1 to 100 printable characters")
        elif field == "state" and value is not None and (rule := state_fault(value, criteria.country)):
            yield Fault("criteria.state", rule)


def _option_faults(request: OrderRequest) -> Iterator[Fault]:
    known = _OPTIONS.get(request.kind, frozenset())
    for name in sorted(request.options.keys() - known):
        takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        yield Fault(f"options.{name}", f"is unknown for {request.kind}: {takes}")
    mms, keys = request.options.get("mms_enabled"), request.options.get("api_key_ids")
    if "mms_enabled" in known and mms is not None and not isinstance(mms, bool):
        yield Fault("options.mms_enabled", "must be true or false")
    if "api_key_ids" in known and keys is not None and not _are_ids(keys):
        yield Fault("options.api_key_ids", "must be a list of ids of API keys")


def _are_ids(given: object) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, str) and IDENTIFIER.fullmatch(one) for one in given)
