"""`migrate` brings an empty database to the current schema, once."""

import json
import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import head
from tests.integration.cli.conftest import Command


def check(result: Any, name: str) -> dict[str, str]:
    (found,) = [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]
    return dict(found)


@pytest.fixture
def empty_database(engines: Engines, environment: pytest.MonkeyPatch) -> Any:
    name = sql.Identifier(f"empty_{time.time_ns()}")
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = engines.database_url.rsplit("/", 1)[0] + "/" + name.as_string(None).strip('"')
        environment.setenv("NUMBER_ORDERS_DATABASE_URL", url)
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_a_database_without_a_schema_is_migrated_once(empty_database: str, command: Command) -> None:
    before = command("list")
    assert before.exit_code == 4
    assert "run `number-orders migrate`" in before.stderr
    assert check(command("doctor", "--json"), "database")["mend"] == "run `number-orders migrate`"

    first, again = command("migrate"), command("migrate")

    assert f"from no schema to schema {head()}" in first.stdout
    assert f"has schema {head()} already" in again.stdout
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert command("list").exit_code == 0


def test_another_role_may_migrate(empty_database: str, command: Command, environment: pytest.MonkeyPatch) -> None:
    """The service's own role need not be allowed to change tables, nor be known to who migrates."""
    environment.setenv("NUMBER_ORDERS_MIGRATION_URL", empty_database)
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert f"from no schema to schema {head()}" in command("migrate").stdout

    environment.delenv("NUMBER_ORDERS_DATABASE_URL")
    assert f"has schema {head()} already" in command("migrate").stdout
