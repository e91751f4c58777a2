"""Runs of the schedule that must not be made twice: each is begun once in a time, however many beats send its tick."""

from datetime import datetime, timedelta

from number_orders.ledger.connection import Database


class ScheduledRuns:
    """Remembers when each run has begun last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, name: str, *, not_within: timedelta) -> datetime | None:
        """Begin a run and return when; None: one of this name has begun within `not_within`."""
        begun = await self._database.run("begin_run", {"name": name, "not_within": not_within})
        return begun[0]["began_at"] if begun else None

    async def end(self, name: str, began_at: datetime) -> None:
        """Note that the run that began then has come to its end."""
        await self._database.run("end_run", {"name": name, "began_at": began_at})

    async def last(self, name: str) -> datetime | None:
        """Return when the last run of this name began; None if it has not come to its end."""
        found = await self._database.run("last_run", {"name": name})
        return found[0]["began_at"] if found else None
