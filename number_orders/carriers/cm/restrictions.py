"""What may be asked of CM.com in one country and number type: how many numbers, and in ranges of which sizes.

Knows how CM.com is asked for its restrictions, and what its answer says. Keeps nothing: restrictions change when CM.com
pleases, so they are asked for whenever they matter. Its shape is assumed (`carriers.cm.facts.Restricted`), so whatever
does not fit is an `UnreadableAnswer`, and refuses nobody anything.
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
    Restricted,
    same_word,
)
from number_orders.carriers.cm.rules import Profiles
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.orders.errors import Fault, UnreadableAnswer


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be asked for in one number request. `country` and `number_type` are those of the company profile."""

    country: str
    number_type: NumberType
    quantity_max: int | None
    """None: CM.com does not say."""
    range_sizes: tuple[int, ...]
    """Ascending; empty when numbers come one by one only."""


def ask_allowances(
    account_guid: str, profiles: Profiles, country: str | None = None, number_type: str | None = None
) -> Inquiry[tuple[Allowance, ...]]:
    """Ask what may be asked for with every company profile of this country and number type, or of any."""
    told = []
    for key, profile in sorted(profiles.items()):
        of_country, _, of_type = key.partition(":")
        if country in {None, of_country} and number_type in {None, of_type}:
            told.append((yield from ask_allowance(account_guid, key, profile)))
    return tuple(told)


def ask_allowance(account_guid: str, profile_key: str, profile: str) -> Inquiry[Allowance]:
    """Ask what may be asked for with one company profile.

    Args:
        account_guid: Our account at CM.com.
        profile_key: Country and number type of the profile, as in the settings: `NLD:local`.
        profile: The GUID of the profile.

    Raises:
        NoAnswer: CM.com does not say now.
        UnreadableAnswer: Its answer is not what we expect, or says nothing of this number type.
    """
    country, _, number_type = profile_key.partition(":")
    wanted = NumberType(number_type)
    path = RESTRICTIONS_PATH.format(account=quote(account_guid, safe=""))
    query = {Restricted.PROFILE: profile, Restricted.TYPE: TYPE_WORDS[wanted]}
    answer = yield CarrierRequest("GET", path, Purpose.READ, query, accept="application/json")
    quantity_max, range_sizes = _read(answer, TYPE_WORDS[wanted])
    return Allowance(country, wanted, quantity_max, range_sizes)


def range_fault(size: int, allowed: Allowance) -> Fault | None:
    """Return what is wrong with a range size, if anything is."""
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
        told = {_entry(entry) for entry in entries if _is_about(entry, type_word)}
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), answer.body) from fault
    if len(told) != 1:
        raise UnreadableAnswer(CARRIER, f"{len(told)} restrictions for {type_word} numbers, not one", answer.body)
    return told.pop()


def _is_about(entry: Mapping[str, Any], type_word: str) -> bool:
    """Tell whether an entry is about numbers of this type; without a type it is about those that were asked for."""
    said = entry.get(Restricted.TYPE)
    return said is None or (isinstance(said, str) and same_word(said) == same_word(type_word))


def _entry(entry: Mapping[str, Any]) -> tuple[int | None, tuple[int, ...]]:
    most, sizes = entry.get(Restricted.QUANTITY_MAX), entry.get(Restricted.RANGE_SIZES)
    if most is not None and not _is_count(most):
        raise ValueError("a largest quantity that is none")
    # Sizes that are missing are not the same as none: nobody is refused a range on the strength of silence.
    if not isinstance(sizes, list) or not all(map(_is_count, sizes)):
        raise ValueError("restrictions without a list of range sizes")
    return most, tuple(sorted(set(sizes)))


def _is_count(said: object) -> bool:
    return isinstance(said, int) and not isinstance(said, bool) and 1 <= said <= 10 * QUANTITY_MAX
