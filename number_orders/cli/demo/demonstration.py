"""`number-orders demo`: runs the whole system, and checks every end against the sandbox carriers' own report.

Only runs the steps in order. The modules beside it know what is ordered, which faults occur, what is right and how the
result is printed.
"""

import asyncio
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

from config.settings import BandwidthSettings, CMSettings, OnNotListed, Settings, SwiftSettings, WebhookSettings
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
from number_orders.cli.demo.notices import bandwidth_settings, notice_settings, subscribe
from number_orders.cli.demo.notifications import NotificationReader
from number_orders.cli.demo.orders import NOTIFY_QUEUE, ORDERS_MIN, PRODUCERS, Way, make_workload
from number_orders.cli.demo.producer_process import ProducerProcess
from number_orders.cli.demo.report import Facts, show
from number_orders.cli.demo.screen import Progress, show_commands, show_set_up
from number_orders.cli.demo.webhooks import CERTIFICATE, WebhookReceiver
from number_orders.cli.demo.worker_kill import WorkerKill
from number_orders.cli.exits import ExitCode
from number_orders.cli.operations.webhook_secrets import add_secret
from number_orders.cli.producers.changes import add_producer, make_token
from number_orders.cli.stack.environment import given_settings
from number_orders.cli.stack.stack import Addresses, Stack, StackOptions
from number_orders.cli.stack.up import Interruption
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from workers.carriers import adapters

WORKERS: Final = 2
CHILDREN: Final = 6

_LOOK_EVERY_S: Final = 0.1
_ALL_OF_LOOPBACK: Final = "127.0.0.0/8"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo runs."""

    orders: int
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

    One producer uses the queue and is told by task; another uses HTTP with a token and is told by signed webhooks.
    Exit 0 only if every order ended as the sandbox carriers' own report says, and was bought once.
    """
    console = output.screen()
    plan = Plan(orders, seed=seed, kill=not no_kill, timeout_s=timeout)
    settings = _settings(given_settings(), console)
    with WebhookReceiver() as webhooks:
        facts = Demonstration(plan, console, settings, webhooks).run(keep=keep, json_path=json_path)
    raise typer.Exit(ExitCode.NO if facts.failures else ExitCode.DONE)


