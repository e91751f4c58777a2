"""The guard: whether the ledger is still the one it was, and what is done after it fell back in time.

A restored backup or an asynchronous failover gives a ledger that has forgotten orders and purchases. In the guard
period after it, every order is looked for at its carrier before it is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow

from number_orders.ledger.connection import Database
from number_orders.ledger.statements import SQL
from number_orders.orders.alarms import Alarm

GUARD_LASTS: Final = timedelta(hours=72)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_NO_HEARTBEAT: Final = timedelta(days=36500)
_SAID_LATER: Final = (
    errors.UndefinedTable,
    errors.UndefinedFunction,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
)

HEARTBEAT: Final = timedelta(seconds=10)
"""How often a worker writes down that the ledger is still there: what is newer may be missing after a fall."""


@dataclass(frozen=True, slots=True)
class GuardPeriod:
    """The latest guard period. `why` and `who` are those of its end, if a person ended it."""

    now: datetime
    seen_at: datetime
    """The last heartbeat."""
    began_at: datetime | None
    ends_at: datetime | None
    why: str | None
    who: str | None
    fell: bool = False
    """The period begins with this look."""

    @property
    def is_active(self) -> bool:
        """Whether orders are looked for before they are sent."""
        return self.ends_at is not None and self.now < self.ends_at


class Guard:
    """Watches the identity of the ledger, and begins and ends guard periods."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen_at = _NEVER

    async def check(self, lasts: timedelta, *, beats: bool = True) -> GuardPeriod:
        """Look whether the ledger has fallen back in time, and begin a guard period of this length if it has.

        New connections are looked at before they are used. Behind a pooler a connection stays, and what is behind it
        changes: this look follows within a second, and until then no carrier is asked (`Schedule.claim`).

        `beats`: whether this process is a worker, whose heartbeat is written.
        """
        heartbeat = HEARTBEAT if beats else _NO_HEARTBEAT
        (row,) = await self._database.run("check_identity", check_params(self._seen_at, lasts, heartbeat=heartbeat))
        self._seen_at = max(self._seen_at, row["seen_at"])
        return _period(row)

    async def begin(self, lasts: timedelta, *, who: str, why: str) -> GuardPeriod:
        """Begin a guard period by hand. Every order under way is looked for before it goes on."""
        (row,) = await self._database.run("begin_guard", {"lasts": lasts, "who": who, "why": why})
        return _period(row)

    async def end(self, *, who: str, why: str) -> GuardPeriod | None:
        """End the guard period; return None if there is none."""
        found = await self._database.run("end_guard", {"who": who, "why": why})
        return _period(found[0]) if found else None

    async def read(self) -> GuardPeriod:
        """Return the latest guard period."""
        (row,) = await self._database.run("read_guard", {})
        return _period(row)


async def check_new_connection(lasts: timedelta, connection: AsyncConnection[DictRow]) -> None:
    """Look whether the ledger behind a new connection has fallen back in time, before anything else is done there.

    A server that cannot be written to, or that was never migrated, says so at the first statement. Nothing is written
    here unless it has fallen back: reading must be possible while a synchronous standby is missing.
    """
    try:
        params = check_params(_NEVER, lasts, heartbeat=_NO_HEARTBEAT)
        await connection.execute(SQL["check_identity"], params, prepare=False)
    except _SAID_LATER:
        return


def check_params(seen_at: datetime, lasts: timedelta, *, heartbeat: timedelta = HEARTBEAT) -> dict[str, Any]:
    """Return the parameters of the statement `check_identity`.

    Args:
        seen_at: The latest heartbeat that this process has seen. An older one means that the ledger fell back.
        lasts: How long a guard period that begins now lasts.
        heartbeat: How old the heartbeat must be to be written again.
    """
    return {"seen_at": seen_at, "lasts": lasts, "heartbeat": heartbeat, "alarm": Alarm.LEDGER_FELL_BACK}


def _period(row: Mapping[str, Any]) -> GuardPeriod:
    return GuardPeriod(**row)
