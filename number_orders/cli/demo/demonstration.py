"""`number-orders demo`: runs the whole system, and checks every end against the sandbox carriers' own report.

Only runs the steps in order. The modules beside it know what is ordered, which faults occur, what is right and how the
result is printed.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from config.settings import BandwidthSettings, CMSettings, Settings, SwiftSettings
from number_orders.cli import output
from number_orders.cli.demo.carrier_behaviour import (
    BEHAVIOUR,
    TAINT_MARGIN_S,
    TAINT_WINDOW_S,
    inject_faults,
    with_short_waits,
)
from number_orders.cli.demo.directory import fresh
from number_orders.cli.demo.facts import Sources, gather
from number_orders.cli.demo.ledger_view import LedgerReader
from number_orders.cli.demo.notifications import NotificationReader
from number_orders.cli.demo.orders import NOTIFY_QUEUE, ORDERS_MIN, Workload, make_workload
from number_orders.cli.demo.producer_process import ProducerProcess
from number_orders.cli.demo.report import Facts, show
from number_orders.cli.demo.screen import Progress, show_commands, show_set_up
from number_orders.cli.demo.worker_kill import WorkerKill
from number_orders.cli.exits import ExitCode
from number_orders.cli.stack.environment import given_settings
from number_orders.cli.stack.stack import Addresses, Stack, StackOptions
from number_orders.cli.stack.up import Interruption
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from workers.carriers import adapters

WORKERS: Final = 2
CHILDREN: Final = 6

_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo runs."""

    workload: Workload
    seed: int
    kill: bool
    timeout_s: float


def demo(
    orders: Annotated[int, typer.Option(min=ORDERS_MIN, max=3000, help="How many orders.")] = 300,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, until Ctrl-C.")] = False,
    no_kill: Annotated[bool, typer.Option("--no-kill", help="Do not kill a worker.")] = False,
    seed: Annotated[int, typer.Option(help="Decides what is ordered and what goes wrong.")] = 7,
    timeout: Annotated[float, typer.Option(min=10, help="Seconds within which every order must have ended.")] = 300.0,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write the summary to this file, as JSON.")
    ] = None,
) -> None:
    """Show it all: hundreds of orders to three sandbox carriers, a worker killed, every end checked.

    Exit 0 only if every order ended as the sandbox carriers' own report says, and was bought once.
    """
    console = output.screen()
    plan = Plan(make_workload(orders, seed), seed=seed, kill=not no_kill, timeout_s=timeout)
    facts = Demonstration(plan, console, _settings(given_settings(), console)).run(keep=keep, json_path=json_path)
    raise typer.Exit(ExitCode.NO if facts.failures else ExitCode.DONE)


class Demonstration:
    """One run of the demo, from an empty directory to the verdict."""

    def __init__(self, plan: Plan, console: Console, settings: Settings) -> None:
        self._plan = plan
        self._console = console
        self._settings = settings
        self._progress = Progress(console, orders=plan.workload.orders)

    def run(self, *, keep: bool, json_path: Path | None) -> Facts:
        """Start everything, place the orders, print the verdict and stop; with `keep`, first wait for Ctrl-C."""
        directory = fresh(self._settings.var_dir)
        worker_kill = WorkerKill(self._progress.say, orders=self._plan.workload.orders, wanted=self._plan.kill)
        stack = Stack(
            self._settings,
            output=directory / "log",
            options=StackOptions(workers=WORKERS, behaviour={**BEHAVIOUR, "seed": self._plan.seed}),
            on_event=worker_kill.on_event,
            say=self._console.print,
        )
        with Interruption(on_second=stack.kill_workers) as interruption, self._stopped(stack, worker_kill):
            self._console.print(f"starting everything under {directory} …")
            addresses = stack.start()
            show_set_up(self._console, addresses, self._settings, self._plan.workload)
            facts = self._place_orders(stack, addresses, worker_kill)
            show(facts, self._console)
            if json_path:
                json_path.write_text(json.dumps(facts.as_json(), indent=2, default=str) + "\n", encoding="utf-8")
            if keep:
                show_commands(self._console, addresses, self._settings.var_dir)
                _wait_for_interrupt(interruption)
        return facts

    @contextmanager
    def _stopped(self, stack: Stack, worker_kill: WorkerKill) -> Iterator[None]:
        try:
            yield
        finally:
            self._console.print("stopping everything …")
            worker_kill.expect_exits()
            stack.stop()

    def _place_orders(self, stack: Stack, addresses: Addresses, worker_kill: WorkerKill) -> Facts:
        assert addresses.sandbox is not None, "a demonstration buys nothing for money"
        workload, began = self._plan.workload, time.monotonic()
        with ExitStack() as opened:
            control = opened.enter_context(SandboxControl(addresses.sandbox))
            targets = inject_faults(control, workload.single_references, self._plan.seed)
            ledger = opened.enter_context(LedgerReader(addresses.database_url))
            notifications = opened.enter_context(NotificationReader(addresses.broker_url, NOTIFY_QUEUE))
            producer = opened.enter_context(
                ProducerProcess(workload.calls, addresses.broker_url, self._settings.var_dir)
            )
            with self._progress.watching():
                for counts in self._counts(ledger, notifications):
                    worker_kill.kill_when_due(stack, counts)
                    if producer.is_over and worker_kill.is_over and _all_notified(counts, notifications):
                        break
            took_s = time.monotonic() - began
            return gather(
                Sources(workload, targets, control, ledger, notifications, producer, worker_kill), took_s=took_s
            )

    def _counts(self, ledger: LedgerReader, notifications: NotificationReader) -> Iterator[Mapping[State, int]]:
        """Yield the number of orders in each state, repeatedly, until the timeout."""
        until = time.monotonic() + self._plan.timeout_s
        while time.monotonic() < until:
            counts = ledger.counts()
            self._progress.show(counts, notified=notifications.ends(), held_back=ledger.held_back())
            yield counts
            time.sleep(_LOOK_EVERY_S)
        self._progress.say(Text(f"{self._plan.timeout_s:.0f} s are over: the demo stops waiting", "red"))


def _wait_for_interrupt(interruption: Interruption) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        interruption.wait()


def _all_notified(counts: Mapping[State, int], notifications: NotificationReader) -> bool:
    """Tell whether every order has ended and its producer was notified."""
    ended = sum(count for state, count in counts.items() if state.is_final)
    return ended == sum(counts.values()) and notifications.ends() >= ended


def _settings(given: Settings, console: Console) -> Settings:
    """Return settings with which the stack starts everything itself; what the environment configures is not used."""
    if adapters(given) or given.database_url or given.broker_url:
        console.print("the configured carriers, ledger and broker are not used: the demo starts its own")
    return Settings.model_construct(
        var_dir=given.var_dir.absolute() / "demo",
        children=CHILDREN,
        # Nine lanes share five children, one each at most; the sixth child is always free for new orders.
        lane_children=1,
        numbers_per_hour=100_000,
        flower_port=given.flower_port,
        flower_password=given.flower_password,
        bandwidth=with_short_waits(BandwidthSettings()),
        cm=with_short_waits(CMSettings()),
        swift=with_short_waits(SwiftSettings(), taint_window_s=TAINT_WINDOW_S, taint_margin_s=TAINT_MARGIN_S),
    )
