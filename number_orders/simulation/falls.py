"""A ledger that falls back in time: a backup that is restored, or a standby that lags and takes over."""

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import fields
from random import Random
from typing import Any, Final

from number_orders.simulation.tables import Tables
from number_orders.simulation.trace import Trace

_LAG_S: Final = (5.0, 3600.0)
"""How much is forgotten; short times are as likely as long ones."""
_KEPT: Final = frozenset({"clock", "ledger_identity", "_identities"})
"""What is no part of a backup. Ids stay unique, so that a trace names one thing by one id."""


class Falls:
    """Lets the ledger of one world fall back, each time not long after some order was placed."""

    def __init__(
        self,
        tables: Tables,
        dice: Random,
        trace: Trace,
        *,
        times: float,
        orders_at_s: Sequence[float],
        fallen: Callable[[], None],
    ) -> None:
        self._tables = tables
        self._dice = dice
        self._trace = trace
        self._times = times
        self._orders_at_s = orders_at_s
        self._fallen = fallen

    async def run(self) -> None:
        """Fall back from time to time, to what the ledger was some time before. Call `fallen` each time."""
        times = int(self._times) + (self._dice.random() < self._times % 1)
        moments = sorted(self._moment() for _ in range(times))
        for number, (falls_at_s, lag_s) in enumerate(moments):
            await _until(falls_at_s - lag_s)
            backup = self._backup()
            await _until(falls_at_s)
            for name, value in backup.items():
                setattr(self._tables, name, value)
            self._tables.ledger_identity = f"server {number + 2}"
            self._trace.note("ledger", "fell back", f"by {lag_s:.1f} s")
            self._fallen()

    def _moment(self) -> tuple[float, float]:
        """Choose when the ledger falls back, and by how much."""
        least, most = _LAG_S
        lag_s = least * (most / least) ** self._dice.random()
        return self._dice.choice(self._orders_at_s) + self._dice.uniform(0, 1.5 * lag_s), lag_s

    def _backup(self) -> dict[str, Any]:
        # Copied in one go: a row that two tables share stays one row.
        names = (each.name for each in fields(Tables) if each.name not in _KEPT)
        return copy.deepcopy({name: getattr(self._tables, name) for name in names})


async def _until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - asyncio.get_running_loop().time()))
