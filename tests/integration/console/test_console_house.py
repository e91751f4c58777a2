"""`doctor`, `migrate`, `sandbox`, `version`, and how quick `--help` is."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg import sql

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import head
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.console.conftest import CREDENTIALS, Command, House
from tests.processes import Processes

HEAVY = ("psycopg", "celery", "httpx", "pydantic", "rich", "alembic", "starlette")
REPOSITORY = Path(__file__).parents[3]


def verdicts(told: Any) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in json.loads(told.stdout)["checks"]}


def check(told: Any, name: str) -> dict[str, str]:
    (found,) = [check for check in json.loads(told.stdout)["checks"] if check["name"] == name]
    return dict(found)


def test_a_house_in_order_passes(
    house: House, command: Command, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = {name: value for name, value in os.environ.items() if name.startswith("NUMBER_ORDERS_")}
    with running_sandbox() as carrier, Processes(tmp_path / "log", env) as processes:
        environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", carrier.url)
        processes.worker(children=1)
        processes.beat()
        told = command("doctor", "--json")
        until = time.monotonic() + 90
        while told.exit_code and time.monotonic() < until:  # beat may still be starting
            told = command("doctor", "--json")
        sold = carrier.report()["totals"]["orders"]

    assert told.exit_code == 0, told.stdout
    assert set(verdicts(told).values()) == {"good"}, told.stdout
    assert json.loads(told.stdout)["ok"] is True
    assert check(told, "workers")["says"].startswith("1 with 1 children: worker0@")
    assert check(told, "beat")["says"] == "ticks: workers sweep"
    assert f"schema {head()}" in check(told, "database")["says"]
    assert sold == 0


def test_where_nothing_runs_every_bad_line_says_how_to_mend_it(
    environment: pytest.MonkeyPatch, command: Command
) -> None:
    environment.setenv("NUMBER_ORDERS_DATABSE_URL", "postgresql://app:s3cret@db/orders")

    told = command("doctor", columns=None)

    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    wrong = [index for index, line in enumerate(lines) if line.startswith("WRONG")]
    assert [lines[index].split()[1] for index in wrong] == ["settings", "database", "broker", "carriers"]
    assert all("→ " in lines[index + 1] for index in wrong)
    assert "did you mean NUMBER_ORDERS_DATABASE_URL?" in told.stdout
    assert "s3cret" not in told.output


def test_what_does_not_answer_is_named_without_its_password(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app:s3cret@127.0.0.1:1/orders")
    environment.setenv("NUMBER_ORDERS_BROKER_URL", "redis://:s3cret@127.0.0.1:1/0")
    for name, value in CREDENTIALS.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)

    told = command("doctor", "--json")

    assert told.exit_code == 1
    assert verdicts(told) == {
        "settings": "good",
        "embedded": "good",
        "database": "wrong",
        "broker": "wrong",
        "workers": "skipped",
        "bandwidth": "wrong",
        "alarms": "skipped",
    }
    assert "refused" in check(told, "database")["says"].lower()
    assert "sandbox" in check(told, "bandwidth")["mend"]
    assert "s3cret" not in told.output
    assert "sandbox-secret" not in told.output


def test_settings_that_cannot_be_used_are_the_whole_answer(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_CHILDREN", "none")

    told = command("doctor", "--json")

    assert told.exit_code == 1
    assert "NUMBER_ORDERS_CHILDREN: " in check(told, "settings")["says"]


def test_a_broker_that_may_drop_messages_is_wrong(house: House, command: Command) -> None:
    assert house.settings.broker_url
    with redis.Redis.from_url(house.settings.broker_url.get_secret_value()) as broker:
        broker.config_set("maxmemory-policy", "allkeys-lru")
        try:
            told = command("doctor", "--json")
        finally:
            broker.config_set("maxmemory-policy", "noeviction")

    assert check(told, "broker")["verdict"] == "wrong"
    assert "allkeys-lru" in check(told, "broker")["says"]
    assert check(told, "workers")["verdict"] == "skipped"


@pytest.mark.parametrize(
    ("variable", "value", "mend"),
    [
        ("CLIENT_SECRET", "n0t-it", "correct the credentials"),
        ("ACCOUNT_ID", "1234567", "correct ACCOUNT_ID"),
        ("BASE_URL", "http://no-such-host.invalid", "machine's DNS"),
    ],
)
def test_a_carrier_that_does_not_know_us_says_what_to_correct(
    house: House, command: Command, environment: pytest.MonkeyPatch, variable: str, value: str, mend: str
) -> None:
    with running_sandbox() as carrier:
        environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", carrier.url)
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{variable}", value)
        told = command("doctor", "--json")

    assert check(told, "bandwidth")["verdict"] == "wrong"
    assert mend in check(told, "bandwidth")["mend"]
    assert "n0t-it" not in told.output


def test_alarms_and_letters_want_a_look_and_are_not_wrong(house: House, command: Command) -> None:
    assert house.settings.database_url
    with psycopg.connect(house.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("INSERT INTO alarms (what, subject) VALUES ('overdue', 'a')")

    told = command("doctor", "--json")

    assert check(told, "alarms") == {
        "name": "alarms",
        "verdict": "look",
        "says": "1",
        "mend": "read them with `number-orders alarms`; --clear puts them away",
    }
    assert command("alarms", "--clear-all").exit_code == 0
    assert check(command("doctor", "--json"), "alarms")["says"] == "none"


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


def test_version_is_said_to_people_and_machines(command: Command) -> None:
    said = command("version").stdout.strip()

    assert json.loads(command("version", "--json").stdout)["number-orders"] == said


def test_help_names_every_command_and_the_exit_codes(command: Command) -> None:
    told = command("--help", columns=200)

    assert told.exit_code == 0
    for name in (
        "submit",
        "show",
        "explain",
        "list",
        "wait",
        "cancel",
        "resolve",
        "up",
        "demo",
        "sandbox",
        "migrate",
        "doctor",
    ):
        assert f" {name} " in told.stdout
    assert "Exit codes: 0 done; 1 the answer is no;" in told.stdout


def test_help_imports_nothing_heavy() -> None:
    """Completion and `--help` are quick as long as this holds."""
    script = f"import sys, number_orders.cli.app; print([name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"


@pytest.mark.parametrize("name", ["up", "demo"])
def test_commands_with_rooms_of_their_own_show_their_own_help(command: Command, name: str) -> None:
    told = command(name, "--help")

    assert told.exit_code == 0
    assert f"{name} [OPTIONS]" in told.stdout


def test_the_sandbox_serves_until_it_is_stopped(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-c", "from number_orders.cli.app import main; main()", "sandbox", "--ready-file", str(ready)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 90
    while not ready.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    url = ready.read_text().strip()
    with SandboxControl(url) as control:
        assert control.health()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=90)

    assert process.returncode == 0
    assert out == f"{url}\n"
    assert "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID=9900000" in err
