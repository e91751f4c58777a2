"""`--help` is quick and complete, and `version` prints the version."""

import json
import subprocess
import sys

import pytest

from tests.integration.cli.conftest import Command
from tests.processes import REPOSITORY

HEAVY = ("psycopg", "celery", "httpx", "pydantic", "rich", "alembic", "starlette")


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
