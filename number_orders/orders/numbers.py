"""Telephone numbers in one form: E.164 with its plus sign, and nothing else inside this house.

Knows how numbers are written. Does not know who owns them or whether anyone answers.
"""

import re
from typing import Final, NewType

import phonenumbers

E164 = NewType("E164", str)

_SHAPE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NANP: Final = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
_NANP_PREFIX: Final = "+1"


def parse_e164(text: str) -> E164:
    """Return `text` as an E.164 number, or raise `ValueError` saying which rule it breaks.

    A number must be *possible* (its length fits its country), not *known*: new area codes open
    faster than number tables are updated, and the carrier has the last word anyway.
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError("must be E.164: a plus sign, then 7 to 15 digits, such as +19195550100")
    if text.startswith(_NANP_PREFIX):
        if _NANP.fullmatch(text):
            return E164(text)  # the plan's own pattern says all there is to say
        raise ValueError("is no North American number: area code and exchange are three digits each, first 2-9")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as fault:
        raise ValueError("has a country calling code that nobody uses") from fault
    # Not is_possible_number: it lets pass what can be dialled only from within the same town.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("has the wrong length for its country")
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        raise ValueError("holds a prefix dialled at home only, such as the 0 in +44 (0)20")  # one number, one form
    return E164(text)


def is_nanp(number: str) -> bool:
    """Tell whether a number belongs to the North American Numbering Plan."""
    return number.startswith(_NANP_PREFIX)


def national(number: E164) -> str:
    """Return the ten digits of a NANP number, as carriers of that plan write it."""
    return number.removeprefix(_NANP_PREFIX)


def e164_from_carrier(text: str) -> E164:
    """Read a number as carriers print it: `+1919…`, `1919…`, or ten bare NANP digits.

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
