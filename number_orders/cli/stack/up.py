"""The command `up`: runs the whole system in one terminal until Ctrl-C.

Knows the terminal and signals. What is started, and in what order it stops, is in `number_orders.cli.stack.stack`.
"""

import signal
import sys
import threading
from collections.abc import Callable
from shlex import quote
from types import FrameType, TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.settings import PREFIX, Settings
from number_orders.cli.output import masked
from number_orders.cli.stack.environment import given_settings
from number_orders.cli.stack.stack import Addresses, Stack, StackOptions
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Sink, prefixed


def up(
    workers: Annotated[
        int, typer.Option(min=1, max=32, help="Worker processes, each with NUMBER_ORDERS_CHILDREN pool children.")
    ] = 1,
) -> None:
    """Run everything until Ctrl-C: what is not configured is started here, under the var directory."""
    settings = _with_readable_logs(given_settings())
    screen = Screen(Console(highlight=False, soft_wrap=True), prefixed(sys.stdout))
    stack = Stack(
        settings,
        output=screen.show_line,
        options=StackOptions(workers=workers),
        on_event=screen.on_event,
        say=screen.say,
    )
    run_until_stopped(stack, screen)


def run_until_stopped(stack: Stack, screen: "Screen") -> None:
    """Start the system, print its addresses, and stop it in order when interrupted."""
    with Interruption(on_second=stack.kill_workers) as interruption:
        try:
            screen.say("starting …")
            screen.show(stack.start(), stack.settings)
            interruption.wait()
        except KeyboardInterrupt:
            screen.say("stopping: work under way is finished first (Ctrl-C again stops at once)")
        finally:
            screen.expect_exits()
            stack.stop()
    screen.say("stopped")


class Interruption:
    """Turns the first Ctrl-C or SIGTERM into KeyboardInterrupt, and calls `on_second` for those that follow."""

    def __init__(self, *, on_second: Callable[[], None]) -> None:
        self._on_second = on_second
        self._interrupted = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self) -> None:
        """Wait for the first."""
        threading.Event().wait()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            self._on_second()
        else:
            self._interrupted = True
            raise KeyboardInterrupt


class Screen:
    """Prints what a running system does."""

    def __init__(self, console: Console, lines: Sink) -> None:
        self._console = console
        self._lines = lines
        self._stopping = False

    def say(self, line: str) -> None:
        """Print a message of our own."""
        self._console.print(f"[bold]number-orders[/] {line}")

    def show_line(self, name: str, line: str) -> None:
        """Print a line of a process."""
        self._lines(name, line)

    def on_event(self, event: ProcessEvent) -> None:
        """Print that a process exited or was restarted."""
        match event.kind:
            case ProcessEventKind.EXITED if not self._stopping:
                self.say(f"[red]{event.name} {_exit_text(event.returncode)}[/]; it is started again")
            case ProcessEventKind.EXITED:
                self.say(f"{event.name} has stopped")
            case ProcessEventKind.RESTARTED:
                self.say(f"[green]{event.name} was started again[/] as process {event.pid}")
            case ProcessEventKind.STARTED:
                pass

    def expect_exits(self) -> None:
        """Print exits as expected from here on: the system is being stopped."""
        self._stopping = True

    def show(self, addresses: Addresses, settings: Settings) -> None:
        """Print all addresses, and how another terminal gets them."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for what, where in _address_rows(addresses):
            table.add_row(f"[bold]{what}[/]", where)
        self._console.print(table)
        self.say(f"from another terminal: {escape(_env_command(settings))}")
        if addresses.receiver:
            self.say("a token for the orders API, there: number-orders producers add NAME, then producers token NAME")
        self.say("runs; Ctrl-C stops it")


def _address_rows(addresses: Addresses) -> list[tuple[str, str]]:
    carriers = [
        (name, f"{host} [dim](sandbox: nothing is bought)[/]" if addresses.sandbox else f"{host} [red](for money)[/]")
        for name, host in addresses.carriers.items()
    ]
    receiver = (
        [("board", f"{addresses.receiver}/"), ("orders API", f"{addresses.receiver}/docs")]
        if addresses.receiver
        else []
    )
    return [
        *receiver,
        ("Flower", f"{addresses.flower} [dim]({escape(addresses.flower_login)})[/]"),
        *carriers,
        ("ledger", masked(addresses.database_url)),
        ("broker", masked(addresses.broker_url)),
    ]


def _env_command(settings: Settings) -> str:
    """Return the command that sets the addresses in another shell, from any directory."""
    return f'eval "$({PREFIX}VAR_DIR={quote(str(settings.var_dir))} number-orders env)"'


def _exit_text(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"exited with {returncode}"


def _with_readable_logs(settings: Settings) -> Settings:
    """Return settings with readable log lines for a terminal, unless JSON was asked for."""
    if sys.stdout.isatty() and "log_json" not in settings.model_fields_set:
        return settings.model_copy(update={"log_json": False})
    return settings
