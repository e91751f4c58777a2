"""Merges an order's events and receipts into one timeline.

The ledger stores both separately. The receipts of a conversation are stored together, just after the event that ended
it. So the time of each request is computed back from there, by the duration of that request and of those after it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from number_orders.ledger.history import Story
from number_orders.orders.events import OrderAccepted, SubmissionBegun, event_type
from number_orders.orders.sentences import sentence
from number_orders.story import times
from number_orders.story.text import clean

_EXCERPT: Final = 160
_TROUBLE: Final = 400
_SENT: Final = "sent"
_JUST_AFTER: Final = timedelta(seconds=2)
_OURS: Final = (OrderAccepted, SubmissionBegun)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event, or one request with its answer."""

    at: datetime
    what: str
    """`sent` or `asked` for a request; otherwise the state after the event."""
    words: str
    excerpt: str | None = None
    """The beginning of the carrier's answer, if it says more than its status."""
    exchange: bool = False
    receipt: int | None = None
    """Which of the story's receipts the request is."""

    @property
    def is_sent(self) -> bool:
        """Tell whether this is a request that may have changed something at the carrier."""
        return self.exchange and self.what == _SENT


def timeline(story: Story) -> list[TimelineEntry]:
    """Return all entries in the order of time."""
    happened = [TimelineEntry(row["at"], row["state"], clean(sentence(row))) for row in story.events]
    return sorted([*_exchanges(story), *happened], key=_at)


def to_json(story: Story) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [{name: getattr(each, name) for name in ("at", "what", "words", "excerpt")} for each in timeline(story)]


def known_facts(story: Story) -> str:
    """Return in one line what is known: sends, lost answers, ids."""
    order = story.order
    sent = "never sent" if not order.sends else f"sent {_times(order.sends)}"
    lost = f", {order.losses} without an answer" if order.losses else ""
    theirs = f"known to {order.request.carrier} as {clean(order.carrier_order_id)}" if order.carrier_order_id else None
    reference = f"our reference there: {order.reference}"
    return "; ".join(filter(None, (f"{sent}{lost}", theirs, reference)))


def _exchanges(story: Story) -> Iterator[TimelineEntry]:
    """Yield the requests. Those that were stored at the same time are one conversation."""
    heard = [row["at"] for row in story.events if not issubclass(event_type(row["event"]), _OURS)]
    for at, conversation in groupby(enumerate(story.receipts), lambda numbered: numbered[1]["at"]):
        rows = list(conversation)
        ended = max((moment for moment in heard if at - _JUST_AFTER < moment <= at), default=at)
        left_ms = sum(row["elapsed_ms"] for _, row in rows)
        for receipt, row in rows:
            yield _exchange(row, receipt, ended - timedelta(milliseconds=left_ms))
            left_ms -= row["elapsed_ms"]


def _exchange(row: Row, receipt: int, at: datetime) -> TimelineEntry:
    took = times.span(timedelta(milliseconds=row["elapsed_ms"]))
    outcome = (
        f"HTTP {row['status']} after {took}"
        if row["status"]
        else f"NO ANSWER after {took}: {clean(row['trouble']).removeprefix('no answer: ')}"
    )
    answer = clean(row["answer"])
    is_refusal = answer and (row["status"] or _TROUBLE) >= _TROUBLE
    excerpt = f"{answer[:_EXCERPT]}{'…' if len(answer) > _EXCERPT else ''}" if is_refusal else None
    return TimelineEntry(
        at,
        "asked" if row["request"].startswith("GET ") else _SENT,
        f"{clean(row['request'])} → {outcome}",
        excerpt,
        exchange=True,
        receipt=receipt,
    )


def _at(entry: TimelineEntry) -> datetime:
    return entry.at


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
