"""Gathers the facts of a demo: from the producers, the ledger, what they were told, and the sandbox's report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from number_orders.cli.demo.carrier_behaviour import FAULTS, InjectedFault
from number_orders.cli.demo.ledger_view import Entry, LedgerReader
from number_orders.cli.demo.notices import notice_facts
from number_orders.cli.demo.notifications import NotificationReader
from number_orders.cli.demo.orders import Way, Workload
from number_orders.cli.demo.producer_process import Answers, ProducerProcess
from number_orders.cli.demo.report import Facts, WebhookFacts, deadlines, doubts
from number_orders.cli.demo.verdict import judge
from number_orders.cli.demo.webhooks import WebhookReceiver
from number_orders.cli.demo.worker_kill import WorkerKill
from number_orders.orders.events import HeldBackByRule, event_type
from number_orders.orders.model import Kind
from number_orders.sandbox.control import SandboxControl

_COMMITS: Final = ("/orders", "/disconnects", "/carts/{cartId}/checkout", "/numberRequests")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the facts are gathered from."""

    workload: Workload
    targets: Mapping[str, InjectedFault]
    control: SandboxControl
    ledger: LedgerReader
    notifications: NotificationReader
    webhooks: WebhookReceiver
    producers: Sequence[ProducerProcess]
    worker_kill: WorkerKill


def gather(sources: Sources, *, took_s: float) -> Facts:
    """Read all sources, and compare them."""
    answers = Answers({producer.way: producer.answers() for producer in sources.producers})
    heard = sources.notifications.heard() | sources.webhooks.heard()
    notices = notice_facts(sources.control, sources.ledger)
    entries, report = sources.ledger.entries(), sources.control.report()
    ours = {order_id: entry.document for order_id, entry in entries.items()}
    tickets = answers.tickets()
    doubtful = [entry.order.order_id for entry in entries.values() if entry.order.losses]
    return Facts(
        orders=sources.workload.orders,
        tickets=len(tickets),
        by_way={way.value: len(answers.keys(way)) for way in Way},
        by_way_expected={way.value: len(sources.workload.keys(way)) for way in Way},
        notices=notices,
        webhooks=_webhook_facts(sources.webhooks, orders=len(sources.workload.keys(Way.HTTP))),
        refused=answers.refused(),
        refused_expected=sources.workload.refusals,
        repeated=answers.recognised(),
        repeated_expected=sources.workload.repeats,
        sent_again=answers.sent_again(),
        silent=answers.silent(),
        by_state=dict(Counter(entry.order.state.value for entry in entries.values())),
        types=len(report["totals"]["by_kind"]),
        by_carrier=dict(Counter(entry.order.request.carrier for entry in entries.values())),
        numbers_bought=report["totals"]["numbers_bought"],
        numbers_released=report["totals"]["numbers_released"],
        removals=sources.workload.removals,
        removals_waited=_waited(sources.ledger, entries),
        told=sources.notifications.ends() + sources.webhooks.ends(),
        told_more_than_once=sum(_is_repetitive(documents) for documents in heard.values()),
        doubts=doubts(sources.ledger.stories(doubtful)),
        posts=_commits(report),
        posts_most=max((entry.order.sends for entry in entries.values()), default=0),
        mishaps=_faults_hit(sources.control),
        mishaps_planned=len(sources.targets),
        worker_killed=sources.worker_kill.killed,
        worker_replaced=sources.worker_kill.replaced,
        exits_unplanned=list(sources.worker_kill.unplanned),
        deadlines=deadlines(entries, report),
        alarms=[f"{alarm['what']}: {alarm['subject']} ({alarm['times']} times)" for alarm in sources.ledger.alarms()],
        took_s=took_s,
        verdict=judge(tickets=tickets, ours=ours, heard=heard, report=report),
    )


def _webhook_facts(webhooks: WebhookReceiver, *, orders: int) -> WebhookFacts:
    deliveries, ends = webhooks.deliveries, webhooks.ends()
    with deliveries.lock:
        return WebhookFacts(
            verified=len(deliveries.ids),
            ends=ends,
            orders=orders,
            put_off=len(deliveries.put_off),
            put_off_lost=len(deliveries.put_off - deliveries.ids),
            repeated=deliveries.repeated,
            refused=deliveries.refused,
        )


def _is_repetitive(documents: list[Mapping[str, object]]) -> bool:
    versions = [document["version"] for document in documents]
    return len(set(versions)) < len(versions)


def _waited(ledger: LedgerReader, entries: Mapping[str, Entry]) -> int:
    """Count the removals that a carrier's rule held back."""
    removals = [entry.order.order_id for entry in entries.values() if entry.order.request.kind is Kind.REMOVE_NUMBERS]
    return sum(any(_is_held_back(row) for row in story.events) for story in ledger.stories(removals))


def _is_held_back(row: Mapping[str, Any]) -> bool:
    return issubclass(event_type(row["event"]), HeldBackByRule)


def _commits(report: Mapping[str, Any]) -> int:
    """Count the requests that cost money or give numbers up."""
    routes = report["requests"]["by_route"]
    return sum(routes.get(f"POST {path}", {}).get("total", 0) for path in _COMMITS)


def _faults_hit(control: SandboxControl) -> dict[str, int]:
    """Count the faults that occurred, by their description."""
    words = {(fault.name, fault.path): fault.words for faults in FAULTS.values() for fault in faults}
    hits: Counter[str] = Counter()
    for rule in control.faults():
        match = rule["match"]
        aimed = match["customer_order_id"] is not None
        hits[words[rule["fault"], match["path"]] if aimed else "question answered with 503"] += rule["hits"]
    return {what: count for what, count in hits.items() if count}
