"""When faults happen in one world: which requests they hit, how long they last, and when the fault period ends."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Final

from number_orders.simulation.faults import Faults

DAY_S: Final = 86_400.0

_DURATION_S: Final = {
    "outages": (20.0, 3 * 3600.0),
    "limited_periods": (10.0, 1200.0),
    "ledger_outages": (0.5, 90.0),
    "no_beat": (5.0, 900.0),
    "wiped": (0.0, 0.0),
}
"""How long one interval of each fault lasts: mostly short, because durations are chosen on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from the beginning to the end of a fault."""

    begins_s: float
    ends_s: float


class Incidents:
    """Decides by chance what goes wrong in one world."""

    def __init__(self, faults: Faults, dice: Random, *, days: float) -> None:
        self.faults = faults
        self.fault_period_s = days * DAY_S
        self._dice = dice
        self._intervals: dict[tuple[str, str], list[Interval]] = {}

    @property
    def is_active(self) -> bool:
        """Whether the fault period lasts."""
        return asyncio.get_running_loop().time() < self.fault_period_s

    def happens(self, probability: float) -> bool:
        """Return whether a fault happens this time."""
        return probability > 0 and self.is_active and self._dice.random() < probability

    def chance(self, probability: float) -> bool:
        """Return whether something that is no fault happens this time."""
        return self._dice.random() < probability

    def random_s(self, least: float, most: float) -> float:
        """Choose a duration; short ones are as likely as long ones."""
        return float(least * (most / least) ** self._dice.random()) if least > 0 else self._dice.uniform(least, most)

    def choose(self, *choices: str) -> str:
        """Choose one of several."""
        return self._dice.choice(choices)

    def is_ongoing(self, what: str, where: str = "") -> bool:
        """Return whether an interval of this fault lasts."""
        now = asyncio.get_running_loop().time()
        return any(interval.begins_s <= now < interval.ends_s for interval in self.intervals(what, where))

    def intervals(self, what: str, where: str = "") -> list[Interval]:
        """Return all intervals of a fault at one place; they are chosen once."""
        known = self._intervals.get((what, where))
        if known is None:
            known = self._intervals[what, where] = list(self._planned(what))
        return known

    def _planned(self, what: str) -> list[Interval]:
        expected = getattr(self.faults, what) * self.fault_period_s / DAY_S
        times = int(expected) + (self._dice.random() < expected % 1)
        begins = sorted(self._dice.uniform(0, self.fault_period_s) for _ in range(times))
        least, most = _DURATION_S[what]
        return [
            Interval(at, min(at + (self.random_s(least, most) if most else 0.0), self.fault_period_s)) for at in begins
        ]
