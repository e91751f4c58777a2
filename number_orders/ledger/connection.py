"""The connection to PostgreSQL: one pool, one statement at a time, errors as this service names them.

One statement is one transaction. A statement that meets a broken connection is run once more, which is safe because
every statement is guarded: by the order's key, its version, or its lease. psycopg's exceptions stay in this package.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from number_orders.ledger.statements import SQL
from number_orders.orders.errors import AlreadyTaken, LedgerUnavailable, NotStorable, WrongSchema

_CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, PoolTimeout)

_TCP: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}
"""How soon a machine that does not answer is given up. A database URL may set its own values."""

STATEMENT_S: Final = 30.0
"""PostgreSQL cancels a statement of ours after this, whatever it waits for. Migrations have no limit."""

MARGIN_S: Final = 10.0
"""How much longer than PostgreSQL we wait. After that the server is frozen, and the connection is given up."""

Connections = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]


class Database(ABC):
    """Run named statements. Subclasses say how one is executed, and how broken connections are replaced."""

    silence_s: float = STATEMENT_S + MARGIN_S

    async def run(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        """Run one statement as one transaction, and return its rows.

        Raises:
            LedgerUnavailable: No answer. Nothing was changed, or nothing that the statement's guard would not notice.
            NotStorable: PostgreSQL refuses the values (`AlreadyTaken`: a unique constraint does); nothing was changed.
            WrongSchema: The database has another schema than this code expects.
        """
        try:
            return await self._run_or_reconnect(statement, params)
        except psycopg.errors.UniqueViolation as taken:
            raise AlreadyTaken(str(taken)) from taken
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as missing:
            raise WrongSchema(str(missing)) from missing
        except psycopg.DatabaseError as refusal:
            raise NotStorable(f"{type(refusal).__name__}: {refusal}") from refusal

    async def _run_or_reconnect(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        try:
            return await self._execute(statement, params)
        except PoolTimeout as error:
            raise LedgerUnavailable(f"the ledger gave no connection: {error}") from error
        except psycopg.errors.QueryCanceled as error:
            raise LedgerUnavailable(f"the ledger gave a statement up: {error}") from error
        except TimeoutError as error:
            raise LedgerUnavailable(f"the ledger said nothing for {self.silence_s:g} s") from error
        except _CONNECTION_ERRORS:
            await self._reconnect()
            return await self._run_again(statement, params)

    async def _run_again(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        try:
            return await self._execute(statement, params)
        except (TimeoutError, *_CONNECTION_ERRORS) as error:
            raise LedgerUnavailable(f"the ledger does not answer: {error!r}") from error

    @abstractmethod
    async def _reconnect(self) -> None:
        """Replace broken connections."""

    @abstractmethod
    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        """Execute one statement on one connection."""


class PostgresDatabase(Database):
    """PostgreSQL, through a pool that belongs to one process and one event loop."""

    def __init__(self, pool: Connections, *, silence_s: float = STATEMENT_S + MARGIN_S) -> None:
        self.pool = pool
        self.silence_s = silence_s

    @classmethod
    def at(
        cls,
        url: str,
        *,
        connections_max: int = 4,
        wait_s: float = 10.0,
        statement_s: float = STATEMENT_S,
        margin_s: float = MARGIN_S,
    ) -> Self:
        """Make a database on `url`; it connects when entered (`async with`).

        Args:
            url: The address, as libpq takes it.
            connections_max: The size of the pool.
            wait_s: How long to wait for a connection.
            statement_s: How long PostgreSQL may work on one statement.
            margin_s: How much longer than that to wait for its answer.
        """
        pool: Connections = AsyncConnectionPool(
            address(url),
            min_size=1,
            max_size=connections_max,
            timeout=wait_s,
            # The pool doubles its pauses between attempts to connect. With so short a timeout it starts over at each
            # request, so a ledger that was away for an hour is found again within seconds.
            reconnect_timeout=wait_s,
            open=False,
            configure=partial(_configure, statement_s),
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": "number-orders",
                "prepare_threshold": 0,  # prepare at the first execution: see `_configure`
            },
        )
        return cls(pool, silence_s=statement_s + margin_s)

    async def __aenter__(self) -> Self:
        await self.pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pool.close()

    async def _reconnect(self) -> None:
        """Check every connection of the pool: after a restart of PostgreSQL all of them are dead."""
        await self.pool.check()

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        async with self.pool.connection() as connection, asyncio.timeout(self.silence_s):
            cursor = await connection.execute(SQL[statement], params)
            return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


async def ledger_time(database: Database) -> datetime:
    """Return PostgreSQL's time, which every process uses."""
    (row,) = await database.run("now", {})
    return cast("datetime", row["now"])


async def check_reachable(url: str, *, within_s: int) -> None:
    """Connect once and disconnect.

    Raises:
        LedgerUnavailable: Nobody answers, or the server refuses; in its own words.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=within_s)
    except psycopg.Error as error:
        raise LedgerUnavailable(str(error)) from error
    await connection.close()


def address(url: str) -> str:
    """Return libpq's connection string for `url`, with our TCP settings where the URL sets none."""
    return make_conninfo("", **{**_TCP, **conninfo_to_dict(url)})


async def _configure(statement_s: float, connection: psycopg.AsyncConnection[DictRow]) -> None:
    """Set what a session needs: UTC, since producers are told UTC; a statement timeout; generic plans.

    Each statement is planned once a connection. Left to itself, PostgreSQL plans the larger ones at every execution,
    which takes five times as long as executing them.
    """
    limit_ms = str(round(statement_s * 1000))
    await connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('statement_timeout', %s, false),"
        " set_config('plan_cache_mode', 'force_generic_plan', false)",
        [limit_ms],
    )
