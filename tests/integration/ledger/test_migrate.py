"""Migrations build the schema of schema.sql, also when several processes run them at once."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from alembic import command
from psycopg import sql

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import _LOCK, head, migrate, schema_fault, schema_version
from number_orders.orders.errors import LedgerUnavailable

CATALOGUE = """
    SELECT 'column', table_name || '.' || column_name,
           data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'options', relname, reloptions::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    UNION ALL
    SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1, 2
"""


@pytest.fixture
def empty_url(engines: Engines, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"\W", "_", request.node.name)[:50]
    with psycopg.connect(engines.database_url, autocommit=True) as db:
        db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return engines.database_url.rsplit("/", 1)[0] + f"/{name}"


def before_the_archive(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Migrate as a release did that had no archive; return its revision."""
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0011"))
        migrate(url)
    return "0011"


def catalogue(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as db:
        return [row for row in db.execute(CATALOGUE) if not row[1].startswith("alembic")]


def test_migrations_build_the_schema(empty_url: str, ledger_template: str) -> None:
    """A new database and an upgraded one have the same schema."""
    with psycopg.connect(empty_url) as db:
        db.execute(files("number_orders.ledger").joinpath("schema.sql").read_bytes())
    assert catalogue(ledger_template) == catalogue(empty_url)
    assert len(catalogue(empty_url)) > 100


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    """Every container runs `migrate` at its start: one migrates, the others find nothing to do."""
    assert schema_version(empty_url) is None
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, [empty_url] * 4)) == [head()] * 4
    assert schema_version(empty_url) == head()


def test_address_may_name_several_hosts(empty_url: str) -> None:
    """The first does not answer; SQLAlchemy alone cannot even read such an address."""
    several = re.sub(r"@([^/]+)/(\w+)", r"@127.0.0.1:1,\1/\2?target_session_attrs=read-write", empty_url)

    assert migrate(several) == head()
    assert schema_version(several) == head()


def test_migrations_have_no_statement_timeout(empty_url: str) -> None:
    """Whatever the session has: behind a pooler it may be one that a worker has set up."""
    with psycopg.connect(empty_url, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {db.info.dbname} SET statement_timeout = '1s'".encode())

    with ThreadPoolExecutor(1) as pool, psycopg.connect(empty_url) as another:
        another.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # as one that migrates for long
        migrating = pool.submit(migrate, empty_url)
        with pytest.raises(TimeoutError):
            migrating.result(timeout=3)
        another.rollback()
        assert migrating.result(timeout=120) == head()


def test_migration_leaves_no_lock(empty_url: str) -> None:
    """Behind a pooler the session lives on after it."""
    migrate(empty_url)

    with psycopg.connect(empty_url) as db:
        assert db.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'").fetchall() == []


def test_migrated_ledger_has_an_identity(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that no worker has looked at since the release before. Its heartbeat stays."""
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0016"))
        migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as db:
        before = db.execute("SELECT identity, seen_at FROM guard").fetchone()
        assert before is not None
        assert before[0] is None

        migrate(empty_url)

        assert db.execute("SELECT identity = ledger_identity(), seen_at FROM guard").fetchone() == (True, before[1])


def test_every_revision_says_when_to_run_it() -> None:
    """A rolling upgrade needs to know: before the new code starts, or after the old code is gone."""
    revisions = list(Path(str(files("number_orders.ledger") / "migrations" / "versions")).glob("*.py"))
    assert revisions
    for revision in revisions:
        assert re.search(r'^deploy = "(pre|post)"$', revision.read_text(), re.MULTILINE), revision.name


def test_schema_that_is_older_or_missing_does_not_serve(empty_url: str) -> None:
    """A newer one does: it was migrated for the next release, beside which this one still runs."""
    assert "no schema" in str(schema_fault(empty_url))
    migrate(empty_url)
    assert schema_fault(empty_url) is None
    with psycopg.connect(empty_url, autocommit=True) as db:
        db.execute("UPDATE alembic_version SET version_num = '0001'")
        assert "schema 0001" in str(schema_fault(empty_url))
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    assert schema_fault(empty_url) is None


def test_whoever_reads_a_table_delays_the_migration_and_not_the_service(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pg_dump` does: it holds locks for as long as it lasts."""
    monkeypatch.setattr("number_orders.ledger.migrate._PAUSE_S", 0.2)
    before = before_the_archive(empty_url, monkeypatch)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(empty_url) as dump, psycopg.connect(empty_url) as service:
        dump.execute("LOCK TABLE held_numbers IN ACCESS SHARE MODE")
        migrating = pool.submit(migrate, empty_url)
        service.execute("SET lock_timeout = '60s'")
        for _ in range(20):
            service.execute("UPDATE orders SET moved_at = now()")
            service.execute("SELECT FROM held_numbers LIMIT 1")
            service.commit()
            time.sleep(0.2)
        assert not migrating.done()
        assert schema_version(empty_url) == before
        dump.rollback()
        assert migrating.result(timeout=120) == head()


def test_a_table_that_stays_locked_is_named_as_the_reason(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("number_orders.ledger.migrate._PAUSE_S", 0.01)
    monkeypatch.setattr("number_orders.ledger.migrate._TRIES", 2)
    before = before_the_archive(empty_url, monkeypatch)
    with psycopg.connect(empty_url) as dump:
        dump.execute("LOCK TABLE held_numbers IN ACCESS SHARE MODE")
        with pytest.raises(LedgerUnavailable, match="kept a table locked"):
            migrate(empty_url)
    assert schema_version(empty_url) == before
