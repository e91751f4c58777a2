"""Magic inputs: numbers and area codes that force an order's fate, which is how it goes whatever the stock has.

docs/sandbox.md has the table. An order by criteria has the fate of its area code. An order that names numbers has the
fate of the first magic number among them, by its last four digits or else by its area code. `FAILED` alone applies to
each number by itself.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Fate(StrEnum):
    """How an order goes, whatever the stock has."""

    ORDINARY = "ordinary"
    PARTIAL = "partial"
    FAILED = "failed"
    BACKORDER_FILLS = "backorder_fills"
    BACKORDER_WAITS = "backorder_waits"
    NEVER_ENDS = "never_ends"
    STRANGE_WORD = "strange_word"
    CONTRADICTS = "contradicts"
    WITH_ERRORS = "with_errors"


BY_AREA_CODE: Final = {
    "808": Fate.PARTIAL,
    "406": Fate.FAILED,
    "307": Fate.BACKORDER_FILLS,
    "701": Fate.BACKORDER_WAITS,
    "907": Fate.NEVER_ENDS,
    "605": Fate.STRANGE_WORD,
    "208": Fate.CONTRADICTS,
    "802": Fate.WITH_ERRORS,
}

BY_LAST_DIGITS: Final = {
    "9901": Fate.PARTIAL,
    "9902": Fate.FAILED,
    "9903": Fate.BACKORDER_FILLS,
    "9904": Fate.BACKORDER_WAITS,
    "9905": Fate.NEVER_ENDS,
    "9906": Fate.STRANGE_WORD,
    "9907": Fate.CONTRADICTS,
    "9908": Fate.WITH_ERRORS,
}


def of_area_code(area_code: str) -> Fate:
    """Return the fate of an order for numbers in `area_code`."""
    return BY_AREA_CODE.get(area_code, Fate.ORDINARY)


def of_number(e164: str) -> Fate:
    """Return the fate of one named number."""
    by_line = BY_LAST_DIGITS.get(e164[-4:])
    if by_line is not None:
        return by_line
    return of_area_code(e164[2:5]) if e164.startswith("+1") else Fate.ORDINARY


def of_numbers(numbers: Iterable[str]) -> Fate:
    """Return the fate of an order for `numbers`; a number that fails does not affect the others."""
    fates = map(of_number, numbers)
    return next((fate for fate in fates if fate not in {Fate.ORDINARY, Fate.FAILED}), Fate.ORDINARY)
