"""`doctor` names what is wrong, says how to mend it, and shows no secret."""

import json
import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from number_orders.ledger.migrate import head
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import CREDENTIALS, Backend, Command
from tests.processes import Processes


def verdicts(told: Any) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in json.loads(told.stdout)["checks"]}


def check(told: Any, name: str) -> dict[str, str]:
    (found,) = [check for check in json.loads(told.stdout)["checks"] if check["name"] == name]
    return dict(found)


def test_a_healthy_installation_passes(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch, tmp_path: Path
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


def test_a_broker_that_may_drop_messages_is_wrong(backend: Backend, command: Command) -> None:
    assert backend.settings.broker_url
    with redis.Redis.from_url(backend.settings.broker_url.get_secret_value()) as broker:
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
    backend: Backend, command: Command, environment: pytest.MonkeyPatch, variable: str, value: str, mend: str
) -> None:
    with running_sandbox() as carrier:
        environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", carrier.url)
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{variable}", value)
        told = command("doctor", "--json")

    assert check(told, "bandwidth")["verdict"] == "wrong"
    assert mend in check(told, "bandwidth")["mend"]
    assert "n0t-it" not in told.output


def test_alarms_and_letters_want_a_look_and_are_not_wrong(backend: Backend, command: Command) -> None:
    assert backend.settings.database_url
    with psycopg.connect(backend.settings.database_url.get_secret_value(), autocommit=True) as connection:
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
