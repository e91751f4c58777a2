"""Ends commands: one exit code and one message for each kind of error."""

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from number_orders.embedded.errors import EmbeddedError
from number_orders.orders.errors import (
    LedgerUnavailable,
    NotCancellable,
    NotParkable,
    NotResolvable,
    OrderRefused,
    UnknownOrder,
)

Given = ParamSpec("Given")
Result = TypeVar("Result")


class ExitCode(IntEnum):
    """Exit codes, the same for every command; docs/commands.md and `--help` list them."""

    DONE = 0
    NO = 1
    """The answer is no: an order was refused, not cancelled or not resolved, or ended otherwise; something is wrong."""
    USAGE = 2
    """The command line, or a file that it names, cannot be read."""
    UNKNOWN_ORDER = 3
    OUT_OF_REACH = 4
    """Nothing runs here, or the ledger, the broker or the settings cannot be used."""
    TIMED_OUT = 5
    PARKED = 6
    """`wait`: an order is parked for a person."""
    BUG = 70
    """A bug of ours, with its traceback."""
    INTERRUPTED = 130
    """Ctrl-C, as if killed by SIGINT."""
    PIPE_CLOSED = 141
    """The reader of our output closed the pipe, as if killed by SIGPIPE."""


class Stop(Exception):
    """Ends a command with an error message; `hint` says what the reader can do."""

    def __init__(self, code: ExitCode, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def with_exit_code(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """Make every error that is raised on purpose end `command` with its exit code and a line on standard error."""

    @wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError as closed:
            # Python flushes again at exit, and would raise again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.PIPE_CLOSED) from closed
        except Stop as stop:
            print_error(stop.message, stop.hint)
            raise typer.Exit(stop.code) from stop
        except (LedgerUnavailable, EmbeddedError) as trouble:
            print_error(str(trouble), "`number-orders doctor` checks everything and says what is wrong")
            raise typer.Exit(ExitCode.OUT_OF_REACH) from trouble
        except UnknownOrder as unknown:
            print_error(str(unknown))
            raise typer.Exit(ExitCode.UNKNOWN_ORDER) from unknown
        except (NotCancellable, NotParkable, NotResolvable, OrderRefused) as no:
            print_error(str(no))
            raise typer.Exit(ExitCode.NO) from no
        return result

    return run


def print_error(message: str, hint: str | None = None) -> None:
    """Print an error on standard error, and below it what the reader can do."""
    typer.secho(f"number-orders: {message}", err=True, fg="red")
    if hint:
        typer.echo(f"  {hint}", err=True)
