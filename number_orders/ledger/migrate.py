"""Brings a database to the schema this code expects, and says which schema a database has.

Several processes may migrate at once: they queue behind an advisory lock, and the later find nothing to do.
"""

from importlib.resources import files
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

_LOCK: Final = 4_267_110_001
"""Any number, so long as nothing else in the database locks it."""


def migrate(url: str) -> str:
    """Bring the database at `url` (a libpq URL) to `head()`, and return that revision."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
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
    """Return the revision of the database at `url`, or None when it was never migrated."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return str(row[0]) if row else None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("number_orders.ledger") / "migrations"))
    return config
