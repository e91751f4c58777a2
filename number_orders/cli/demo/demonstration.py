"""`number-orders demo`: the whole system at work before your eyes, and every end checked against the carrier's word.

Knows the course of a demonstration. What is ordered, what goes wrong, what is right and how it is told stand in
`demo_orders`, `demo_carrier`, `demo_verdict` and `demo_report`.
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
from number_orders.cli import output as printing
from number_orders.cli.demo.carrier_behaviour import PRACTICE, TAINT_MARGIN_S, TAINT_WINDOW_S, aim, hurried
from number_orders.cli.demo.directory import fresh
from number_orders.cli.demo.facts import Scene, gather
from number_orders.cli.demo.ledger_view import Books
from number_orders.cli.demo.listener import Listener
from number_orders.cli.demo.orders import ORDERS_MIN, TOLD_QUEUE, Script, write_script
from number_orders.cli.demo.producer_process import ProducerProcess
from number_orders.cli.demo.report import Facts, show
from number_orders.cli.demo.screen import Progress, introduce, show_around
from number_orders.cli.demo.worker_kill import Sabotage
from number_orders.cli.exits import Code
from number_orders.cli.stack.environment import given_settings
from number_orders.cli.stack.stack import Addresses, Shape, Stack
from number_orders.cli.stack.up import Interruption
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from workers.carriers import adapters

WORKERS: Final = 2
CHILDREN: Final = 6

_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be shown."""

    script: Script
    seed: int
    kill: bool
    timeout_s: float


def demo(
    orders: Annotated[int, typer.Option(min=ORDERS_MIN, max=3000, help="How many orders.")] = 300,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it all running afterwards, until Ctrl-C.")] = False,
    no_kill: Annotated[bool, typer.Option("--no-kill", help="Kill no worker.")] = False,
    seed: Annotated[int, typer.Option(help="Decides what is ordered, and what goes wrong.")] = 7,
    timeout: Annotated[float, typer.Option(min=10, help="Seconds in which every order must have ended.")] = 300.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file, too.")] = None,
) -> None:
    """Show it all: hundreds of orders to three practice carriers, a worker killed, every end checked.

    Exit 0 only if every order ended as the practice carriers' own report says, each bought once.
    """
    console = printing.screen()
    plan = Plan(write_script(orders, seed), seed=seed, kill=not no_kill, timeout_s=timeout)
    facts = Demonstration(plan, console, _settings(given_settings(), console)).run(keep=keep, json_path=json_path)
    raise typer.Exit(Code.NO if facts.failures else Code.DONE)


class Demonstration:
    """One run, from an empty directory to the verdict."""

    def __init__(self, plan: Plan, console: Console, settings: Settings) -> None:
        self._plan = plan
        self._console = console
        self._settings = settings
        self._progress = Progress(console, orders=plan.script.orders)

    def run(self, *, keep: bool, json_path: Path | None) -> Facts:
        """Start everything, show it, judge it, and stop it again; with `keep` when we are told to."""
        directory = fresh(self._settings.var_dir)
        sabotage = Sabotage(self._progress.say, orders=self._plan.script.orders, wanted=self._plan.kill)
        stack = Stack(
            self._settings,
            output=directory / "log",
            shape=Shape(workers=WORKERS, practice={**PRACTICE, "seed": self._plan.seed}),
            on_event=sabotage.happened,
            say=self._console.print,
        )
        with Interruption(once_more=stack.hurry) as interruption, self._stopped(stack, sabotage):
            self._console.print(f"starting everything under {directory} …")
            addresses = stack.start()
            introduce(self._console, addresses, self._settings, self._plan.script)
            facts = self._act(stack, addresses, sabotage)
            show(facts, self._console)
            if json_path:
                json_path.write_text(json.dumps(facts.as_json(), indent=2, default=str) + "\n", encoding="utf-8")
            if keep:
                show_around(self._console, addresses, self._settings.var_dir)
                _stay(interruption)
        return facts

    @contextmanager
    def _stopped(self, stack: Stack, sabotage: Sabotage) -> Iterator[None]:
        try:
            yield
        finally:
            self._console.print("stopping everything …")
            sabotage.stopping()
            stack.stop()

    def _act(self, stack: Stack, addresses: Addresses, sabotage: Sabotage) -> Facts:
        assert addresses.sandbox is not None, "a demonstration buys nothing for money"
        script, began = self._plan.script, time.monotonic()
        with ExitStack() as stage:
            control = stage.enter_context(SandboxControl(addresses.sandbox))
            targets = aim(control, script.single_ids, self._plan.seed)
            books = stage.enter_context(Books(addresses.database_url))
            listener = stage.enter_context(Listener(addresses.broker_url, TOLD_QUEUE))
            producer = stage.enter_context(ProducerProcess(script.calls, addresses.broker_url, self._settings.var_dir))
            with self._progress.watching():
                for counts in self._counts(books, listener):
                    sabotage.consider(stack, counts)
                    if producer.is_over and sabotage.is_over and _all_told(counts, listener):
                        break
            took_s = time.monotonic() - began
            return gather(Scene(script, targets, control, books, listener, producer, sabotage), took_s=took_s)

    def _counts(self, books: Books, listener: Listener) -> Iterator[Mapping[State, int]]:
        """Yield how many orders stand where, again and again, until the time is over."""
        until = time.monotonic() + self._plan.timeout_s
        while time.monotonic() < until:
            counts = books.counts()
            self._progress.show(counts, told=listener.ends(), held_back=books.held_back())
            yield counts
            time.sleep(_LOOK_EVERY_S)
        self._progress.say(Text(f"{self._plan.timeout_s:.0f} s are over", "red"))


def _stay(interruption: Interruption) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        interruption.wait()


def _all_told(counts: Mapping[State, int], listener: Listener) -> bool:
    """Tell whether every order has ended, and its producer knows."""
    ended = sum(count for state, count in counts.items() if state.is_final)
    return ended == sum(counts.values()) and listener.ends() >= ended


def _settings(given: Settings, console: Console) -> Settings:
    """Return settings that leave everything to us; whatever is configured is not touched."""
    if adapters(given) or given.database_url or given.broker_url:
        console.print("what is configured (carrier, ledger, broker) is left alone: a demonstration brings its own")
    return Settings.model_construct(
        var_dir=given.var_dir.absolute() / "demo",
        children=CHILDREN,
        # Nine lanes share five children, one each at most; one is always left for what producers send.
        lane_children=1,
        flower_port=given.flower_port,
        flower_password=given.flower_password,
        bandwidth=hurried(BandwidthSettings()),
        cm=hurried(CMSettings()),
        swift=hurried(SwiftSettings(), taint_window_s=TAINT_WINDOW_S, taint_margin_s=TAINT_MARGIN_S),
    )
