"""Shows a demo while it runs: the set-up, and the number of orders in each state.

On a terminal one bar for each state; elsewhere a line every two seconds.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from config.settings import PREFIX, BandwidthSettings, Settings, SwiftSettings
from number_orders.cli import output
from number_orders.cli.demo.carrier_behaviour import BEHAVIOUR
from number_orders.cli.demo.orders import PRODUCERS, Way, Workload
from number_orders.cli.stack.stack import Addresses
from number_orders.orders.model import State

_LINE_EVERY_S: Final = 2.0
_BAR: Final = 40


class Progress:
    """Shows counts by state, and prints messages above them."""

    def __init__(self, console: Console, *, orders: int) -> None:
        self._console = console
        self._orders = orders
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._began = time.monotonic()
        self._next_line = 0.0

    def watching(self) -> AbstractContextManager[object]:
        """Return a context that keeps the display up to date; the elapsed time counts from here."""
        self._began = time.monotonic()
        return self._live or nullcontext()

    def say(self, line: str | Text) -> None:
        """Print a message above the display."""
        self._console.print(line)

    def show(self, counts: Mapping[State, int], *, notified: int, held_back: int) -> None:
        """Show the number of orders in each state, of removals that wait, and of final notifications."""
        if self._live:
            self._live.update(self._picture(counts, notified, held_back))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            self._console.print(self._progress_line(counts, notified, held_back))

    def _picture(self, counts: Mapping[State, int], notified: int, held_back: int) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for state in State:
            if count := counts.get(state, 0):
                bar = Text("█" * max(1, round(_BAR * count / self._orders)), output.STYLES[state])
                table.add_row(output.state(state), f"{count:>5}", bar)
        table.add_row(Text("waiting", "dim"), f"{held_back:>5}", Text("removals, for their taint window", "dim"))
        table.add_row(Text("notified", "dim"), f"{notified:>5}", Text(f"after {self._seconds():.0f} s", "dim"))
        return table

    def _progress_line(self, counts: Mapping[State, int], notified: int, held_back: int) -> str:
        standing = ", ".join(f"{count} {state}" for state in State if (count := counts.get(state, 0)))
        return f"{self._seconds():5.1f} s  {standing or 'nothing yet'}; {held_back} removals wait; {notified} notified"

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def show_set_up(console: Console, addresses: Addresses, settings: Settings, workload: Workload) -> None:
    """Print all addresses, and what differs from a real installation."""
    over_queue, over_http = (len(workload.keys(way)) for way in (Way.QUEUE, Way.HTTP))
    console.print(
        output.pairs(
            [
                ("Flower", f"{addresses.flower} ({addresses.flower_login})"),
                ("orders API", addresses.receiver or "not started"),
                ("ledger", output.masked(addresses.database_url)),
                ("broker", output.masked(addresses.broker_url)),
                ("sandbox carriers", f"{addresses.sandbox}, {_decision_times()}"),
                ("waiting times", _waits(BandwidthSettings(), settings.bandwidth)),
                ("taint window", _taint_window(SwiftSettings(), settings.swift)),
                ("carriers' notices", _notices(settings)),
                ("producers", f"two processes: {_workload_text(workload)}"),
                (PRODUCERS[Way.QUEUE], f"{over_queue} orders over the queue, told by Celery task"),
                (PRODUCERS[Way.HTTP], f"{over_http} orders over HTTP with a token, told by signed webhook"),
            ]
        )
    )


def show_commands(console: Console, addresses: Addresses, var_dir: Path) -> None:
    """Print the commands to explore what is left running."""
    command = f"{PREFIX}VAR_DIR={var_dir} number-orders"
    output.heading(console, "Everything is still running", "Ctrl-C stops it")
    console.print(
        output.pairs(
            [
                ("Flower", f"{addresses.flower}/tasks"),
                ("all orders", f"{command} list"),
                ("one order", f"{command} show demo-0001"),
            ]
        )
    )


def _decision_times() -> str:
    least, most = BEHAVIOUR["processing_s"]
    return f"deciding in {least} to {most} s; backorders take {BEHAVIOUR['backorder_s']} s more"


def _waits(usual: BandwidthSettings, demo: BandwidthSettings) -> str:
    return (
        f"shortened for the demonstration: search for a lost order from {usual.doubt_patience_s / 60:.0f} min to "
        f"{demo.doubt_patience_s:.0f} s, timeout from {usual.timeout_s:.0f} to {demo.timeout_s:.0f} s, "
        f"first question after {usual.ask_first_s:.0f} to {demo.ask_first_s:.0f} s"
    )


def _notices(settings: Settings) -> str:
    return (
        f"from Bandwidth and CM.com to {settings.public_url}/notices; of them {BEHAVIOUR['notice_drop']:.0%} are lost, "
        f"{BEHAVIOUR['notice_double']:.0%} come twice, {BEHAVIOUR['notice_forge']:.0%} have a forged one beside them"
    )


def _taint_window(usual: SwiftSettings, demo: SwiftSettings) -> str:
    return (
        f"Swift removes no number that is younger than {usual.taint_window_s / 60:.0f} min: shortened for the "
        f"demonstration to {demo.taint_window_s:.0f} s, and {demo.taint_margin_s:.0f} s of margin"
    )


def _workload_text(workload: Workload) -> str:
    return (
        f"{workload.orders} orders, {workload.removals} of them removals of numbers in their taint window; "
        f"{workload.refusals} more that break a rule, and {workload.repeats} sent twice"
    )
