"""`env` prints what a shell needs to use the running stack, and nothing else."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from number_orders.cli.app import app

DATABASE = "postgresql://app:it's$(a)p`w`@127.0.0.1:5/ledger"
BROKER = "redis://:s3cret@127.0.0.1:6/0"
STACK = {
    "NUMBER_ORDERS_DATABASE_URL": DATABASE,
    "NUMBER_ORDERS_BROKER_URL": BROKER,
    "NUMBER_ORDERS_BANDWIDTH__BASE_URL": "http://127.0.0.1:7",
    "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID": "9900000",
    "NUMBER_ORDERS_BANDWIDTH__SITE_ID": "743",
    "NUMBER_ORDERS_BANDWIDTH__TOKEN": "t0ken",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("NUMBER_ORDERS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def running_stack(tmp_path: Path) -> Path:
    """Leave the note of a stack that runs, and return its var directory."""
    var_dir = tmp_path / "var"
    var_dir.mkdir()
    (var_dir / "stack.json").write_text(json.dumps({"env": STACK, "pid": os.getpid()}))
    return var_dir


def env(*options: str) -> Result:
    return CliRunner().invoke(app, ["env", *options], catch_exceptions=False)


def test_a_shell_that_evaluates_it_has_the_addresses_and_the_directory(running_stack: Path) -> None:
    """Whatever characters a password has."""
    script = f"{env().stdout}\nenv -0"

    found = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, text=True, check=True).stdout

    assert {line for line in found.split("\0") if line.startswith("NUMBER_ORDERS_")} == {
        f"NUMBER_ORDERS_DATABASE_URL={DATABASE}",
        f"NUMBER_ORDERS_BROKER_URL={BROKER}",
        f"NUMBER_ORDERS_VAR_DIR={running_stack}",
    }


def test_json_has_the_same_and_no_setting_of_a_carrier(running_stack: Path) -> None:
    assert json.loads(env("--json").stdout) == {
        "NUMBER_ORDERS_DATABASE_URL": DATABASE,
        "NUMBER_ORDERS_BROKER_URL": BROKER,
        "NUMBER_ORDERS_VAR_DIR": str(running_stack),
    }


def test_a_shell_that_has_them_already_gets_the_same(running_stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = env().stdout
    for name, value in json.loads(env("--json").stdout).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")

    assert env().stdout == first


def test_sentinels_come_with_the_name_of_their_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the next command would refuse the address."""
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app@db/orders")
    monkeypatch.setenv("NUMBER_ORDERS_BROKER_URL", "sentinel://s1:26379;sentinel://s2:26379/0")
    monkeypatch.setenv("NUMBER_ORDERS_SENTINEL_MASTER", "orders")
    monkeypatch.setenv("NUMBER_ORDERS_SENTINEL_KWARGS", '{"password": "s3cret"}')

    printed = json.loads(env("--json").stdout)

    assert printed["NUMBER_ORDERS_SENTINEL_MASTER"] == "orders"
    assert printed["NUMBER_ORDERS_SENTINEL_KWARGS"] == '{"password": "s3cret"}'


def test_addresses_of_the_environment_are_printed_with_the_result_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no var directory to name."""
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app@db/orders")
    monkeypatch.setenv("NUMBER_ORDERS_BROKER_URL", "amqp://broker//")
    monkeypatch.setenv("NUMBER_ORDERS_RESULT_URL", "redis://tickets/0")

    printed = env()

    assert printed.stdout.splitlines() == [
        "export NUMBER_ORDERS_DATABASE_URL=postgresql://app@db/orders",
        "export NUMBER_ORDERS_BROKER_URL=amqp://broker//",
        "export NUMBER_ORDERS_RESULT_URL=redis://tickets/0",
    ]
    assert printed.stderr == ""


def test_without_a_broker_standard_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app@db/orders")

    printed = env()

    assert (printed.exit_code, printed.stdout.count("export")) == (0, 1)
    assert "no broker is set" in printed.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nothing_runs_nothing_is_printed_and_the_exit_code_is_4(options: tuple[str, ...]) -> None:
    printed = env(*options)

    assert (printed.exit_code, printed.stdout) == (4, "")
    assert "nothing runs here" in printed.stderr
    assert "number-orders up" in printed.stderr
