"""A command uses the environment's stack, otherwise the one that runs under the var directory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from number_orders.cli.discovery import discover, find_settings
from number_orders.cli.exits import ExitCode, Stop

DATABASE = "postgresql://app:s3cret@127.0.0.1:5/stack"
BROKER = "redis://:s3cret@127.0.0.1:6/0"
CARRIER = {
    "NUMBER_ORDERS_BANDWIDTH__BASE_URL": "http://127.0.0.1:7",
    "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID": "9900000",
    "NUMBER_ORDERS_BANDWIDTH__SITE_ID": "743",
    "NUMBER_ORDERS_BANDWIDTH__TOKEN": "t0ken",
}
STACK = {"NUMBER_ORDERS_DATABASE_URL": DATABASE, "NUMBER_ORDERS_BROKER_URL": BROKER, **CARRIER}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("NUMBER_ORDERS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def leave_note(pid: int | None = None, env: dict[str, str] | None = None) -> None:
    Path("var").mkdir()
    Path("var/stack.json").write_text(json.dumps({"env": env or STACK, "pid": pid or os.getpid()}))


def url(settings: Settings) -> str:
    assert settings.database_url
    return settings.database_url.get_secret_value()


def test_where_nothing_runs_the_error_says_what_to_do() -> None:
    with pytest.raises(Stop, match="nothing runs here") as stop:
        find_settings()

    assert stop.value.code is ExitCode.OUT_OF_REACH
    assert "number-orders up" in str(stop.value.hint)
    assert discover().settings.database_url is None


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", DATABASE)

    assert url(find_settings()) == DATABASE
    assert discover().where == "the environment"


def test_a_running_stack_is_found_with_its_carriers() -> None:
    leave_note()
    found = discover()

    assert url(found.settings) == DATABASE
    assert found.settings.bandwidth.account_id == "9900000"
    assert found.where == f"var/stack.json (process {os.getpid()})"


def test_a_stack_whose_process_is_gone_does_not_count() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    leave_note(pid=gone.pid)

    assert discover().settings.database_url is None


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"pid": "x", "env": {}}', '{"pid": 1, "env": []}', "\x00"])
def test_a_note_of_another_version_does_not_count(note: str) -> None:
    Path("var").mkdir()
    Path("var/stack.json").write_text(note)

    assert discover().settings.database_url is None


def test_the_environment_wins_over_the_note_variable_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note()
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__TIMEOUT_S", "40")
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__SITE_ID", "744")
    found = discover().settings

    assert (found.bandwidth.timeout_s, found.bandwidth.site_id, found.bandwidth.account_id) == (40, "744", "9900000")


def test_an_environment_that_names_another_stack_takes_nothing_from_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note()
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://elsewhere/ledger")
    found = discover().settings

    assert url(found) == "postgresql://elsewhere/ledger"
    assert found.broker_url is None
    assert found.bandwidth.account_id is None


def test_an_environment_that_names_the_same_stack_keeps_its_carriers(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note()
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", DATABASE)

    assert discover().settings.bandwidth.account_id == "9900000"


def test_the_named_var_directory_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_note()
    Path("var").rename("elsewhere")
    monkeypatch.setenv("NUMBER_ORDERS_VAR_DIR", str(tmp_path / "elsewhere"))

    assert url(find_settings()) == DATABASE


def test_settings_that_cannot_be_read_name_the_variable_and_never_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__TIMEOUT_S", "s3cret")
    monkeypatch.setenv("NUMBER_ORDERS_CHILDREN", "0")

    with pytest.raises(Stop) as stop:
        discover()

    assert stop.value.code is ExitCode.OUT_OF_REACH
    assert "NUMBER_ORDERS_BANDWIDTH__TIMEOUT_S: " in stop.value.message
    assert "NUMBER_ORDERS_CHILDREN: " in stop.value.message
    assert "s3cret" not in stop.value.message


def test_contradictory_settings_are_refused_with_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CARRIER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__USERNAME", "kim")
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__PASSWORD", "s3cret")

    with pytest.raises(Stop, match="NUMBER_ORDERS_BANDWIDTH: give exactly one of") as stop:
        discover()

    assert "s3cret" not in stop.value.message
    assert "t0ken" not in stop.value.message


def test_a_variable_that_is_not_json_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH", "{s3cret")

    with pytest.raises(Stop, match="bandwidth") as stop:
        discover()

    assert "s3cret" not in stop.value.message


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note()
    for name in STACK:
        monkeypatch.setenv(name, "")

    assert url(find_settings()) == DATABASE
    assert find_settings().bandwidth.account_id == "9900000"
