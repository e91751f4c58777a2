"""Shows what waits for a person: every parked order with what was sent, what was asked, and what was seen."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from config.settings import Settings
from console import moments
from console.narrating import sentence
from console.printing import clean, screen, state
from console.rooms import open_ledger
from ledger.ledger import Story
from orders.model import State

_EXCERPT: Final = 300
_LAST: Final = 12
"""How many events and exchanges are shown of each; `show --receipts --all` has all of them."""


async def read_parked(settings: Settings, carrier: str | None, limit: int) -> list[Story]:
    """Return the stories of all parked orders, the longest parked first."""
    async with open_ledger(settings) as ledger:
        rows = await ledger.list_orders(states=[State.PARKED], carrier=carrier, limit=limit)
        stories = [await ledger.story(row["order_id"]) for row in rows]
    return sorted(stories, key=_parked_at)


def show_parked(stories: Sequence[Story]) -> None:
    """Print them, each with its evidence and the commands that decide."""
    console = screen()
    if not stories:
        console.print("nothing waits for a person")
    for story in stories:
        _show(console, story)


def parked_to_json(stories: Sequence[Story]) -> list[dict[str, Any]]:
    """Return them for a machine."""
    return [
        {
            "order_id": story.order.order_id,
            "key": story.order.request.key,
            "carrier": story.order.request.carrier,
            "carrier_order_id": story.order.carrier_order_id,
            "reason": story.order.reason,
            "parked_at": _parked_at(story),
            "sends": story.order.sends,
            "losses": story.order.losses,
            "events": story.events,
            "exchanges": story.receipts,
        }
        for story in stories
    ]


def _show(console: Console, story: Story) -> None:
    order, request = story.order, story.order.request
    since = moments.when(_parked_at(story), story.now)
    console.print(Text.assemble(state(order.state), "  ", (str(order.order_id), "bold"), f"  {clean(request.key)}"))
    console.print(
        f"  {request.carrier}, {request.kind}, {request.wanted} wanted; parked {since}: {clean(order.reason)}"
    )
    for row in story.events[-_LAST:]:
        console.print(f"  {_clock(row)}  {clean(sentence(row))}", soft_wrap=True)
    console.print(Text(f"  what passed between us and {request.carrier}:", "bold"))
    for row in story.receipts[-_LAST:]:
        _show_exchange(console, row)
    if not story.receipts:
        console.print("  nothing is on record any more, or nothing ever passed")
    resolve = f"number-orders resolve {order.order_id}"
    console.print(
        Text(f"  → {resolve} --adopt CARRIER_ORDER_ID | --send-again | --failed --why TEXT", "bold"), soft_wrap=True
    )


def _show_exchange(console: Console, row: Mapping[str, Any]) -> None:
    outcome = f"HTTP {row['status']}" if row["status"] else clean(row["trouble"])
    console.print(f"  {_clock(row)}  {clean(row['request'])}  {outcome}", soft_wrap=True)
    for mark, said in (("> ", row["sent"]), ("< ", row["answer"])):
        if said:
            console.print(Text(f"    {mark}{clean(said)[:_EXCERPT]}", "dim"), soft_wrap=True)


def _clock(row: Mapping[str, Any]) -> str:
    return f"{row['at']:%Y-%m-%d %H:%M:%S}"


def _parked_at(story: Story) -> Any:
    moved = (row for row in reversed(story.events) if not row["late"])
    return next(moved)["at"]
