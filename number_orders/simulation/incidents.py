"""The troubles of one world in time: which requests they strike, which hours they last, and when the storm is over."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Final

from number_orders.simulation.faults import Faults

DAY_S: Final = 86_400.0

_LASTS_S: Final = {
    "outages": (20.0, 3 * 3600.0),
    "limited_storms": (10.0, 1200.0),
    "ledger_outages": (0.5, 90.0),
    "no_beat": (5.0, 900.0),
    "wiped": (0.0, 0.0),
}
"""How long one stretch of each trouble lasts: mostly short, since durations are drawn on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when something is the matter."""

    begins_s: float
    ends_s: float


class Incidents:
    """Rolls the dice of one world."""

    def __init__(self, faults: Faults, dice: Random, *, days: float) -> None:
        self.faults = faults
        self.storm_s = days * DAY_S
        self._dice = dice
        self._stretches: dict[tuple[str, str], list[Stretch]] = {}

    @property
    def stormy(self) -> bool:
        """Tell whether trouble is still allowed."""
        return asyncio.get_running_loop().time() < self.storm_s

    def strikes(self, probability: float) -> bool:
        """Tell whether something goes wrong this once."""
        return probability > 0 and self.stormy and self._dice.random() < probability

    def tosses(self, probability: float) -> bool:
        """Tell whether something that is no trouble happens this once."""
        return self._dice.random() < probability

    def seconds(self, least: float, most: float) -> float:
        """Draw a duration, the small ones as likely as the large ones."""
        return float(least * (most / least) ** self._dice.random()) if least > 0 else self._dice.uniform(least, most)

    def pick(self, *choices: str) -> str:
        """Draw one of several ways."""
        return self._dice.choice(choices)

    def lasts(self, what: str, where: str = "") -> bool:
        """Tell whether a stretch of this trouble is under way."""
        now = asyncio.get_running_loop().time()
        return any(stretch.begins_s <= now < stretch.ends_s for stretch in self.stretches(what, where))

    def stretches(self, what: str, where: str = "") -> list[Stretch]:
        """Return every stretch of a trouble at one place; they are the same however often they are asked for."""
        known = self._stretches.get((what, where))
        if known is None:
            known = self._stretches[what, where] = list(self._drawn(what))
        return known

    def _drawn(self, what: str) -> list[Stretch]:
        expected = getattr(self.faults, what) * self.storm_s / DAY_S
        times = int(expected) + (self._dice.random() < expected % 1)
        begins = sorted(self._dice.uniform(0, self.storm_s) for _ in range(times))
        least, most = _LASTS_S[what]
        return [Stretch(at, min(at + (self.seconds(least, most) if most else 0.0), self.storm_s)) for at in begins]
