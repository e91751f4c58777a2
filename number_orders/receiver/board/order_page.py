"""The page of one order: what happens, what it waits for, its numbers, its story, and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from number_orders.fulfilment.service import OrderService
from number_orders.ledger.history import Story
from number_orders.orders.document import document
from number_orders.orders.model import Lane, NumberState
from number_orders.receiver.board.actions import ActionForm, forms
from number_orders.story.explanation import done_count, done_word, summarize
from number_orders.story.holds import hold_text
from number_orders.story.notifications import outcome
from number_orders.story.request import terms, wants
from number_orders.story.timeline import TimelineEntry, timeline

NUMBERS_SHOWN: Final = 100
EVENTS_SHOWN: Final = 60
RECEIPTS_READ: Final = 200
"""How many of an order's newest receipts are read; `number-orders show --receipts` has all."""
_WAITING: Final[Mapping[Lane, str]] = {
    Lane.SUBMIT: "to be sent",
    Lane.ASK: "to be asked about",
    Lane.TELL: "to notify its producer",
}


@dataclass(frozen=True, slots=True)
class OrderPage:
    """What the page of an order shows."""

    story: Story
    whole: bool
    """Whether every number and every line of the story is shown."""
    producer: str
    wants: str
    terms: str
    happens: Sequence[str]
    waits: Sequence[Mapping[str, Any]]
    numbers: Sequence[Mapping[str, Any]]
    numbers_left: int
    done: str
    entries: Sequence[TimelineEntry]
    """The newest first."""
    entries_left: int
    messages: Sequence[Mapping[str, Any]]
    forms: Sequence[ActionForm]


def order_page(story: Story, orders: OrderService, *, whole: bool) -> OrderPage:
    """Return what the page shows; `whole`: every number and every line of the story."""
    # Failed numbers first, because a folded list must not hide them.
    numbers = sorted(
        document(story.order, story.numbers)["numbers"],
        key=lambda number: (number["state"] != NumberState.FAILED, number["e164"]),
    )
    entries = list(reversed(timeline(story)))
    shown = len(numbers) if whole else NUMBERS_SHOWN
    lines = len(entries) if whole else EVENTS_SHOWN
    return OrderPage(
        story=story,
        whole=whole,
        producer=story.producer,
        wants=wants(story.order),
        terms=", ".join(terms(story.order)),
        happens=summarize(story),
        waits=list(_waits(story)),
        numbers=numbers[:shown],
        numbers_left=max(0, len(numbers) - shown),
        done=f"{done_count(story)} of {story.order.request.wanted} {done_word(story)}",
        entries=entries[:lines],
        entries_left=max(0, len(entries) - lines),
        messages=[{**message, "outcome": outcome(story, message)} for message in story.messages],
        forms=list(forms(story, orders)),
    )


def _waits(story: Story) -> Sequence[Mapping[str, Any]]:
    """Return what the order waits for: on which lane, until when, and why."""
    return [
        {
            "for": _WAITING[item.lane],
            "until": item.not_before,
            "is_due": item.not_before <= story.now,
            "in_hand": item.in_hand,
            "why": item.reason,
            "holds": [hold_text(hold, story.now) for hold in item.holds],
        }
        for item in story.work_items
    ]
