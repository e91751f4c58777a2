"""Real engines for whoever asks: one PostgreSQL and one Valkey a run, one fresh ledger a test."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import settings
from psycopg import sql

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import migrate
from tests.ledgers import TEMPLATE, Ledgers, sibling

settings.register_profile("ci", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("ci")


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """PostgreSQL and Valkey, for the whole run; fast rather than durable, but where a test says otherwise."""
    with Engines(tmp_path_factory.mktemp("engines"), durable=False) as running:
        _let_in_quickly(running.database_url)
        yield running


def _let_in_quickly(url: str) -> None:
    """Hash the role's password once instead of 4,096 times, which is over a third of what a connection costs."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    role, password = sql.Identifier(str(known["user"])), sql.Literal(known["password"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET scram_iterations = 1")
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))


@pytest.fixture(scope="session")
def ledger_template(engines: Engines) -> str:
    """The URL of a migrated, empty database that others are copied from."""
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    url = sibling(engines.database_url, TEMPLATE)
    migrate(url)
    return url


@pytest.fixture
def ledger_url(engines: Engines, ledger_template: str) -> Iterator[str]:
    """The URL of a ledger of this test's own. When the test is over, every promise must hold in it."""
    with fresh_ledger(engines) as url:
        yield url


_ledgers: dict[tuple[str, str], Ledgers] = {}
"""By server and template, for the whole run."""


def fresh_ledger(engines: Engines, template: str = TEMPLATE) -> AbstractContextManager[str]:
    """Yield the URL of a ledger, and look after the promises at the end. PostgreSQL's own `template0` has no table."""
    where = (engines.database_url, template)
    return _ledgers.setdefault(where, Ledgers(*where)).one()


@pytest.fixture
def broker_url(engines: Engines) -> str:
    """The URL of an empty broker."""
    return empty_broker(engines)


def empty_broker(engines: Engines) -> str:
    """Empty the broker, and return its URL."""
    with redis.Redis.from_url(engines.broker_url) as client:
        client.flushall()
    return engines.broker_url


@pytest.fixture
def var_dir(tmp_path: Path) -> Path:
    """A directory for what a stack leaves behind."""
    return tmp_path / "var"
