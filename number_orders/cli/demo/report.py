"""Prints the summary of a demo, as a table and as JSON."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_orders.cli import output
from number_orders.cli.demo.ledger_view import Entry
from number_orders.cli.demo.notices import NoticeFacts
from number_orders.cli.demo.verdict import Verdict
from number_orders.ledger.history import Story
from number_orders.orders import events
from number_orders.orders.events import event_type
from number_orders.orders.model import State

WRONGS_SHOWN: Final = 10

_RESOLUTIONS: Final[Mapping[type, str]] = {
    events.Acknowledged: "found with the carrier and followed",
    events.Filled: "found with the carrier, already over",
    events.PartlyFilled: "found with the carrier, already over",
    events.FilledWithErrors: "found with the carrier, already over",
    events.Refused: "found with the carrier, already over",
    events.StillOpen: "found with the carrier and followed",
    events.ProvenAbsent: "proven never to have arrived, and sent again",
    events.NotSent: "the attempt itself said that nothing had left",
    events.FoundTwice: "found twice: before a person",
    events.Parked: "before a person",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds from the carrier's end of an order to ours."""

    median: float
    p95: float
    slowest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFacts:
    """What the receiver of webhooks was sent."""

    verified: int
    """Messages with a right signature, each once."""
    ends: int
    """The orders of whose end one of them told."""
    orders: int
    """The orders that were to be told of this way."""
    put_off: int
    """How many were answered 503 at first."""
    put_off_lost: int
    """How many of those did not come again."""
    repeated: int
    refused: int
    """Messages with a wrong signature: the one that the demo forged."""

    @property
    def is_right(self) -> bool:
        """Whether each end arrived, and nothing else was believed."""
        return self.ends == self.orders and self.put_off > 0 == self.put_off_lost and self.refused == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts about one demo."""

    orders: int
    tickets: int
    by_way: Mapping[str, int]
    """How many orders got their ticket over the queue and over HTTP."""
    by_way_expected: Mapping[str, int]
    notices: NoticeFacts
    webhooks: WebhookFacts
    refused: int
    refused_expected: int
    repeated: int
    repeated_expected: int
    sent_again: int
    silent: int
    by_state: Mapping[str, int]
    types: int
    by_carrier: Mapping[str, int]
    numbers_bought: int
    numbers_released: int
    removals: int
    """How many orders removed numbers inside the taint window."""
    removals_waited: int
    told: int
    told_more_than_once: int
    doubts: Mapping[str, int]
    """How orders left IN_DOUBT, and how many left that way."""
    posts: int
    posts_most: int
    """The highest number of submissions of one order."""
    mishaps: Mapping[str, int]
    mishaps_planned: int
    worker_killed: str | None
    worker_replaced: bool
    exits_unplanned: Sequence[str]
    deadlines: Deadlines | None
    alarms: Sequence[str]
    took_s: float
    verdict: Verdict = field(repr=False)

    @property
    def failures(self) -> list[str]:
        """Everything that is wrong."""
        return [*self._miscounts(), *self.verdict.wrongs]

    def as_json(self) -> dict[str, Any]:
        """Return all facts as JSON."""
        return asdict(self) | {
            "right": not self.failures,
            "failures": self.failures,
            "bought_twice": len(self.verdict.bought_twice),
            "lost": len(self.verdict.lost),
            "wrong_end": len(self.verdict.wrong_end),
            "too_early": len(self.verdict.too_early),
        }

    def _miscounts(self) -> list[str]:
        checks = (
            (self.tickets == self.orders, f"{self.orders} good orders were sent and {self.tickets} accepted"),
            (
                self.refused == self.refused_expected,
                f"{self.refused} orders were refused, and {self.refused_expected} break a rule",
            ),
            (
                self.repeated == self.repeated_expected,
                f"{self.repeated} of {self.repeated_expected} repeats recognised",
            ),
            (
                self.removals_waited >= self.removals - 1,  # of two removals of one number, the second may find it gone
                f"{self.removals_waited} of {self.removals} removals waited for their window",
            ),
            (self.by_way == self.by_way_expected, f"{self.by_way} got tickets, and {self.by_way_expected} were sent"),
            (self.notices.is_right, f"what carriers told and what we know of it differ: {self.notices}"),
            (
                0 < self.notices.orders < self.orders,
                f"{self.notices.orders} of {self.orders} orders had notices: neither all nor none should",
            ),
            (self.webhooks.is_right, f"not all webhooks are as they should be: {self.webhooks}"),
            (self.silent == 0, f"{self.silent} calls were never answered"),
            (self.worker_killed is None or self.worker_replaced, f"{self.worker_killed} was not replaced"),
        )
        return [*(what for fine, what in checks if not fine), *self.exits_unplanned]


def deadlines(entries: Mapping[str, Entry], report: Mapping[str, Any]) -> Deadlines | None:
    """Measure the time from the carrier's ends to ours; both use this machine's clock."""
    ends = {
        one["customer_order_id"]: one["ended_at"]
        for one in report["orders"]
        if one["ended_at"] and one["carrier"] == "bandwidth"  # at the others, ours is later by design
    }
    lags = sorted(
        (entry.order.ended_at - datetime.fromisoformat(ends[entry.order.reference])).total_seconds()
        for entry in entries.values()
        if entry.order.ended_at and entry.order.reference in ends
    )
    if len(lags) < 2:  # noqa: PLR2004  quantiles want two
        return None
    return Deadlines(median=statistics.median(lags), p95=statistics.quantiles(lags, n=20)[-1], slowest=lags[-1])


def doubts(stories: Sequence[Story]) -> dict[str, int]:
    """Count how orders left IN_DOUBT."""
    return dict(Counter(way for story in stories for way in _ways_out(story)))


def _ways_out(story: Story) -> list[str]:
    """Return the events of one story that left IN_DOUBT, described."""
    states = [event["state"] for event in story.events]
    left = zip(states, story.events[1:], strict=False)
    return [
        _RESOLUTIONS.get(event_type(event["event"]), event["event"])
        for before, event in left
        if before == State.IN_DOUBT and event["state"] != State.IN_DOUBT
    ]


def show(facts: Facts, console: Console) -> None:
    """Print the summary, and the first things that are wrong."""
    _heading(console, "Orders by final state")
    console.print(_states(facts))
    _heading(console, "Checked against the sandbox carriers' own report")
    console.print(_checks(facts))
    _heading(console, "Faults injected on purpose")
    console.print(_counted([*facts.mishaps.items(), *_killed(facts)]))
    if facts.doubts:
        _heading(console, "Were in doubt, and how it was resolved")
        console.print(_counted(facts.doubts.items()))
    _heading(console, "How it went")
    console.print(output.pairs(_course(facts)))
    console.print()
    for failure in facts.failures[:WRONGS_SHOWN]:
        console.print(Text(f"✗ {failure}", "red"))
    if (more := len(facts.failures) - WRONGS_SHOWN) > 0:
        console.print(Text(f"  and {more} more", "red"))
    right = Text("All is right.", "bold green")
    wrong = "1 thing is wrong." if len(facts.failures) == 1 else f"{len(facts.failures)} things are wrong."
    console.print(Text(wrong, "bold red") if facts.failures else right)


def _heading(console: Console, text: str) -> None:
    output.heading(console, text)


def _states(facts: Facts) -> Table:
    table = output.table("state", "orders")
    for word, count in sorted(facts.by_state.items(), key=lambda item: -item[1]):
        table.add_row(output.state(word), str(count))
    return table


def _checks(facts: Facts) -> Table:
    verdict = facts.verdict
    table = Table.grid(padding=(0, 2, 0, 0))
    rows = (
        ("accepted", facts.tickets == facts.orders, f"{facts.tickets} of {facts.orders} orders have their ticket"),
        ("bought twice", not verdict.bought_twice, f"{len(verdict.bought_twice)}"),
        ("lost", not verdict.lost, f"{len(verdict.lost)}"),
        ("wrong end", not verdict.wrong_end, f"{len(verdict.wrong_end)}   {verdict.numbers_compared} numbers compared"),
        ("removed too early", not verdict.too_early, f"{len(verdict.too_early)}   {_windows(facts)}"),
        ("ways in", facts.by_way == facts.by_way_expected, _ways(facts)),
        ("carriers' notices", facts.notices.is_right, _notices(facts)),
        ("notified", not verdict.told_wrong, f"{facts.told} ends, {facts.told_more_than_once} more than once"),
        ("webhooks", facts.webhooks.is_right, _webhooks(facts.webhooks)),
        ("refused", facts.refused == facts.refused_expected, f"{facts.refused} of {facts.refused_expected} bad orders"),
        (
            "key repeated",
            facts.repeated == facts.repeated_expected and not verdict.tickets_wrong,
            f"{facts.repeated} of {facts.repeated_expected} answered with the existing order",
        ),
    )
    for what, fine, words in rows:
        table.add_row(Text("✓", "green") if fine else Text("✗", "bold red"), what, words)
    return table


def _ways(facts: Facts) -> str:
    return f"{facts.by_way['queue']} orders over the queue, {facts.by_way['http']} over HTTP with a token"


def _notices(facts: Facts) -> str:
    notices = facts.notices
    polled = facts.orders - notices.orders
    return (
        f"{notices.received} received, {notices.matched} matched to {notices.orders} orders, {notices.forged} forged; "
        f"{polled} orders followed by asking only"
    )


def _webhooks(facts: WebhookFacts) -> str:
    return (
        f"{facts.verified} verified, with {facts.ends} of {facts.orders} ends; {facts.put_off} sent again after a 503, "
        f"{facts.refused} forged and refused"
    )


def _windows(facts: Facts) -> str:
    return f"{facts.removals_waited} of {facts.removals} early removals waited for the taint window"


def _counted(items: Iterable[tuple[str, int]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    for words, count in items:
        table.add_row(str(count), words)
    return table


def _killed(facts: Facts) -> list[tuple[str, int]]:
    return [(f"worker killed with SIGKILL, and replaced: {facts.worker_killed}", 1)] if facts.worker_killed else []


def _course(facts: Facts) -> list[tuple[str, str]]:
    late = facts.deadlines
    return [
        ("carriers", ", ".join(f"{count} orders to {name}" for name, count in sorted(facts.by_carrier.items()))),
        ("order types", f"{facts.types}: {facts.numbers_bought} numbers bought, {facts.numbers_released} released"),
        ("Bandwidth's end to ours", f"median {late.median:.2f} s, p95 {late.p95:.2f} s" if late else ""),
        ("POSTs per order", f"{facts.posts / max(1, facts.orders):.2f}, at most {facts.posts_most} for one"),
        (
            "sent again by the producer",
            f"{facts.sent_again} calls without a ticket" if facts.sent_again else "",
        ),
        ("alarms", "; ".join(facts.alarms)),
        ("took", f"{facts.took_s:.1f} s from the first order to the last end"),
    ]
