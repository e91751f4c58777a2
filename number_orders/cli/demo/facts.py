"""Gathers the facts of a demonstration from everybody who was there: producer, ledger, listener, practice carrier."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from number_orders.cli.demo.carrier_behaviour import MISHAPS, Mishap
from number_orders.cli.demo.ledger_view import Books, Entry
from number_orders.cli.demo.listener import Listener
from number_orders.cli.demo.orders import Script
from number_orders.cli.demo.producer_process import ProducerProcess
from number_orders.cli.demo.report import Facts, deadlines, doubts
from number_orders.cli.demo.verdict import judge
from number_orders.cli.demo.worker_kill import Sabotage
from number_orders.orders.events import HeldBackByRule, event_type
from number_orders.orders.model import Kind
from number_orders.sandbox.control import SandboxControl

_COMMITS: Final = ("/orders", "/disconnects", "/carts/{cartId}/checkout", "/numberRequests")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everybody who was there."""

    script: Script
    targets: Mapping[str, Mishap]
    control: SandboxControl
    books: Books
    listener: Listener
    producer: ProducerProcess
    sabotage: Sabotage


def gather(scene: Scene, *, took_s: float) -> Facts:
    """Ask them all, and judge."""
    answers, heard = scene.producer.answers(), scene.listener.heard()
    entries, report = scene.books.entries(), scene.control.report()
    ours = {order_id: entry.document for order_id, entry in entries.items()}
    tickets = answers.tickets()
    doubtful = [entry.order.order_id for entry in entries.values() if entry.order.losses]
    return Facts(
        orders=scene.script.orders,
        tickets=len(tickets),
        refused=answers.refused(),
        refused_expected=scene.script.refusals,
        repeated=answers.recognised(),
        repeated_expected=scene.script.repeats,
        sent_again=answers.sent_again(),
        silent=answers.silent(),
        by_state=dict(Counter(entry.order.state.value for entry in entries.values())),
        types=len(report["totals"]["by_kind"]),
        by_carrier=dict(Counter(entry.order.request.carrier for entry in entries.values())),
        numbers_bought=report["totals"]["numbers_bought"],
        numbers_released=report["totals"]["numbers_released"],
        removals=scene.script.removals,
        removals_waited=_waited(scene.books, entries),
        told=scene.listener.ends(),
        told_more_than_once=sum(_is_repetitive(documents) for documents in heard.values()),
        doubts=doubts(scene.books.stories(doubtful)),
        posts=_commits(report),
        posts_most=max((entry.order.sends for entry in entries.values()), default=0),
        mishaps=_struck(scene.control),
        mishaps_planned=len(scene.targets),
        worker_killed=scene.sabotage.killed,
        worker_replaced=scene.sabotage.replaced,
        exits_unplanned=list(scene.sabotage.unplanned),
        deadlines=deadlines(entries, report),
        alarms=[f"{alarm['what']}: {alarm['subject']} ({alarm['times']} times)" for alarm in scene.books.alarms()],
        took_s=took_s,
        verdict=judge(tickets=tickets, ours=ours, heard=heard, report=report),
    )


def _is_repetitive(documents: list[Mapping[str, object]]) -> bool:
    versions = [document["version"] for document in documents]
    return len(set(versions)) < len(versions)


def _waited(books: Books, entries: Mapping[str, Entry]) -> int:
    """Count the removals that a rule held back."""
    removals = [entry.order.order_id for entry in entries.values() if entry.order.request.kind is Kind.REMOVE_NUMBERS]
    return sum(any(_is_held_back(row) for row in story.events) for story in books.stories(removals))


def _is_held_back(row: Mapping[str, Any]) -> bool:
    return issubclass(event_type(row["event"]), HeldBackByRule)


def _commits(report: Mapping[str, Any]) -> int:
    """Count the requests that cost money, or give numbers up."""
    routes = report["requests"]["by_route"]
    return sum(routes.get(f"POST {path}", {}).get("total", 0) for path in _COMMITS)


def _struck(control: SandboxControl) -> dict[str, int]:
    """Count, in words, what really went wrong."""
    words = {(mishap.fault, mishap.path): mishap.words for mishaps in MISHAPS.values() for mishap in mishaps}
    hits: Counter[str] = Counter()
    for rule in control.faults():
        match = rule["match"]
        aimed = match["customer_order_id"] is not None
        hits[words[rule["fault"], match["path"]] if aimed else "question answered with 503"] += rule["hits"]
    return {what: count for what, count in hits.items() if count}
