"""Shows every parked order, with what was sent, asked and answered."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from config.settings import Settings
from number_orders.cli.output import clean, screen, state
from number_orders.cli.services import open_ledger
from number_orders.cli.story.printed import show_advice, show_timeline
from number_orders.ledger.history import Story
from number_orders.orders.model import State
from number_orders.story import advice, timeline, times
from number_orders.story.explanation import done_count, done_word

_LAST: Final = 12
"""How many entries are shown of each order, beside everything that was sent; `show --all --receipts` has all."""


async def read_parked(settings: Settings, carrier: str | None, limit: int) -> list[Story]:
    """Return the stories of the newest parked orders, the longest parked first."""
    async with open_ledger(settings) as ledger:
        rows = await ledger.orders.list_orders(states=[State.PARKED], carrier=carrier, limit=limit)
        stories = [await ledger.history.story(row["order_id"]) for row in rows]
    return sorted(stories, key=parked_at)


def show_parked(stories: Sequence[Story], *, limit: int) -> None:
    """Print the orders, each with its evidence and the commands that decide."""
    console = screen()
    if not stories:
        console.print("nothing waits for a person")
    for index, story in enumerate(stories):
        if index:
            console.rule(style="dim") if console.is_terminal else console.print()
        _show(console, story)
    if len(stories) == limit:
        console.print(Text(f"the newest {limit}; --limit shows more", "dim"))


def parked_to_json(stories: Sequence[Story]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [
        {
            "order_id": story.order.order_id,
            "key": story.order.request.key,
            "carrier": story.order.request.carrier,
            "carrier_order_id": story.order.carrier_order_id,
            "reason": story.order.reason,
            "parked_at": parked_at(story),
            "sends": story.order.sends,
            "losses": story.order.losses,
            "evidence": timeline.to_json(story),
            "events": story.events,
            "exchanges": story.receipts,
            "commands": advice.to_json(story),
        }
        for story in stories
    ]


def parked_at(story: Story) -> Any:
    """Return since when an order has been parked."""
    moved = (row for row in reversed(story.events) if not row["late"])
    return next(moved)["at"]


def _show(console: Console, story: Story) -> None:
    order, request = story.order, story.order.request
    console.print(
        Text.assemble(state(order.state), "  ", (str(order.order_id), "bold"), f"  {clean(request.key)}"),
        soft_wrap=True,
    )
    numbers = f"{done_count(story)} of {request.wanted} numbers {done_word(story)}"
    console.print(f"{request.carrier}, {request.kind}, {numbers}; {timeline.known_facts(story)}")
    console.print(
        Text.assemble(
            (f"parked {times.both(parked_at(story), story.now)}: ", ""), (clean(order.reason), "bold magenta")
        )
    )
    entries = timeline.timeline(story)
    shown = [each for each in entries[:-_LAST] if each.is_sent] + entries[-_LAST:]
    console.print()
    console.print(Text("What was sent, asked and answered", "bold"), Text("times in UTC", "dim"))
    show_timeline(console, shown, story)
    if len(shown) < len(entries):
        more = f"… {len(entries) - len(shown)} more in between: number-orders show {order.order_id} --all"
        console.print(Text(more, "dim"), soft_wrap=True)
    if not story.receipts:
        console.print("no requests are stored: none was sent, or it was too long ago")
    show_advice(console, story)
