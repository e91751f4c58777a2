"""deploy/grants.sql: the service reads and writes rows, and changes no table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import head, migrate, schema_version
from tests.processes import REPOSITORY

GRANTS = (REPOSITORY / "deploy" / "grants.sql").read_bytes()
OWNER, SERVICE = "grants_owner", "number_orders_service"


@pytest.fixture
def roles(engines: Engines, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An empty database of an owner who is no superuser; yield the owner's address and the service's."""
    with psycopg.connect(engines.database_url, autocommit=True) as db:
        for role in (OWNER, SERVICE):
            db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(sql.Identifier(role)))
        db.execute("CREATE DATABASE grants OWNER grants_owner")
        try:
            place = engines.database_url.rpartition("@")[2].rpartition("/")[0]
            yield f"postgresql://{OWNER}:pw@{place}/grants", f"postgresql://{SERVICE}:pw@{place}/grants"
        finally:
            db.execute("DROP DATABASE grants WITH (FORCE)")
            for role in (OWNER, SERVICE):
                db.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def execute(url: str, *statements: bytes) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        for statement in statements:
            db.execute(statement)


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(InsufficientPrivilege):
        yield


@pytest.mark.parametrize("grants_first", [True, False])
def test_service_writes_rows_and_changes_no_table(roles: tuple[str, str], grants_first: bool) -> None:
    """In either order: new tables get what the file says of those to come."""
    owner, service = roles
    if grants_first:
        execute(owner, GRANTS)
    migrate(owner)
    if not grants_first:
        with psycopg.connect(service) as db, refused():
            db.execute("SELECT FROM lanes")
        execute(owner, GRANTS, GRANTS)

    with psycopg.connect(owner) as db:
        tables = [name for (name,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert len(tables) > 10
    for table in tables:
        with psycopg.connect(service) as db:
            name = sql.Identifier(table)
            db.execute(sql.SQL("SELECT FROM {}").format(name))
            may = "SELECT has_table_privilege(%s, 'INSERT') AND has_table_privilege(%s, 'UPDATE')"
            assert db.execute(may, [table, table]).fetchone() == (table != "alembic_version",), table
            with refused():
                db.execute(sql.SQL("ALTER TABLE {} ADD COLUMN more int").format(name))
    assert schema_version(service) == head()
    with psycopg.connect(service) as db, refused():
        db.execute("CREATE TABLE mine (id int)")


def test_tables_of_later_migrations_are_covered(roles: tuple[str, str]) -> None:
    owner, service = roles
    migrate(owner)
    execute(owner, GRANTS, b"CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, said text)")

    execute(service, b"INSERT INTO later (said) VALUES ('hello')", b"DELETE FROM later")