class Demonstration:
    """One run of the demo, from an empty directory to the verdict."""

    def __init__(self, plan: Plan, console: Console, settings: Settings, webhooks: WebhookReceiver) -> None:
        self._plan = plan
        self._console = console
        self._settings = settings.model_copy(update={"webhooks": _webhook_settings(webhooks.port)})
        self._webhooks = webhooks
        self._workload = make_workload(plan.orders, plan.seed, webhooks.url)
        self._progress = Progress(console, orders=plan.orders)

    def run(self, *, keep: bool, json_path: Path | None) -> Facts:
        """Start everything, place the orders, print the verdict and stop; with `keep`, first wait for Ctrl-C."""
        directory = fresh(self._settings.var_dir)
        worker_kill = WorkerKill(self._progress.say, orders=self._plan.orders, wanted=self._plan.kill)
        stack = Stack(
            self._settings,
            output=directory / "log",
            options=StackOptions(
                workers=WORKERS,
                behaviour={**BEHAVIOUR, "seed": self._plan.seed},
                sandbox_settings={"bandwidth": bandwidth_settings()},
            ),
            on_event=worker_kill.on_event,
            say=self._console.print,
        )
        with Interruption(on_second=stack.kill_workers) as interruption, self._stopped(stack, worker_kill):
            self._console.print(f"starting everything under {directory} …")
            addresses = stack.start()
            show_set_up(self._console, addresses, self._settings, self._workload)
            subscribe(stack.settings)
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
        workload, began = self._workload, time.monotonic()
        environments = self._environments(stack, addresses)
        with ExitStack() as opened:
            control = opened.enter_context(SandboxControl(addresses.sandbox))
            targets = inject_faults(control, workload.single_references, self._plan.seed)
            ledger = opened.enter_context(LedgerReader(addresses.database_url))
            notifications = opened.enter_context(NotificationReader(addresses.broker_url, NOTIFY_QUEUE))
            producers = [
                opened.enter_context(ProducerProcess(way, workload.over(way), environment, self._settings.var_dir))
                for way, environment in environments.items()
            ]
            self._webhooks.send_forgery()
            with self._progress.watching():
                for counts in self._counts(ledger, notifications):
                    worker_kill.kill_when_due(stack, counts)
                    all_sent = all(producer.is_over for producer in producers)
                    if all_sent and worker_kill.is_over and self._all_notified(counts, notifications):
                        break
            took_s = time.monotonic() - began
            return gather(
                Sources(workload, targets, control, ledger, notifications, self._webhooks, producers, worker_kill),
                took_s=took_s,
            )

    def _environments(self, stack: Stack, addresses: Addresses) -> dict[Way, dict[str, str]]:
        """Return what each producer is told: a broker, or an address and a token. Only the second needs to be known."""
        assert addresses.receiver is not None, "the stack's options have a receiver"
        name = PRODUCERS[Way.HTTP]
        token, secret = asyncio.run(_admitted(stack.settings, name))
        self._webhooks.deliveries.secret = secret
        return {
            Way.QUEUE: {"BROKER_URL": addresses.broker_url},
            Way.HTTP: {"URL": addresses.receiver, "TOKEN": token},
        }

    def _counts(self, ledger: LedgerReader, notifications: NotificationReader) -> Iterator[Mapping[State, int]]:
        """Yield the number of orders in each state, repeatedly, until the timeout."""
        until = time.monotonic() + self._plan.timeout_s
        while time.monotonic() < until:
            counts = ledger.counts()
            self._progress.show(counts, notified=self._notified(notifications), held_back=ledger.held_back())
            yield counts
            time.sleep(_LOOK_EVERY_S)
        self._progress.say(Text(f"{self._plan.timeout_s:.0f} s are over: the demo stops waiting", "red"))

    def _notified(self, notifications: NotificationReader) -> int:
        return notifications.ends() + self._webhooks.ends()

    def _all_notified(self, counts: Mapping[State, int], notifications: NotificationReader) -> bool:
        """Tell whether every order has ended and its producer was notified."""
        ended = sum(count for state, count in counts.items() if state.is_final)
        return ended == sum(counts.values()) and self._notified(notifications) >= ended


async def _admitted(settings: Settings, name: str) -> tuple[str, str]:
    """Add a producer, as an operator does; return its token and the secret of its webhooks."""
    await add_producer(settings, name, is_operator=False, by="demo")
    token = await make_token(settings, name, lasts=None, label="demo", by="demo")
    _, secret = await add_secret(settings, name, by="demo")
    return token.text, secret


def _wait_for_interrupt(interruption: Interruption) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        interruption.wait()


def _webhook_settings(port: int) -> WebhookSettings:
    """Return the settings by which workers send to this machine, which they do not otherwise, and try again soon."""
    return WebhookSettings.model_validate(
        {
            "ca_file": CERTIFICATE,
            "ports": [port],
            "allowed_networks": [_ALL_OF_LOOPBACK],
            "retry_first_s": 1.0,
            "retry_max_s": 3.0,
        }
    )


def _settings(given: Settings, console: Console) -> Settings:
    """Return settings with which the stack starts everything itself; what the environment configures is not used."""
    if adapters(given) or given.database_url or given.broker_url:
        console.print("the configured carriers, ledger and broker are not used: the demo starts its own")
    settings = Settings.model_construct(
        var_dir=given.var_dir.absolute() / "demo",
        children=CHILDREN,
        # At most five children work lanes; the sixth is always free for new orders.
        lane_children=1,
        numbers_per_hour=100_000,
        flower_port=given.flower_port,
        flower_password=given.flower_password,
        bandwidth=with_short_waits(BandwidthSettings()),
        # Otherwise an order that the killed worker had begun and not sent would wait for a person.
        cm=with_short_waits(CMSettings(), on_not_listed=OnNotListed.RESEND),
        swift=with_short_waits(SwiftSettings(), taint_window_s=TAINT_WINDOW_S, taint_margin_s=TAINT_MARGIN_S),
    )
    return settings.model_copy(update=notice_settings(given.receiver.port))
