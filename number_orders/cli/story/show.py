"""Shows one order: what it wants, its numbers, its story, what it waits for, and what can be done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from config.settings import Settings
from number_orders.carriers.cancellation import Cancellation
from number_orders.carriers.cancellation import cancellation as cancellation_at
from number_orders.cli.output import clean, heading, pairs, paragraph, rows, screen, state, write_json
from number_orders.cli.services import find_order, open_ledger
from number_orders.cli.story.printed import show_advice
from number_orders.ledger.history import Story
from number_orders.ledger.schedule import WorkItem
from number_orders.orders.document import document
from number_orders.orders.model import Lane, NumberState, State
from number_orders.orders.serialization import request_to_json
from number_orders.story import timeline, times
from number_orders.story.advice import to_json as advice_to_json
from number_orders.story.explanation import done_count, done_word, explain, summarize
from number_orders.story.holds import hold_text
from number_orders.story.notifications import outcome
from number_orders.story.request import terms, wants

_NUMBERS_SHOWN: Final = 12
_EVENTS_SHOWN: Final = 30
_WAITING: Final[Mapping[Lane, str]] = {
    Lane.SUBMIT: "to be sent",
    Lane.ASK: "to be asked about",
    Lane.TELL: "to notify its producer",
}


async def read_story(settings: Settings, name: str) -> Story:
    """Return everything about the order `name`."""
    async with open_ledger(settings) as ledger:
        return await ledger.history.story(await find_order(ledger, name))


def cancellation_of(settings: Settings, story: Story) -> Cancellation:
    """Return whether the carrier of an open order can be asked to cancel it."""
    if story.order.state is not State.OPEN:
        return Cancellation.UNKNOWN
    from workers.carriers import adapters  # noqa: PLC0415  imports the carriers' HTTP clients, for open orders only

    adapter = adapters(settings).get(story.order.request.carrier)
    return cancellation_at(story.order, adapter.capabilities if adapter else None)


def show_story(story: Story, cancellation: Cancellation, *, whole: bool, receipts: bool) -> None:
    """Print an order; `whole` folds nothing."""
    console = screen()
    _show_head(console, story)
    heading(console, "What happens")
    paragraph(console, [clean(sentence) for sentence in summarize(story)])
    _show_numbers(console, story, whole=whole)
    _show_events(console, story, whole=whole)
    if story.work_items:
        _show_waits(console, story)
    if story.messages:
        _show_notifications(console, story)
    if receipts:
        _show_receipts(console, story)
    show_advice(console, story, cancellation)


def story_to_json(story: Story, cancellation: Cancellation, *, receipts: bool) -> dict[str, Any]:
    """Return an order as JSON: its document, and more fields beside it."""
    return {
        **document(story.order, story.numbers),
        "request": request_to_json(story.order.request),
        "now": story.now,
        "producer": story.producer,
        "explanation": explain(story, cancellation),
        "commands": advice_to_json(story, cancellation),
        "events": story.events,
        "waits_for": [
            {name: getattr(work_item, name) for name in type(work_item).__slots__} for work_item in story.work_items
        ],
        "notifications": story.messages,
        **({"receipts": story.receipts} if receipts else {}),
    }


def show_explanation(story: Story, cancellation: Cancellation) -> None:
    """Print the explanation, and for a parked order the commands that decide."""
    console = screen()
    paragraph(console, [clean(sentence) for sentence in explain(story, cancellation)])
    if story.order.state is State.PARKED:
        show_advice(console, story)


def write_explanation(story: Story, cancellation: Cancellation) -> None:
    """Print the same as JSON."""
    order = story.order
    write_json(
        {
            "order_id": order.order_id,
            "producer": story.producer,
            "state": order.state.value,
            "explanation": explain(story, cancellation),
            "commands": advice_to_json(story, cancellation),
        }
    )


def _show_head(console: Console, story: Story) -> None:
    order, request = story.order, story.order.request
    console.print(Text.assemble(state(order.state.value), "  ", (str(order.order_id), "bold")))
    named = f"{order.carrier_order_id}" if order.carrier_order_id else ""
    status = f" ({clean(order.carrier_status)})" if order.carrier_status else ""
    console.print(
        pairs(
            [
                ("key", clean(request.key)),
                ("producer", clean(story.producer)),
                ("wants", wants(order)),
                ("terms", ", ".join(terms(order))),
                ("name", clean(request.name)),
                ("notes", clean(request.notes)),
                ("carrier", f"{request.carrier}{named and f' order {clean(named)}'}{status}"),
                ("accepted", _both(story, order.accepted_at)),
                ("ended", _both(story, order.ended_at) if order.ended_at else ""),
            ]
        )
    )


def _both(story: Story, moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {times.when(moment, story.now)}"


def _show_numbers(console: Console, story: Story, *, whole: bool) -> None:
    # As in the order document: numbers that nothing is known of yet are among them.
    numbers: Sequence[Mapping[str, str]] = document(story.order, story.numbers)["numbers"]
    heading(console, "Numbers", _tally(story, numbers))
    # Failed numbers first, because a folded list must not hide them.
    listed = sorted(numbers, key=lambda number: (number["state"] != NumberState.FAILED, number["e164"]))
    shown = listed if whole else listed[:_NUMBERS_SHOWN]
    if shown:
        cells = ((each["e164"], state(each["state"]), clean(each["code"]), clean(each["text"])) for each in shown)
        rows(console, ("NUMBER", "STATE", "CODE", "TEXT"), cells)
    _show_folded(console, len(listed) - len(shown), "numbers")


def _tally(story: Story, numbers: Sequence[Mapping[str, str]]) -> str:
    counted = Counter(number["state"] for number in numbers)
    states = ", ".join(f"{counted[each]} {each.value}" for each in NumberState if counted[each])
    return f"{done_count(story)} of {story.order.request.wanted} {done_word(story)}" + (
        f" ({states})" if states else ""
    )


def _show_events(console: Console, story: Story, *, whole: bool) -> None:
    heading(console, "Story", "times in UTC, and since it was accepted")
    entries = timeline.timeline(story)
    shown = entries if whole else entries[-_EVENTS_SHOWN:]
    _show_folded(console, len(entries) - len(shown), "earlier lines")
    accepted_at = story.order.accepted_at
    cells = (
        (_clock(each.at, story), times.span(each.at - accepted_at), state(each.what), _words(each)) for each in shown
    )
    rows(console, ("AT", "AFTER", "STATE", "WHAT HAPPENED"), cells)


def _words(entry: timeline.TimelineEntry) -> Text:
    answer = (f"  < {entry.excerpt}", "dim") if entry.excerpt else ""
    return Text.assemble(entry.words, answer)


def _clock(at: datetime, story: Story) -> str:
    to_the_second = times.at(at, story.now).removesuffix(" UTC")
    return f"{to_the_second}.{at.microsecond // 1000:03}"


def _show_waits(console: Console, story: Story) -> None:
    heading(console, "Waits")
    rows(console, ("FOR", "UNTIL", "WHY"), [_waits(work_item, story.now) for work_item in story.work_items])


def _waits(work_item: WorkItem, now: datetime) -> tuple[str, str, str]:
    held = "a worker has it, its lease ends " if work_item.in_hand else ""
    why = clean(work_item.reason) or "-"
    for hold in work_item.holds:
        why = f"{why}; {clean(hold_text(hold, now))}"
    return _WAITING[work_item.lane], f"{held}{times.both(work_item.not_before, now)}", why


def _show_notifications(console: Console, story: Story) -> None:
    notify = story.order.request.notify
    ways = {"task": f"task {clean(notify.task)}", "url": clean(notify.url)} if notify else {}
    heading(console, "Notifications")
    cells = (
        (
            str(message["version"]),
            state(message["state"]),
            ways.get(message["channel"], ""),
            outcome(story, message),
            str(message["tries"]),
            clean(message["trouble"]) or "-",
        )
        for message in story.messages
    )
    rows(console, ("VERSION", "OF", "TO", "OUTCOME", "TRIES", "WHY"), cells)


def _show_receipts(console: Console, story: Story) -> None:
    count = "1 request" if len(story.receipts) == 1 else f"{len(story.receipts)} requests"
    heading(console, "Receipts", f"{count} to the carrier, secrets removed")
    for row in story.receipts:
        outcome = f"HTTP {row['status']}" if row["status"] else clean(row["trouble"])
        console.print(
            Text.assemble(
                f"{_clock(row['at'], story)}  ",
                (clean(row["request"]), "bold"),
                f"  {outcome}",
                (f"  {row['elapsed_ms']} ms", "dim"),
            ),
            soft_wrap=True,
        )
        for mark, body in (("> ", row["sent"]), ("< ", row["answer"])):
            for line in (body or "").splitlines():
                console.print(Text(f"  {mark}{clean(line)}", "dim"), soft_wrap=True)


def _show_folded(console: Console, count: int, what: str) -> None:
    if count > 0:
        console.print(Text(f"… and {count} {what} more: --all shows them", "dim"))
