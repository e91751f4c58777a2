"""The stages of a number request at the sandbox CM.com, and the ranges that are assigned to it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

NEW: Final = "NEW"
IN_PROGRESS: Final = "IN_PROGRESS"
COMPLETED: Final = "COMPLETED"
REJECTED: Final = "REJECTED"
CANCELLED: Final = "CANCELLED"
STATUSES: Final = (NEW, IN_PROGRESS, COMPLETED, REJECTED, CANCELLED)
FINAL: Final = {COMPLETED, REJECTED, CANCELLED}


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive numbers that were assigned: the first, and how many."""

    guid: str
    start: str
    size: int

    def numbers(self) -> Iterator[str]:
        """Return the numbers in E.164."""
        first = int(self.start.removeprefix("+"))
        return (f"+{number}" for number in range(first, first + self.size))


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What the carrier says of a request from `at` on."""

    at: datetime
    status: str
    reason: str | None = None
    ranges: tuple[Range, ...] = ()
    listed: tuple[Range, ...] | None = None
    """The ranges that are shown; None: those that are assigned."""
    provisional: bool = False
    """The carrier says so for a while, and then takes it back."""

    @property
    def is_final(self) -> bool:
        """Return whether the request has ended."""
        return self.status in FINAL and not self.provisional

    @property
    def shown(self) -> tuple[Range, ...]:
        """Return the ranges that are shown as assigned."""
        return self.ranges if self.listed is None else self.listed


def numbers_in(ranges: Iterable[Range]) -> Iterator[str]:
    """Return the numbers of several ranges in E.164."""
    return (e164 for each in ranges for e164 in each.numbers())
