"""How many requests a carrier took in any second, told from its own log, and told fairly.

A sandbox that was itself too slow to look (`stalls`) wrote down late, and all at once, what had come in meanwhile. So
each request stands for the time in which it may have arrived, and a second holds what has surely arrived in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_SETTLING_S: Final = 0.03
"""For so long after a stall, requests from within it are still being written down."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a request was written down, and when it may have arrived at the earliest. Seconds."""

    at: float
    earliest: float


def arrivals(report: Mapping[str, Any], method: str, ending: str = "") -> list[Arrival]:
    """Return all requests of one kind, in the order in which they were written down."""
    stalls = [(_moment(begun), _moment(over)) for begun, over in report["stalls"]]
    at = sorted(
        _moment(entry["at"])
        for entries in report["http"].values()
        for entry in entries
        if entry["method"] == method and entry["path"].endswith(ending)
    )
    return [Arrival(moment, _earliest(moment, stalls)) for moment in at]


def most_in_a_second(seen: Sequence[Arrival]) -> int:
    """Return how many have surely arrived within one second, whichever second that is."""
    begins = sorted({each.earliest for each in seen})
    return max(sum(begin <= each.earliest and each.at < begin + 1 for each in seen) for begin in begins)


def best_stretch(seen: Sequence[Arrival], lasts_s: float) -> float:
    """Return how many a second arrived in the busiest stretch of `lasts_s`."""
    return max(sum(begin.at <= each.at < begin.at + lasts_s for each in seen) for begin in seen) / lasts_s


def _earliest(moment: float, stalls: Sequence[tuple[float, float]]) -> float:
    return min((begun for begun, over in stalls if begun <= moment <= over + _SETTLING_S), default=moment)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
