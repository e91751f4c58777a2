"""How a command ends: its exit code, and the words that go with it.

Knows what each error means to whoever typed the command. Decides nothing about orders.
"""

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


class Code(IntEnum):
    """Exit codes, the same for every command; docs/commands.md and `--help` list them."""

    DONE = 0
    NO = 1
    """The answer is no: an order refused, not cancelled, not resolved, ended otherwise; something is wrong."""
    USAGE = 2
    """The command line, or the file that it names, cannot be read."""
    UNKNOWN_ORDER = 3
    OUT_OF_REACH = 4
    """Nothing runs here, or the ledger, the broker or the settings cannot be used."""
    TIMED_OUT = 5
    PARKED = 6
    """What was waited for waits for a person."""
    BUG = 70
    """A mistake of ours, with its traceback."""
    INTERRUPTED = 130
    """Ctrl-C, as if killed by SIGINT."""
    PIPE_CLOSED = 141
    """Whoever read our output had enough: as if killed by SIGPIPE."""


class Stop(Exception):
    """Ends a command with words for a person. `mend` says what to do about it."""

    def __init__(self, code: Code, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.mend = mend


def ending(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """Make every error that is raised on purpose end `command` with its exit code and a line on standard error."""

    @wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError as closed:
            # Python flushes again on its way out, and would complain again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(Code.PIPE_CLOSED) from closed
        except Stop as stop:
            complain(stop.message, stop.mend)
            raise typer.Exit(stop.code) from stop
        except (LedgerUnavailable, EmbeddedError) as trouble:
            complain(str(trouble), "`number-orders doctor` looks at everything and says what is wrong")
            raise typer.Exit(Code.OUT_OF_REACH) from trouble
        except UnknownOrder as unknown:
            complain(str(unknown))
            raise typer.Exit(Code.UNKNOWN_ORDER) from unknown
        except (NotCancellable, NotParkable, NotResolvable, OrderRefused) as no:
            complain(str(no))
            raise typer.Exit(Code.NO) from no
        return result

    return run


def complain(message: str, mend: str | None = None) -> None:
    """Say on standard error what went wrong, and what to do about it."""
    typer.secho(f"number-orders: {message}", err=True, fg="red")
    if mend:
        typer.echo(f"  {mend}", err=True)
