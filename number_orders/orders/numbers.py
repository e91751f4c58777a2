"""Telephone numbers in one form: E.164 with its plus sign. The service uses no other form inside.

Whether a number exists, and who has it, is not known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NewType

import phonenumbers

E164 = NewType("E164", str)

_SHAPE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NANP: Final = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
_NANP_PREFIX: Final = "+1"


@dataclass(frozen=True, slots=True)
class ListedNumber:
    """One number in a carrier's list of numbers, as its adapter read it."""

    e164: E164
    inserted_at: datetime
    """On the carrier's clock."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """What else the list says of it, as JSON, in the adapter's own words."""


def parse_e164(text: str) -> E164:
    """Return `text` as an E.164 number.

    A number must be *possible* (its length fits its country), but need not be *known*: new area codes open faster than
    number tables are updated, and the carrier decides anyway.

    Raises:
        ValueError: It breaks a rule, which the message names.
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError("must be E.164: a plus sign, then 7 to 15 digits, such as +19195550100")
    if text.startswith(_NANP_PREFIX):
        if _NANP.fullmatch(text):
            return E164(text)  # nothing more to check: the pattern is the whole rule of this plan
        raise ValueError("is no North American number: area code and exchange are three digits each, first 2-9")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as fault:
        raise ValueError("has a country calling code that nobody uses") from fault
    # is_possible_number would also accept numbers that can be dialled only from within the same town.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("has the wrong length for its country")
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        raise ValueError("holds a prefix dialled at home only, such as the 0 in +44 (0)20")  # each number has one form
    return E164(text)


def is_nanp(number: str) -> bool:
    """Return whether a number belongs to the North American Numbering Plan (NANP)."""
    return number.startswith(_NANP_PREFIX)


def national(number: E164) -> str:
    """Return the ten digits of a NANP number, as carriers in that plan write it."""
    return number.removeprefix(_NANP_PREFIX)


def e164_from_carrier(text: str) -> E164:
    """Read a number as carriers write it: `+1919…`, `1919…`, or the ten digits of a NANP number.

    Raises:
        ValueError: It is none of these.
    """
    digits = text.strip()
    if digits.startswith("+"):
        return parse_e164(digits)
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"is not a telephone number: {text!r:.40}")
    ten = 10
    return parse_e164(f"+1{digits}" if len(digits) == ten else f"+{digits}")


def count_in_words(numbers: int) -> str:
    """Return `1 number`, or `5 numbers`."""
    return "1 number" if numbers == 1 else f"{numbers} numbers"
