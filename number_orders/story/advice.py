"""Chooses the commands that make sense for an order now, each whole and with the case that it is for.

Pure: reads only the story. Runs nothing, and offers no command that would be refused.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from number_orders.carriers.cancellation import Cancellation
from number_orders.ledger.history import Story
from number_orders.orders.events import FoundTwice, HeldBackByRule, Reminder, event_type
from number_orders.orders.model import Kind, Lane, State
from number_orders.story.explanation import done_count
from number_orders.story.notifications import messages_by, undelivered
from number_orders.story.text import clean

_WHY: Final = '--why "…"'
_CANCELS: Final[Mapping[Cancellation, str]] = {
    Cancellation.OFFERED: "have {} cancel it",
    Cancellation.ONCE_BACKORDERED: "have {} cancel it if it is backordered, or when it is",
}


class Action(StrEnum):
    """What a person can do with an order."""

    RETRY = "retry"
    NOTIFY = "notify"
    """Send its documents to its producer again."""
    CANCEL = "cancel"
    PARK = "park"
    ADOPT = "adopt"
    SEND_AGAIN = "send-again"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Advice:
    """One command, and the case that it is for."""

    when: str
    command: str
    action: Action
    carrier_order_id: str | None = None
    """The carrier's order to adopt, if it is known."""


def advice(story: Story, cancellation: Cancellation = Cancellation.UNKNOWN) -> list[Advice]:
    """Return the commands for an order, the likeliest first; `cancellation` is that of an open order."""
    match story.order.state:
        case State.PARKED:
            return list(_parked(story))
        case State.ACCEPTED:
            return list(_accepted(story))
        case State.OPEN | State.IN_DOUBT:
            return list(_under_way(story, cancellation))
        case State.SUBMITTING:
            return []
        case _:
            return list(_over(story))


def to_json(story: Story, cancellation: Cancellation = Cancellation.UNKNOWN) -> list[dict[str, str]]:
    """Return the same as JSON."""
    return [{"when": each.when, "command": each.command} for each in advice(story, cancellation)]


def _parked(story: Story) -> Iterator[Advice]:
    order, carrier = story.order, clean(story.order.request.carrier)
    found = list(_carrier_order_ids(story))
    for theirs in found:
        shown = shlex.quote(clean(theirs))
        when = f"{carrier} has it as {shown}: follow it to its end"
        yield Advice(when, _resolve(story, f"adopted:{shown}"), Action.ADOPT, theirs)
    other = "under another id" if found else "under an id that we do not know"
    yield Advice(
        f"{carrier} has it {other}: follow it to its end", _resolve(story, "adopted:CARRIER_ORDER_ID"), Action.ADOPT
    )
    removes = order.request.kind is Kind.REMOVE_NUMBERS
    if removes or not done_count(story):
        nothing = "has not removed what is left" if removes else "has done nothing for it"
        when = f"{carrier} {nothing} and never will: send it again"
        yield Advice(when, _resolve(story, "send-again"), Action.SEND_AGAIN)
    first = f"first cancel at {carrier} what it still has, because {carrier} is not told"
    yield Advice(f"close it ({first}); {_closing_outcome(story)}", _resolve(story, "failed"), Action.CLOSE)


def _carrier_order_ids(story: Story) -> Iterator[str]:
    """Yield the carrier's orders that we know of; the one that was followed comes first."""
    twice = (
        row["detail"].get("carrier_order_ids", ()) for row in story.events if event_type(row["event"]) is FoundTwice
    )
    known = (story.order.carrier_order_id, *(theirs for ids in twice for theirs in ids))
    yield from dict.fromkeys(theirs for theirs in known if theirs)


def _closing_outcome(story: Story) -> str:
    got, wanted = done_count(story), story.order.request.wanted
    if got >= wanted:
        return f"it ends COMPLETED_WITH_ERRORS, all {wanted} numbers are done"
    return f"it ends PARTIAL, with the {got} of {wanted} numbers that are done" if got else "it ends FAILED"


def _accepted(story: Story) -> Iterator[Advice]:
    work_item = next((work_item for work_item in story.work_items if work_item.lane is Lane.SUBMIT), None)
    waits = (
        work_item is not None
        and work_item.not_before > story.now
        and not (work_item.in_hand or work_item.waits_for_lock)
    )
    if waits and not issubclass(_last_move(story), HeldBackByRule):
        yield Advice("send it now instead of waiting", _command(story, "retry"), Action.RETRY)
    yield Advice("nobody wants it any more", f"{_command(story, 'cancel')} {_WHY}", Action.CANCEL)
    yield Advice("nothing may be sent until a person has decided", f"{_command(story, 'park')} {_WHY}", Action.PARK)


def _under_way(story: Story, cancellation: Cancellation) -> Iterator[Advice]:
    carrier = clean(story.order.request.carrier)
    yield Advice(f"ask {carrier} now instead of waiting", _command(story, "retry"), Action.RETRY)
    when = _CANCELS.get(cancellation)
    if when and story.order.state is State.OPEN and not story.order.cancel_asked_at:
        yield Advice(
            f"nobody wants it any more: {when.format(carrier)}",
            f"{_command(story, 'cancel')} {_WHY}",
            Action.CANCEL,
        )
    yield Advice("it never moves: park it, and decide yourself", f"{_command(story, 'park')} {_WHY}", Action.PARK)


def _over(story: Story) -> Iterator[Advice]:
    notify = story.order.request.notify
    if undelivered(messages_by(story, "url")):
        yield Advice(
            "its URL works again: send its documents now", f"{_command(story, 'retry')} --lane tell", Action.NOTIFY
        )
    elif any(work_item.lane is Lane.TELL for work_item in story.work_items):
        yield Advice("notify its producer now", _command(story, "retry"), Action.NOTIFY)
    elif notify and story.order.state in notify.on:
        yield Advice(
            "its producer has lost the message: send it again", f"{_command(story, 'retry')} --lane tell", Action.NOTIFY
        )


def _last_move(story: Story) -> type:
    moves = (event_type(row["event"]) for row in reversed(story.events) if not row["late"])
    return next((move for move in moves if not issubclass(move, Reminder)), object)


def _resolve(story: Story, as_: str) -> str:
    return f"{_command(story, 'resolve')} --as {as_} {_WHY}"


def _command(story: Story, name: str) -> str:
    return f"number-orders {name} {story.order.order_id}"
