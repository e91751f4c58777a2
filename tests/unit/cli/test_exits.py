"""Every way to end a command has an exit code, and all codes are documented."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from number_orders.cli.app import app
from number_orders.cli.exits import ExitCode, Stop, with_exit_code
from number_orders.embedded.errors import EmbeddedError
from number_orders.orders.errors import (
    Fault,
    LedgerUnavailable,
    NotCancellable,
    NotResolvable,
    OrderRefused,
    UnknownOrder,
)

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"


def end_with(error: Exception) -> tuple[int, str]:
    one = typer.Typer()

    @one.command()
    @with_exit_code
    def fail() -> None:
        raise error

    result = CliRunner().invoke(one, [])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Stop(ExitCode.PARKED, "it waits"), 6),
        (OrderRefused([Fault("key", "is taken")]), 1),
        (NotCancellable("too late"), 1),
        (NotResolvable("not parked"), 1),
        (UnknownOrder("crm-1"), 3),
        (LedgerUnavailable("away"), 4),
        (EmbeddedError("belongs to another user"), 4),
    ],
)
def test_expected_errors_end_with_their_code_and_message(error: Exception, code: int) -> None:
    ended, message = end_with(error)

    assert ended == code
    assert message.startswith("number-orders: ")
    assert str(error) in message


def test_the_hint_is_printed_below_the_error() -> None:
    assert end_with(Stop(ExitCode.OUT_OF_REACH, "nothing runs here", hint="start it"))[1] == (
        "number-orders: nothing runs here\n  start it\n"
    )


def test_bugs_are_not_swallowed() -> None:
    one = typer.Typer()

    @one.command()
    @with_exit_code
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(one, [], catch_exceptions=False)


def test_the_page_documents_every_command_and_every_code() -> None:
    page = PAGE.read_text("utf-8")

    for command in app.registered_commands:
        assert f"## `{command.name}" in page, command.name
    for code in ExitCode:
        assert f"| {code.value} |" in page, code
