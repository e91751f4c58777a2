"""Databases with an empty ledger, one a test. One that a test has left as it was built is emptied and used again.

To copy the template and to drop the copy costs PostgreSQL 0.3 s of CPU: several hundred files each time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.invariants import broken_promises

TEMPLATE: Final = "ledger_template"

_GROWTH_MAX: Final = 4 * 1024 * 1024
"""A database that its tests have made larger by more bytes is dropped: deleted rows make others slower."""

# What a test could have changed but rows. A row of the catalogue that is written again has another `xmin`.
_CATALOGUE: Final = """
SELECT md5(string_agg(entry, ' ' ORDER BY entry)) FROM (
    SELECT 'class ' || oid || ' ' || xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'column ' || attrelid || ' ' || attnum || ' ' || pg_attribute.xmin
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'constraint ' || oid || ' ' || xmin FROM pg_constraint
    UNION ALL SELECT 'trigger ' || oid || ' ' || xmin FROM pg_trigger
    UNION ALL SELECT 'function ' || oid || ' ' || xmin FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'rule ' || oid || ' ' || xmin FROM pg_rewrite
    UNION ALL SELECT 'schema ' || oid || ' ' || xmin FROM pg_namespace
    UNION ALL SELECT 'setting ' || setdatabase || ' ' || setrole || ' ' || xmin FROM pg_db_role_setting
    UNION ALL SELECT 'database ' || oid || ' ' || xmin FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'role ' || oid || ' ' || xmin FROM pg_authid
) AS entries (entry)"""

_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SIZE: Final = "SELECT pg_database_size(current_database())"
_SEQUENCES: Final = "SELECT setval(sequencename::regclass, start_value, false) FROM pg_sequences"
_LET_GO: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@dataclass(slots=True)
class _Ledger:
    """One database, and what is needed to find it unchanged and to empty it."""

    url: str
    catalogue: str
    size: int
    rows: dict[str, bytes]
    """The rows that an empty ledger has, by table, as COPY writes them."""


@dataclass(slots=True)
class Ledgers:
    """The databases of one PostgreSQL, from one template."""

    server_url: str
    template: str = TEMPLATE
    _free: list[_Ledger] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[str]:
        """Yield the URL of an empty ledger, and look after the promises at the end."""
        ledger = self._free.pop() if self._free else self._create()
        yield ledger.url
        broken = broken_promises(ledger.url)
        if _empty(ledger):
            self._free.append(ledger)
        else:
            self._drop(ledger)
        assert broken == []

    def _create(self) -> _Ledger:
        """Copy the template's files as they are: page by page, through the log, it takes twice the CPU."""
        name = f"ledger_{uuid4().hex[:12]}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(self.template)))
        url = sibling(self.server_url, name)
        with psycopg.connect(url) as connection:
            if _only(connection, "SELECT to_regclass('guard')"):  # which release 0.1.0 does not have
                connection.execute("UPDATE guard SET identity = ledger_identity()")  # a new ledger, not a fallen one
            return _Ledger(url, _only(connection, _CATALOGUE), _only(connection, _SIZE), dict(_rows(connection)))

    def _drop(self, ledger: _Ledger) -> None:
        name = ledger.url.rsplit("/", 1)[1]
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def sibling(url: str, database: str) -> str:
    """Return the URL of another database of the same server."""
    return url.rsplit("/", 1)[0] + f"/{database}"


def _only(connection: psycopg.Connection, query: LiteralString) -> Any:
    (found,) = connection.execute(query).fetchone() or (None,)
    return found


def _rows(connection: psycopg.Connection) -> Iterator[tuple[str, bytes]]:
    for (table,) in connection.execute(_TABLES).fetchall():
        with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
            if rows := b"".join(copy):
                yield table, rows


def _empty(ledger: _Ledger) -> bool:
    """Make a ledger as it was when it was new; return whether it could be."""
    with psycopg.connect(ledger.url) as connection:
        connection.execute(_LET_GO)
        if _only(connection, _CATALOGUE) != ledger.catalogue:
            return False
        if _only(connection, _SIZE) > ledger.size + _GROWTH_MAX:
            return False
        connection.execute("SET session_replication_role = replica")  # no foreign keys, no triggers
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table, rows in ledger.rows.items():
            with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                copy.write(rows)
        connection.execute(_SEQUENCES)
    return True
