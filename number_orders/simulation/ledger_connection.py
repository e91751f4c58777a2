"""The line between one process and the ledger.

Statements take their time, and a connection may break before one has happened, or after it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import psycopg

from number_orders.simulation.incidents import Incidents
from number_orders.simulation.memory_ledger import MemoryDatabase
from number_orders.simulation.process import Process
from number_orders.simulation.tables import Row, Tables

_ROUND_TRIP_S = (0.0005, 0.02)
_REFUSED_S = 0.2
_SLOWLY_BACK = 0.2
_BROKEN = "server closed the connection unexpectedly"


class Watcher(Protocol):
    """Whoever looks at everything that is written."""

    def heard(self, process: str, statement: str, params: Mapping[str, Any], rows: list[Row]) -> None:
        """Look at the tables just after a statement."""
        ...


class LineToLedger(MemoryDatabase):
    """The ledger, as one process reaches it."""

    def __init__(self, tables: Tables, process: Process, weather: Incidents, watcher: Watcher) -> None:
        super().__init__(tables)
        self._process = process
        self._weather = weather
        self._watcher = watcher

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        weather, process = self._weather, self._process
        await process.passes(f"before {statement}")
        if weather.lasts("ledger_outages"):
            await asyncio.sleep(_REFUSED_S)
            await process.passes("the ledger is away")
            raise psycopg.OperationalError("connection refused")
        lost = weather.strikes(weather.faults.ledger_lost)
        await asyncio.sleep(weather.seconds(*_ROUND_TRIP_S))
        if lost and weather.pick("before", "after") == "before":
            await process.passes("the connection broke")
            raise psycopg.OperationalError(_BROKEN)
        rows = self._carry_out(statement, params)
        self._watcher.heard(process.name, statement, params, rows)
        if weather.tosses(_SLOWLY_BACK):  # others may write between a statement and its answer
            await asyncio.sleep(weather.seconds(*_ROUND_TRIP_S))
        await process.passes(f"after {statement}")
        if lost:
            raise psycopg.OperationalError(_BROKEN)
        return rows
