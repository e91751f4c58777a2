"""The connection to PostgreSQL: a pool, and one way to run a named statement.

One statement is one transaction. A statement that meets a broken connection is run once more. That is safe because
every statement is guarded: by the order's key, its version, or its lease. A connection that answers and cannot serve,
such as one to a former primary that is read-only now, is broken too: it is closed, and so are the others of the pool.
So is one that prepared its statements before a migration changed what they return.
Callers see the errors of `number_orders.orders.errors`; psycopg's exceptions do not leave this package.

Behind a connection pooler that gives each transaction another session (PgBouncer in transaction mode), nothing relies
on the state of a session: the settings of a statement travel with it, in the same transaction and round trip.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from number_orders.ledger.statements import SQL
from number_orders.ledger.text import storable
from number_orders.orders.errors import (
    AlreadyTaken,
    LedgerUnavailable,
    NotStorable,
    PreparedStatementsLost,
    WrongSchema,
)

_STATEMENTS_LOST = (psycopg.errors.DuplicatePreparedStatement, psycopg.errors.InvalidSqlStatementName)
_CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, PoolTimeout)

_TCP: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}
"""How soon a connection to a machine that does not answer is closed. A database URL may set its own values."""

_USELESS: Final = ("25006", "57P01", "57P02", "57P03", "08")
"""How the SQLSTATEs begin of a server that is read-only, shuts down, has crashed, starts, or lost its client."""
_READ_ONLY: Final = ("in_hot_standby", "default_transaction_read_only")
"""What PostgreSQL tells its clients unasked when it takes no writes (since release 14)."""
_STALE_MAX: Final = 5
"""How many connections of before a statement may meet after the pool was emptied."""
_DRAIN_EVERY_S: Final = 1.0
"""While every server is useless, the connections of a pool are replaced at most this often."""

STATEMENT_S: Final = 30.0
"""PostgreSQL cancels a statement after this time, whatever it waits for. Migrations have no such limit."""

MARGIN_S: Final = 10.0
"""How much longer we wait for the answer. After that the server counts as frozen, and the connection is closed."""

_WAITS_FOR_STANDBY: Final = "SyncRepWaitForLSN"
"""The function of PostgreSQL that warns when a synchronous commit was made here and not confirmed by the standby. The
warning has no SQLSTATE of its own, and its text depends on the server's language."""

_CHECKS_PLAN: Final = "RevalidateCachedQuery"
"""The function of PostgreSQL that refuses a prepared statement whose columns have changed. Nothing was executed."""


class StaleConnection(psycopg.OperationalError):
    """What was true when this connection was made is not now: its server took writes, or the schema was another.

    Another connection may serve.
    """


class LedgerConnection(psycopg.AsyncConnection[DictRow]):
    """A connection that knows whether its server takes writes."""

    was_read_only = False
    """Whether the server took no writes when the connection was made."""

    @property
    def is_read_only(self) -> bool:
        """Whether the server has told that it takes no writes now. Costs no round trip; behind a pooler it may not."""
        return any(self.info.parameter_status(name) == "on" for name in _READ_ONLY)


Connections = AsyncConnectionPool[LedgerConnection]
OnConnect = Callable[[psycopg.AsyncConnection[DictRow]], Awaitable[None]]


