"""What is wrong with an order, for the person who writes the program that sends it: field, and rule in words.

pydantic speaks of its own types and of regular expressions. What it finds is told here in the words of the contract.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from number_orders_client.contract import ALPHA_3, E164, HTTPS, KEY, LINE, Fault

FAULTS_MAX: Final = 20
"""How many faults of one order are listed."""

_PATTERNS: Final[Mapping[str, str]] = {
    E164: "must be E.164: a plus sign, then 7 to 15 digits, such as +19195550100",
    KEY: "must be 1 to 200 printable ASCII characters without blanks",
    LINE: "must be one line of text, with something visible and without control characters",
    ALPHA_3: "must be a country as ISO 3166 alpha-3: three capital letters, such as USA",
    HTTPS: "must be an address that begins with https://",
}
_MOMENT: Final = "must be a moment as ISO 8601 with its offset from UTC, such as 2026-11-22T10:00:00Z"
_RULES: Final[Mapping[str, str]] = {
    "missing": "is needed",
    "extra_forbidden": "is no field of the contract",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "timezone_aware": _MOMENT,
}
_OPTION_DEPTH: Final = 2
_OPTION: Final = "must be a text, a whole number, true or false, or a list of texts"


def faults_of(error: ValidationError, *, whole: str = "order") -> list[Fault]:
    """Return what is wrong, each field once; `whole` names what is wrong with no field in particular."""
    found = error.errors(include_url=False, include_input=False)
    told: dict[str, str] = {}
    for each in found:
        field, rule = _fault(each)
        if not (each["type"] == "too_short" and _has_inner(found, each["loc"])):
            told.setdefault(field or whole, rule)
    return [Fault(field=field, rule=rule) for field, rule in list(told.items())[:FAULTS_MAX]]


def in_words(faults: Sequence[Fault]) -> str:
    """Return faults as one text: `field: rule; field: rule`."""
    return "; ".join(f"{fault.field}: {fault.rule}" for fault in faults)


def _fault(error: ErrorDetails) -> tuple[str, str]:
    where = error["loc"]
    if where[:1] == ("options",) and len(where) > _OPTION_DEPTH:
        return ".".join(map(str, where[:_OPTION_DEPTH])), _OPTION  # one error for each type that it might be
    return ".".join(map(str, where)), _rule(error)


def _rule(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(context.get("pattern")), error["msg"])
    if kind.startswith("datetime"):
        return _MOMENT
    rule = _RULES.get(kind)
    return rule.format(**context) if rule else error["msg"].removeprefix("Value error, ")


def _has_inner(found: Sequence[ErrorDetails], where: tuple[Any, ...]) -> bool:
    """Tell whether an entry of this list is wrong: pydantic drops it, and then finds the list too short as well."""
    return any(each["loc"][: len(where)] == where and len(each["loc"]) > len(where) for each in _others(found))


def _others(found: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    return (each for each in found if each["type"] != "too_short")
