"""Magic inputs of the sandbox Swift: area codes and numbers that force the fate of a request.

A request for new numbers has the fate of its area code, or of the area code of the first number found. A removal has
the fate of the first number in an area code that is magic for removals; buying there is ordinary. A request to add
numbers has the fate of the first magic number among them, by its last four digits.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class SwiftFate(StrEnum):
    """How a request goes, whatever the stock has."""

    ORDINARY = "ordinary"
    PARTIAL = "partial"
    FAILED = "failed"
    SLOW_USABLE = "slow_usable"
    NEVER_USABLE = "never_usable"
    NEVER_ENDS = "never_ends"
    STRANGE_WORD = "strange_word"
    CONTRADICTS = "contradicts"
    WITH_ERRORS = "with_errors"
    HALF_LATE = "half_late"
    ERROR_BUT_BOUGHT = "error_but_bought"


NEW_BY_AREA_CODE: Final = {
    "808": SwiftFate.PARTIAL,
    "406": SwiftFate.FAILED,
    "307": SwiftFate.SLOW_USABLE,
    "701": SwiftFate.NEVER_USABLE,
    "907": SwiftFate.NEVER_ENDS,
    "605": SwiftFate.STRANGE_WORD,
    "208": SwiftFate.CONTRADICTS,
    "802": SwiftFate.WITH_ERRORS,
    "204": SwiftFate.HALF_LATE,
    "306": SwiftFate.ERROR_BUT_BOUGHT,
}
REMOVED_BY_AREA_CODE: Final = {
    "902": SwiftFate.PARTIAL,
    "506": SwiftFate.FAILED,
    "867": SwiftFate.NEVER_ENDS,
    "709": SwiftFate.CONTRADICTS,
}
ADDED_BY_LAST_DIGITS: Final = {
    "9901": SwiftFate.PARTIAL,
    "9902": SwiftFate.FAILED,
    "9905": SwiftFate.NEVER_ENDS,
    "9906": SwiftFate.STRANGE_WORD,
    "9907": SwiftFate.CONTRADICTS,
    "9908": SwiftFate.WITH_ERRORS,
}


def of_new(area_code: str) -> SwiftFate:
    """Return the fate of a request for new numbers in `area_code`."""
    return NEW_BY_AREA_CODE.get(area_code, SwiftFate.ORDINARY)


def of_removal(numbers: Iterable[str]) -> SwiftFate:
    """Return the fate of a removal."""
    return _first(REMOVED_BY_AREA_CODE.get(e164[2:5]) for e164 in numbers)


def of_added(numbers: Iterable[str]) -> SwiftFate:
    """Return the fate of a request to add numbers."""
    return _first(ADDED_BY_LAST_DIGITS.get(e164[-4:]) for e164 in numbers)


def _first(fates: Iterable[SwiftFate | None]) -> SwiftFate:
    return next((fate for fate in fates if fate is not None), SwiftFate.ORDINARY)
