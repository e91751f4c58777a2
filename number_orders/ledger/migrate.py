"""Migrate a database to the schema that this code expects, and read which schema a database has.

Several processes may migrate at once. An advisory lock lets one work at a time; the later ones find nothing to do.
Lock and migrations are one transaction, so they stay together behind a connection pooler too.

A migration that waits for a table's lock holds up everybody who comes after it. So it waits for a short time only, lets
go of everything, and tries again: a backup or a long report delays the migration, and not the service.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from number_orders.ledger.connection import address
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

_CONNECT_S: Final = 5
_LOCK_WAIT_S: Final = 2
"""How long a migration waits for a table's lock, and at most holds up others."""
_PAUSE_S: Final = 5.0
"""How long others work undisturbed before the next try."""
_TRIES: Final = 100
"""About ten minutes."""
_LOCK: Final = 4_267_110_001
"""The key of the advisory lock: any number that nothing else in the database uses."""


def migrate(url: str) -> str:
    """Migrate the database at `url` (a libpq URL) to `head()`, and return that revision.

    Raises:
        LedgerUnavailable: The database cannot be reached, or refuses, or others keep a table locked for ten minutes.
    """
    # SQLAlchemy cannot read every address that libpq can, such as one with several hosts.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(address(url), prepare_threshold=None),
        poolclass=NullPool,
    )
    with _database_errors():
        for _ in range(_TRIES):
            if _upgrade(engine):
                return head()
            time.sleep(_PAUSE_S)
    raise LedgerUnavailable(
        f"other sessions have kept a table locked for {_TRIES * _PAUSE_S / 60:.0f} minutes or more, and nothing was "
        "migrated: find them in pg_stat_activity (a backup, a report, a transaction left open), and migrate again"
    )


def _upgrade(engine: Engine) -> bool:
    """Run the migrations that are missing, all or none; return whether no lock of others was in the way."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # a pooler's session may have that of a worker
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'"))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise
        log.warning("migration_waits", trouble=str(error.orig).strip(), again_in_s=_PAUSE_S)
        return False
    return True


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