class Database(ABC):
    """Runs named statements. A subclass executes them, and replaces broken connections."""

    silence_s: float = STATEMENT_S + MARGIN_S

    async def run(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        """Run one statement as one transaction, and return its rows.

        If PostgreSQL refuses a value, the statement is run once more with every text made storable: so the check costs
        nothing where there is nothing to replace.

        Raises:
            LedgerUnavailable: No answer. Whether the statement was executed is not known; its guard makes it safe to
                repeat.
            PreparedStatementsLost: A connection pooler does not keep prepared statements; nothing was changed.
            NotStorable: PostgreSQL refuses the values (`AlreadyTaken`: a unique constraint does); nothing was changed.
            WrongSchema: The database has another schema than this code expects.
        """
        try:
            try:
                return await self._run_or_reconnect(statement, params)
            except (psycopg.DataError, UnicodeEncodeError):
                return await self._run_or_reconnect(statement, storable(params))
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
            raise LedgerUnavailable(f"no connection to the ledger: {error}") from error
        except psycopg.errors.QueryCanceled as error:
            raise LedgerUnavailable(f"PostgreSQL cancelled the statement: {error}") from error
        except TimeoutError as error:
            raise LedgerUnavailable(f"the ledger did not answer within {self.silence_s:g} s") from error
        except _STATEMENTS_LOST as error:
            raise PreparedStatementsLost(f"a connection pooler keeps no prepared statements: {error}") from error
        except _CONNECTION_ERRORS as error:
            await self._reconnect(error)
            return await self._run_again(statement, params)

    async def _run_again(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        try:
            for _ in range(_STALE_MAX):  # connections that were being made meanwhile
                with suppress(StaleConnection):
                    return await self._execute(statement, params)
            return await self._execute(statement, params)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise LedgerUnavailable(f"the ledger is read-only: {error}") from error
        except (TimeoutError, *_CONNECTION_ERRORS) as error:
            raise LedgerUnavailable(f"the ledger does not answer: {error!r}") from error

    @abstractmethod
    async def _reconnect(self, error: Exception) -> None:
        """Replace broken connections, after one of them has met this error."""

    @abstractmethod
    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        """Execute one statement on one connection, once."""


class PostgresDatabase(Database):
    """PostgreSQL, through a connection pool that belongs to one process and one event loop."""

    def __init__(
        self,
        pool: Connections,
        *,
        silence_s: float = STATEMENT_S + MARGIN_S,
        local_settings: Mapping[str, str] | None = None,
    ) -> None:
        """`local_settings` are set for each statement alone; None: sessions keep what `_configure` has set."""
        self.pool = pool
        self.silence_s = silence_s
        self._local_settings = local_settings
        self._drained_at = -_DRAIN_EVERY_S

    @classmethod
    def at(
        cls,
        url: str,
        *,
        connections_max: int = 4,
        wait_s: float = 10.0,
        statement_s: float = STATEMENT_S,
        margin_s: float = MARGIN_S,
        on_connect: OnConnect | None = None,
        transaction_pooler: bool = False,
        prepared_statements: bool = True,
    ) -> Self:
        """Make a database on `url`, which connects when it is entered (`async with`).

        Args:
            url: The address, as libpq takes it.
            connections_max: The size of the pool.
            wait_s: How long to wait for a connection of the pool.
            statement_s: How long PostgreSQL may work on one statement.
            margin_s: How much longer than that to wait for its answer.
            on_connect: Called with each new connection before anything else uses it.
            transaction_pooler: Whether a connection pooler gives each transaction any of its sessions.
            prepared_statements: Whether to prepare statements; the pooler must keep them.
        """
        settings = _session_settings(statement_s)
        pool: Connections = AsyncConnectionPool(
            address(url),
            connection_class=LedgerConnection,
            min_size=1,
            max_size=connections_max,
            timeout=wait_s,
            # The pool doubles its pauses between attempts to connect. With so short a timeout it starts over at each
            # request, so after an outage of an hour the ledger is reached again within seconds.
            reconnect_timeout=wait_s,
            open=False,
            configure=partial(_configure, {"TimeZone": "UTC"} if transaction_pooler else settings, on_connect),
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": "number-orders",
                "prepare_threshold": 0 if prepared_statements else None,  # 0: at the first execution
            },
        )
        local_settings = settings if transaction_pooler else None
        return cls(pool, silence_s=statement_s + margin_s, local_settings=local_settings)

    async def __aenter__(self) -> Self:
        await self.pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pool.close()

    async def _reconnect(self, error: Exception) -> None:
        """Replace every connection if the server is useless; otherwise those that are dead, as after its restart.

        A useless one answers every check, so the pool would keep it until it is an hour old.
        """
        if not _is_useless(error):
            await self.pool.check()
        elif time.monotonic() - self._drained_at >= _DRAIN_EVERY_S:
            self._drained_at = time.monotonic()
            await self.pool.drain()

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        notices: list[Diagnostic] = []
        async with self.pool.connection() as connection, asyncio.timeout(self.silence_s):
            connection.add_notice_handler(notices.append)
            try:
                async with self._with_local_settings(connection):
                    cursor = await connection.execute(SQL[statement], params)
                rows = await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
            except psycopg.Error as error:
                has_outdated_plans = error.diag.source_function == _CHECKS_PLAN
                if _is_useless(error) or has_outdated_plans:
                    await connection.close()  # the pool replaces it
                was_made_read_only = isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
                if has_outdated_plans or (was_made_read_only and not connection.was_read_only):
                    raise StaleConnection(str(error)) from error
                raise
            finally:
                connection.remove_notice_handler(notices.append)
            if connection.is_read_only:
                # Kept in the pool, it would go on reading what may be out of date when the address leads elsewhere.
                await connection.close()
                if not connection.was_read_only:
                    raise StaleConnection("PostgreSQL has become read-only since we connected")
        if any(notice.source_function == _WAITS_FOR_STANDBY for notice in notices):
            raise LedgerUnavailable("written, but the synchronous standby has not confirmed it in time")
        return rows

    @asynccontextmanager
    async def _with_local_settings(self, connection: LedgerConnection) -> AsyncIterator[None]:
        """Send the settings and what is executed within together: PostgreSQL runs a pipeline as one transaction."""
        if self._local_settings is None:
            yield
            return
        async with connection.pipeline():
            await _set(self._local_settings, connection, for_transaction=True)
            yield


async def ledger_time(database: Database) -> datetime:
    """Return PostgreSQL's time, which every process uses."""
    (row,) = await database.run("now", {})
    return cast("datetime", row["now"])


async def check_reachable(url: str, *, within_s: int) -> None:
    """Connect once and disconnect.

    Raises:
        LedgerUnavailable: No server answers, or it refuses; with its own message.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=within_s)
    except psycopg.Error as error:
        raise LedgerUnavailable(str(error)) from error
    await connection.close()


def address(url: str) -> str:
    """Return libpq's connection string for `url`, with our settings where the URL sets none.

    Of several hosts the one that takes writes is used.
    """
    given = conninfo_to_dict(url)
    several = any("," in str(given.get(name) or "") for name in ("host", "hostaddr"))
    return make_conninfo("", **{**_TCP, **({"target_session_attrs": "read-write"} if several else {}), **given})


def _is_useless(error: Exception) -> bool:
    """Tell whether an error says that the server answers and cannot serve, so that its connections must go."""
    return isinstance(error, StaleConnection) or (
        isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_USELESS)
    )


def _session_settings(statement_s: float) -> Mapping[str, str]:
    """Return what statements rely on: UTC, since documents have moments in UTC; a statement timeout; generic plans.

    Each statement is planned once for each connection. By default PostgreSQL plans the larger ones at every execution,
    which takes five times as long as executing them.
    """
    return {
        "TimeZone": "UTC",
        "statement_timeout": str(round(statement_s * 1000)),
        "plan_cache_mode": "force_generic_plan",
    }


async def _set(
    settings: Mapping[str, str], connection: psycopg.AsyncConnection[DictRow], *, for_transaction: bool = False
) -> None:
    """Set parameters for the session, or for the transaction alone."""
    calls = ", ".join(["set_config(%s, %s, %s)"] * len(settings))
    values = [value for name, text in settings.items() for value in (name, text, for_transaction)]
    await connection.execute(f"SELECT {calls}".encode(), values, prepare=None if for_transaction else False)


async def _configure(settings: Mapping[str, str], on_connect: OnConnect | None, connection: LedgerConnection) -> None:
    """Prepare a new connection, before anything else uses it."""
    connection.was_read_only = connection.is_read_only
    await _set(settings, connection)
    if on_connect is not None:
        await on_connect(connection)
