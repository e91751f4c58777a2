"""Migrate a database to the schema that this code expects, and read which schema a database has.

Several processes may migrate at once. An advisory lock lets one work at a time; the later ones find nothing to do.
Lock and migrations are one transaction, so they stay together behind a connection pooler too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from number_orders.ledger.connection import address
from number_orders.orders.errors import LedgerUnavailable

_CONNECT_S: Final = 5
_LOCK: Final = 4_267_110_001
"""The key of the advisory lock: any number that nothing else in the database uses."""


def migrate(url: str) -> str:
    """Migrate the database at `url` (a libpq URL) to `head()`, and return that revision.

    Raises:
        LedgerUnavailable: The database cannot be reached, or refuses.
    """
    # SQLAlchemy cannot read every address that libpq can, such as one with several hosts.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(address(url), prepare_threshold=None),
        poolclass=NullPool,
    )
    with _database_errors(), engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # a pooler's session may have that of a worker
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    return head()


def head() -> str:
    """Return the revision that this code was written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "the migrations were not installed"
    return revision


def schema_version(url: str) -> str | None:
    """Return the revision of the database at `url`, or None when it was never migrated.

    Raises:
        LedgerUnavailable: The database cannot be reached, or refuses.
    """
    with _database_errors(), psycopg.connect(url, connect_timeout=_CONNECT_S) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return str(row[0]) if row else None


def schema_fault(url: str) -> str | None:
    """Return why the schema of the database does not serve this code; None if it does.

    A schema that this code does not know is newer: it was migrated for the next release, which this one may run beside.

    Raises:
        LedgerUnavailable: The database cannot be reached, or refuses.
    """
    found = schema_version(url)
    if found is None:
        return "it has no schema yet: run `number-orders migrate`"
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found in known - {head()}:
        return f"it has schema {found}, and this program needs {head()}: run `number-orders migrate`"
    return None


def server_version(url: str, *, within_s: int) -> str:
    """Return the version of the PostgreSQL server at `url`, such as `18.1`.

    Raises:
        LedgerUnavailable: The database cannot be reached, or refuses.
    """
    with _database_errors(), psycopg.connect(url, connect_timeout=within_s) as connection:
        version = connection.info.parameter_status("server_version") or "of an unknown version"
    return version.split(" ")[0]


@contextmanager
def _database_errors() -> Iterator[None]:
    """Raise what PostgreSQL and SQLAlchemy raise as `LedgerUnavailable`, in the same words."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as error:
        raise LedgerUnavailable(str(error)) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("number_orders.ledger") / "migrations"))
    return config
