"""`--help` is quick and complete, and `version` prints the version."""

import json
import subprocess
import sys

import pytest

from tests.integration.cli.conftest import Command
from tests.processes import REPOSITORY

HEAVY = ("psycopg", "celery", "httpx", "pydantic", "rich", "alembic", "starlette")


def test_version_is_text_or_json(command: Command) -> None:
    version = command("version").stdout.strip()

    assert json.loads(command("version", "--json").stdout)["number-orders"] == version


def test_help_names_every_command_and_the_exit_codes(command: Command) -> None:
    result = command("--help", columns=200)

    assert result.exit_code == 0
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
        assert f" {name} " in result.stdout
    assert "Exit codes: 0 done; 1 the answer is no;" in result.stdout


def test_help_imports_nothing_heavy() -> None:
    """This keeps completion and `--help` quick."""
    script = f"import sys, number_orders.cli.app; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert result.stdout == "[]\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", ["up", "demo"])
def test_commands_of_other_modules_show_their_own_help(command: Command, name: str, option: str) -> None:
    result = command(name, option)

    assert result.exit_code == 0
    assert f"{name} [OPTIONS]" in result.stdout
