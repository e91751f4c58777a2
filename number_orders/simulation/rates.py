"""The rates that carriers allow in a world, and a check that none is exceeded.

Requests are counted when they leave, because a client cannot know how long each is in flight.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from number_orders.carriers.contract import ONE_LIMIT_GROUP
from number_orders.orders.model import CarrierName
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT

Rates = Mapping[CarrierName, Mapping[str, float]]

_GROUPS: Final = {BANDWIDTH: ("ORDER", "DISCONNECT"), CM_COM: (ONE_LIMIT_GROUP,), SWIFT: (ONE_LIMIT_GROUP,)}
_PER_SECOND: Final = (0.5, 1.0, 2.0, 5.0)
_LIMITED: Final = 0.5


def random_rates(dice: Random) -> Rates:
    """Choose the rate limits: in half of the worlds there are none, in the others about half of the groups have one."""
    limited = _LIMITED if dice.random() < _LIMITED else 0.0
    return {
        carrier: {group: dice.choice(_PER_SECOND) for group in groups if dice.random() < limited}
        for carrier, groups in _GROUPS.items()
    }


@dataclass(slots=True)
class RateMonitor:
    """Checks every request as it leaves."""

    rates: Rates
    fail: Callable[[str], None]
    _sent_at: dict[tuple[CarrierName, str], deque[float]] = field(default_factory=dict)

    def on_request(self, carrier: CarrierName, method: str, path: str, at: float) -> None:
        """Check one request that leaves now against those before it."""
        group = _group(carrier, method, path)
        rate = self.rates[carrier].get(group)
        if rate is None:
            return
        together = max(1, int(rate))
        before = self._sent_at.setdefault((carrier, group), deque(maxlen=together))
        if len(before) == together and at - before[0] < together / rate:
            self.fail(f"{carrier} allows {rate:g} {group} requests a second, and got more: {[*before, at]}")
        before.append(at)


def _group(carrier: CarrierName, method: str, path: str) -> str:
    """Return the request's limit group as far as its address shows it; at Bandwidth only POSTs have one."""
    if carrier != BANDWIDTH:
        return ONE_LIMIT_GROUP
    endings = {"orders": "ORDER", "disconnects": "DISCONNECT"}
    return endings.get(path.rpartition("/")[2], "") if method == "POST" else ""
