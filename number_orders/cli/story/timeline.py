"""What is known of an order, moment by moment: what was sent, what came back, what each look saw, who decided what.

The ledger keeps the story and the receipts apart; here they are one line of time. Receipts are written down when their
conversation is over, just after what was heard in it. So when a request left is reckoned back from there, by what it
and those after it took.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_orders.cli import times as moments
from number_orders.cli.output import clean, state
from number_orders.cli.story.sentences import sentence
from number_orders.ledger.history import Story
from number_orders.orders.events import OrderAccepted, SubmissionBegun, event_type

_EXCERPT: Final = 160
_TROUBLE: Final = 400
_SENT: Final = "sent"
_JUST_AFTER: Final = timedelta(seconds=2)
_OURS: Final = (OrderAccepted, SubmissionBegun)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    at: datetime
    what: str
    """`sent` or `asked` for what passed between us and the carrier; otherwise the state in which it left the order."""
    words: str
    excerpt: str | None = None
    """How the carrier's answer begins, where that says more than its status."""
    exchange: bool = False

    @property
    def is_sent(self) -> bool:
        """Tell whether something left that could have done something at the carrier."""
        return self.exchange and self.what == _SENT


def timeline(story: Story) -> list[Moment]:
    """Return all that is known, in its order."""
    happened = [Moment(row["at"], row["state"], clean(sentence(row))) for row in story.events]
    return sorted([*_exchanges(story), *happened], key=_at)


def show_timeline(console: Console, moments_: Sequence[Moment], story: Story) -> None:
    """Print it: time, what, and the words, which fold."""
    for day, told in groupby(moments_, lambda moment: moment.at.date()):
        if day != story.now.date():
            console.print(Text(f"{day:%Y-%m-%d}", "dim"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for fold in (False, False, True):
            table.add_column(no_wrap=not fold, overflow="fold")
        for each in told:
            table.add_row(Text(f"{each.at:%H:%M:%S}", "dim"), _mark(each), each.words)
            if each.excerpt:
                table.add_row("", "", Text(f"< {each.excerpt}", "dim"))
        console.print(table)


def to_json(story: Story) -> list[dict[str, Any]]:
    """Return the same for a machine."""
    return [{name: getattr(each, name) for name in ("at", "what", "words", "excerpt")} for each in timeline(story)]


def known(story: Story) -> str:
    """Say in a line what the machine itself knows."""
    order = story.order
    sent = "never sent" if not order.sends else f"sent {_times(order.sends)}"
    lost = f", {order.losses} without an answer" if order.losses else ""
    theirs = f"known to {order.request.carrier} as {clean(order.carrier_order_id)}" if order.carrier_order_id else None
    reference = f"our reference there: {order.order_id}"
    return "; ".join(filter(None, (f"{sent}{lost}", theirs, reference)))


def _mark(moment: Moment) -> Text:
    return Text(moment.what, "bold") if moment.exchange else state(moment.what)


def _exchanges(story: Story) -> Iterator[Moment]:
    """Yield what passed between us and the carrier. What was written down at once was one conversation."""
    heard = [row["at"] for row in story.events if not issubclass(event_type(row["event"]), _OURS)]
    for at, conversation in groupby(story.receipts, lambda row: row["at"]):
        rows = list(conversation)
        ended = max((moment for moment in heard if at - _JUST_AFTER < moment <= at), default=at)
        left_ms = sum(row["elapsed_ms"] for row in rows)
        for row in rows:
            yield _exchange(row, ended - timedelta(milliseconds=left_ms))
            left_ms -= row["elapsed_ms"]


def _exchange(row: Row, at: datetime) -> Moment:
    took = moments.span(timedelta(milliseconds=row["elapsed_ms"]))
    outcome = (
        f"HTTP {row['status']} after {took}"
        if row["status"]
        else f"NO ANSWER after {took}: {clean(row['trouble']).removeprefix('no answer: ')}"
    )
    said = clean(row["answer"])
    telling = said and (row["status"] or _TROUBLE) >= _TROUBLE
    excerpt = f"{said[:_EXCERPT]}{'…' if len(said) > _EXCERPT else ''}" if telling else None
    return Moment(
        at,
        "asked" if row["request"].startswith("GET ") else _SENT,
        f"{clean(row['request'])} → {outcome}",
        excerpt,
        exchange=True,
    )


def _at(moment: Moment) -> datetime:
    return moment.at


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
