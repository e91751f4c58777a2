"""Ask CM.com how many numbers one number request may have, and in ranges of which sizes, by country and number type.

Stores nothing: CM.com may change its restrictions at any time, so they are asked for whenever they matter. Their shape
is assumed (`facts.RestrictionField`). So what does not fit it is an `UnreadableAnswer`, and no order is refused because
of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from number_orders.carriers.cm.answers import require_content
from number_orders.carriers.cm.facts import (
    CARRIER,
    QUANTITY_MAX,
    RESTRICTIONS_PATH,
    TYPE_WORDS,
    NumberType,
    RestrictionField,
    normalized,
)
from number_orders.carriers.cm.rules import Profiles
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.orders.errors import Fault, UnreadableAnswer


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one number request may ask for. `country` and `number_type` are those of the company profile."""

    country: str
    number_type: NumberType
    quantity_max: int | None
    """None if CM.com does not say."""
    range_sizes: tuple[int, ...]
    """Ascending. Empty if numbers come only one by one."""


def ask_allowances(
    account_guid: str, profiles: Profiles, country: str | None = None, number_type: str | None = None
) -> Inquiry[tuple[Allowance, ...]]:
    """Ask for the allowances of all company profiles, or of those of one country, one number type, or both."""
    allowances = []
    for key, profile in sorted(profiles.items()):
        of_country, _, of_type = key.partition(":")
        if country in {None, of_country} and number_type in {None, of_type}:
            allowances.append((yield from ask_allowance(account_guid, key, profile)))
    return tuple(allowances)


def ask_allowance(account_guid: str, profile_key: str, profile: str) -> Inquiry[Allowance]:
    """Ask for the allowance of one company profile.

    Args:
        account_guid: Our account at CM.com.
        profile_key: Country and number type of the profile, as in the settings: `NLD:local`.
        profile: The GUID of the profile.

    Raises:
        NoAnswer: CM.com did not answer.
        UnreadableAnswer: The answer is not as expected, or does not have this number type.
    """
    country, _, number_type = profile_key.partition(":")
    wanted = NumberType(number_type)
    path = RESTRICTIONS_PATH.format(account=quote(account_guid, safe=""))
    query = {RestrictionField.PROFILE: profile, RestrictionField.TYPE: TYPE_WORDS[wanted]}
    answer = yield CarrierRequest("GET", path, Purpose.READ, query, accept="application/json")
    quantity_max, range_sizes = _read(answer, TYPE_WORDS[wanted])
    return Allowance(country, wanted, quantity_max, range_sizes)


def range_fault(size: int, allowed: Allowance) -> Fault | None:
    """Return what is wrong with a range size, or None."""
    if size in allowed.range_sizes:
        return None
    numbers = f"{allowed.number_type} numbers of {allowed.country}"
    if not allowed.range_sizes:
        return Fault("range_size", f"is not offered: CM.com has no ranges of {numbers}")
    sizes = ", ".join(map(str, allowed.range_sizes))
    return Fault("range_size", f"must be one of {sizes}: CM.com has no other ranges of {numbers}")


def _read(answer: CarrierAnswer, type_word: str) -> tuple[int | None, tuple[int, ...]]:
    require_content(answer)
    try:
        shown = json.loads(answer.body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", answer.body) from fault
    entries = shown if isinstance(shown, list) else [shown]
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise UnreadableAnswer(CARRIER, "not a list of restrictions", answer.body)
    try:
        allowed = {_read_entry(entry) for entry in entries if _is_about(entry, type_word)}
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), answer.body) from fault
    if len(allowed) != 1:
        raise UnreadableAnswer(CARRIER, f"{len(allowed)} restrictions for {type_word} numbers, not one", answer.body)
    return allowed.pop()


def _is_about(entry: Mapping[str, Any], type_word: str) -> bool:
    """Return whether an entry is about this number type. One without a type is about the type that was asked for."""
    type_shown = entry.get(RestrictionField.TYPE)
    return type_shown is None or (isinstance(type_shown, str) and normalized(type_shown) == normalized(type_word))


def _read_entry(entry: Mapping[str, Any]) -> tuple[int | None, tuple[int, ...]]:
    quantity_max, sizes = entry.get(RestrictionField.QUANTITY_MAX), entry.get(RestrictionField.RANGE_SIZES)
    if quantity_max is not None and not _is_count(quantity_max):
        raise ValueError("a maximum quantity that is not a count")
    # Missing sizes do not mean that there are no ranges: no order is refused because CM.com says nothing.
    if not isinstance(sizes, list) or not all(map(_is_count, sizes)):
        raise ValueError("restrictions without a list of range sizes")
    return quantity_max, tuple(sorted(set(sizes)))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10 * QUANTITY_MAX
