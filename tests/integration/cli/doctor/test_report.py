"""`doctor` names what is wrong, says how to repair it, and shows no secret."""

import json
import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from number_orders.ledger.identity import LedgerIdentity
from number_orders.ledger.migrate import head
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import CREDENTIALS, Backend, Command
from tests.processes import Processes
from workers.broker_owner import take_over


def verdicts(result: Any) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in json.loads(result.stdout)["checks"]}


def check(result: Any, name: str) -> dict[str, str]:
    (found,) = [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]
    return dict(found)


def test_a_healthy_installation_passes(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = {name: value for name, value in os.environ.items() if name.startswith("NUMBER_ORDERS_")}
    with running_sandbox() as carrier, Processes(tmp_path / "log", env) as processes:
        environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", carrier.url)
        processes.worker(children=1)
        processes.beat()
        result = command("doctor", "--json")
        until = time.monotonic() + 90
        while result.exit_code and time.monotonic() < until:  # beat may still be starting
            result = command("doctor", "--json")
        sold = carrier.report()["totals"]["orders"]

    assert result.exit_code == 0, result.stdout
    assert set(verdicts(result).values()) == {"good"}, result.stdout
    assert json.loads(result.stdout)["ok"] is True
    assert check(result, "workers")["says"].startswith("1 with 1 children: worker0@")
    assert check(result, "beat")["says"] == "ticks: workers sweep"
    assert f"schema {head()}" in check(result, "database")["says"]
    assert sold == 0


def test_where_nothing_runs_every_bad_line_has_a_remedy(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_DATABSE_URL", "postgresql://app:s3cret@db/orders")

    result = command("doctor", columns=None)

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    wrong = [index for index, line in enumerate(lines) if line.startswith("WRONG")]
    assert [lines[index].split()[1] for index in wrong] == ["settings", "database", "broker", "carriers"]
    assert all("→ " in lines[index + 1] for index in wrong)
    assert "did you mean NUMBER_ORDERS_DATABASE_URL?" in result.stdout
    assert "s3cret" not in result.output


def test_what_does_not_answer_is_named_without_its_password(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app:s3cret@127.0.0.1:1/orders")
    environment.setenv("NUMBER_ORDERS_BROKER_URL", "redis://:s3cret@127.0.0.1:1/0")
    for name, value in CREDENTIALS.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)

    result = command("doctor", "--json")

    assert result.exit_code == 1
    assert verdicts(result) == {
        "settings": "good",
        "embedded": "good",
        "database": "wrong",
        "broker": "wrong",
        "workers": "skipped",
        "bandwidth": "wrong",
        "notices": "good",
        "alarms": "skipped",
    }
    assert "refused" in check(result, "database")["says"].lower()
    assert "sandbox" in check(result, "bandwidth")["mend"]
    assert "s3cret" not in result.output
    assert "sandbox-secret" not in result.output


def test_rabbitmq_without_a_store_of_tickets_is_wrong(environment: pytest.MonkeyPatch, command: Command) -> None:
    """Orders would be accepted, and no producer would ever learn of it."""
    environment.setenv("NUMBER_ORDERS_BROKER_URL", "amqp://app:s3cret@127.0.0.1:1//")

    tickets = check(command("doctor", "--json"), "tickets")

    assert tickets["verdict"] == "wrong"
    assert "no producer gets an answer" in tickets["says"]
    assert "set NUMBER_ORDERS_RESULT_URL" in tickets["mend"]
    environment.setenv("NUMBER_ORDERS_RESULT_URL", "redis://127.0.0.1:1/0")
    assert "tickets" not in verdicts(command("doctor", "--json"))


def test_a_broker_that_does_not_show_its_policy_is_to_be_looked_at(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch
) -> None:
    """INFO is one of the commands that access control lists forbid first; everything else is checked all the same."""
    assert backend.settings.broker_url
    url = backend.settings.broker_url.get_secret_value()
    with redis.Redis.from_url(url) as broker:
        broker.execute_command("ACL", "SETUSER", "service", "on", ">s3cret", "~*", "&*", "+@all", "-info")
    environment.setenv("NUMBER_ORDERS_BROKER_URL", f"redis://service:s3cret@{url.rpartition('@')[2]}")

    result = command("doctor", "--json")

    assert check(result, "broker")["verdict"] == "look"
    assert "+info" in check(result, "broker")["mend"]
    assert check(result, "workers")["verdict"] == "wrong"  # none runs


def test_unusable_settings_are_the_only_finding(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_CHILDREN", "none")

    result = command("doctor", "--json")

    assert result.exit_code == 1
    assert "NUMBER_ORDERS_CHILDREN: " in check(result, "settings")["says"]


def test_a_broker_that_may_drop_messages_is_wrong(backend: Backend, command: Command) -> None:
    assert backend.settings.broker_url
    with redis.Redis.from_url(backend.settings.broker_url.get_secret_value()) as broker:
        broker.config_set("maxmemory-policy", "allkeys-lru")
        try:
            result = command("doctor", "--json")
        finally:
            broker.config_set("maxmemory-policy", "noeviction")

    assert check(result, "broker")["verdict"] == "wrong"
    assert "allkeys-lru" in check(result, "broker")["says"]
    assert check(result, "workers")["verdict"] == "skipped"


@pytest.mark.parametrize(
    ("variable", "value", "mend"),
    [
        ("CLIENT_SECRET", "n0t-it", "correct the credentials"),
        ("ACCOUNT_ID", "1234567", "correct ACCOUNT_ID"),
        ("BASE_URL", "http://no-such-host.invalid", "machine's DNS"),
    ],
)
def test_a_carrier_that_refuses_us_says_what_to_correct(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch, variable: str, value: str, mend: str
) -> None:
    with running_sandbox() as carrier:
        environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", carrier.url)
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{variable}", value)
        result = command("doctor", "--json")

    assert check(result, "bandwidth")["verdict"] == "wrong"
    assert mend in check(result, "bandwidth")["mend"]
    assert "n0t-it" not in result.output


def test_alarms_and_dead_letters_are_worth_a_look_and_not_wrong(backend: Backend, command: Command) -> None:
    assert backend.settings.database_url
    with psycopg.connect(backend.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("INSERT INTO alarms (what, subject) VALUES ('overdue', 'a')")

    result = command("doctor", "--json")

    assert check(result, "alarms") == {
        "name": "alarms",
        "verdict": "look",
        "says": "1",
        "mend": "read them with `number-orders alarms`; --clear puts them away",
    }
    assert command("alarms", "--clear-all").exit_code == 0
    assert check(command("doctor", "--json"), "alarms")["says"] == "none"


def test_a_ledger_that_takes_no_writes_is_wrong(backend: Backend, command: Command) -> None:
    """It answers every question that `doctor` asked before it tried to write."""
    assert backend.settings.database_url
    with psycopg.connect(backend.settings.database_url.get_secret_value(), autocommit=True) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
        result = command("doctor", "--json")
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())
    assert check(result, "database")["verdict"] == "wrong"
    assert "the ledger is read-only" in check(result, "database")["says"]
    assert "full disk" in check(result, "database")["mend"]


def test_a_broker_of_another_ledger_is_wrong_until_it_is_taken(backend: Backend, command: Command) -> None:
    assert backend.settings.broker_url
    with redis.Redis.from_url(backend.settings.broker_url.get_secret_value()) as broker:
        take_over(broker, LedgerIdentity("1/2/public", "another"))
        result = command("doctor", "--json")
    assert check(result, "owner")["verdict"] == "wrong"
    assert "another (1/2/public)" in check(result, "owner")["says"]
    assert "take-broker" in check(result, "owner")["mend"]
    assert command("take-broker").stdout.strip().endswith("before: another (1/2/public)")
    assert check(command("doctor", "--json"), "owner")["verdict"] == "good"


def test_where_no_worker_answers_the_clock_of_this_host_is_shown(backend: Backend, command: Command) -> None:
    result = command("doctor", "--json")
    assert check(result, "clocks")["verdict"] == "good"
    assert check(result, "clocks")["says"].startswith("to PostgreSQL's: this host ")
