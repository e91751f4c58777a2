"""The command `status`: the whole service on one screen, once or again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from config.settings import Settings
from number_orders.cli.operations.guard import guard_line
from number_orders.cli.output import clean, screen, state, table
from number_orders.cli.services import open_ledger
from number_orders.ledger.guard import GuardPeriod
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.overview import LaneDepth, Snapshot
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.orders.model import State
from number_orders.story import times
from number_orders.story.holds import hold_text

_LISTED: Final = 3
"""How many parked orders and how many alarms are shown."""
_COUNTED: Final = 1000
_SILENT_AFTER: Final = timedelta(seconds=60)
"""Workers write to the ledger every ten seconds. After this time without it none is at work."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that the screen shows."""

    snapshot: Snapshot
    guard: GuardPeriod
    holds: Sequence[Hold]
    parked: Sequence[Row]
    alarms: Sequence[Row]


async def read_status(ledger: Ledger) -> Status:
    """Read everything that the screen shows."""
    snapshot = await ledger.overview.read()
    _, holds = await ledger.pauses.holds()
    parked = await ledger.orders.list_orders(states=[State.PARKED], limit=_COUNTED)
    return Status(snapshot, await ledger.guard.read(), holds, parked, await ledger.alarms.active(_COUNTED))


async def show_once(settings: Settings, show: Callable[[Status], None]) -> None:
    """Read the status once, and show it."""
    async with open_ledger(settings) as ledger:
        show(await read_status(ledger))


async def watch(
    settings: Settings, *, every_s: float, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Show the status until interrupted: on a terminal in place, in a pipe one screen after the other."""
    console = screen()
    async with open_ledger(settings) as ledger:
        if not console.is_terminal:
            while True:
                print_status(await read_status(ledger), console)
                console.print()
                await pause(every_s)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(picture(await read_status(ledger)), refresh=True)
                await pause(every_s)


def print_status(status: Status, console: Console | None = None) -> None:
    """Print the status."""
    (console or screen()).print(picture(status))


def status_to_json(status: Status) -> dict[str, Any]:
    """Return the status as JSON values."""
    snapshot = status.snapshot
    return {
        "now": snapshot.now,
        "last_heartbeat_at": status.guard.seen_at,
        "guard_ends_at": status.guard.ends_at if status.guard.is_active else None,
        "accepted": {"last_hour": snapshot.accepted_last_hour, "last_day": snapshot.accepted},
        "unfinished": [asdict(one) for one in snapshot.unfinished],
        "ended": [asdict(one) for one in snapshot.ended],
        "lanes": [asdict(one) for one in snapshot.lanes],
        "held": [asdict(one) for one in status.holds],
        "last_answers": [asdict(one) for one in snapshot.answers],
        "parked": [
            {name: row[name] for name in ("order_id", "producer", "key", "carrier", "reason", "moved_at")}
            for row in status.parked
        ],
        "alarms": [
            {name: row[name] for name in ("alarm_id", "what", "subject", "carrier", "order_id", "detail", "last_at")}
            for row in status.alarms
        ],
    }


def picture(status: Status) -> RenderableType:
    """Return the whole screen."""
    return Group(*_head(status), *_orders(status), *_lanes(status), *_carriers(status), *_for_people(status))


def _head(status: Status) -> Iterator[RenderableType]:
    now, seen_at = status.snapshot.now, status.guard.seen_at
    if now - seen_at > _SILENT_AFTER:
        silent = f"no worker has been at work for {times.span(now - seen_at)}: `number-orders doctor`"
        yield Text.assemble((f"{now:%Y-%m-%d %H:%M:%S} UTC  ", "bold"), (silent, "bold red"))
    else:
        yield Text.assemble((f"{now:%Y-%m-%d %H:%M:%S} UTC  ", "bold"), ("workers are at work", "green"))
    if status.guard.is_active:
        yield Text(f"guard period: {guard_line(status.guard)}", "yellow")


def _orders(status: Status) -> Iterator[RenderableType]:
    snapshot = status.snapshot
    oldest = min((one.oldest_at for one in snapshot.unfinished if one.state is not State.PARKED), default=None)
    yield _heading("Orders", f"oldest under way {times.when(oldest, snapshot.now)}" if oldest else "none under way")
    columns = sorted({one.carrier for one in snapshot.unfinished} | {one.carrier for one in snapshot.ended})
    shown = table("STATE", *(carrier.upper() for carrier in columns), "LAST HOUR", "LAST DAY", "HALF WITHIN")
    for each in State:
        under_way = {one.carrier: one.orders for one in snapshot.unfinished if one.state is each}
        ended = [one for one in snapshot.ended if one.state is each]
        if not under_way and not ended:
            continue
        day = {one.carrier: one.orders for one in ended}
        counts = (str((day if each.is_final else under_way).get(carrier, "")) for carrier in columns)
        hour = str(sum(one.last_hour for one in ended)) if ended else ""
        within = ", ".join(f"{one.carrier} {times.span(one.median)}" for one in ended)
        shown.add_row(state(each.value), *counts, hour, str(sum(day.values())) if ended else "", within)
    shown.add_row("accepted", *("" for _ in columns), str(snapshot.accepted_last_hour), str(snapshot.accepted), "")
    yield shown


def _lanes(status: Status) -> Iterator[RenderableType]:
    now = status.snapshot.now
    busy = [lane for lane in status.snapshot.lanes if lane.due or lane.in_hand or lane.waiting]
    paused = [hold for hold in status.holds if hold.held_by is HeldBy.PERSON]
    yield _heading("Lanes", "" if busy or paused else "nothing is owed")
    if busy:
        shown = table("CARRIER", "LANE", "DUE", "IN HAND", "LATER", "LONGEST DUE")
        for lane in busy:
            counts = (str(lane.due), str(lane.in_hand), str(lane.waiting))
            shown.add_row(lane.carrier, lane.lane.value, *counts, _due_for(lane, now))
        yield shown
    yield from (Text(f"{hold.carrier} {hold.lane}: {clean(hold_text(hold, now))}", "yellow") for hold in paused)


def _due_for(lane: LaneDepth, now: datetime) -> str:
    return times.span(now - lane.due_since) if lane.due_since else ""


def _carriers(status: Status) -> Iterator[RenderableType]:
    now = status.snapshot.now
    out = [hold for hold in status.holds if hold.held_by is not HeldBy.PERSON]
    answers = status.snapshot.answers
    yield _heading("Carriers", "" if answers or out else "none was asked lately")
    if answers:
        shown = table("CARRIER", "LAST ASKED", "ANSWER", "REQUEST")
        for each in answers:
            came = f"HTTP {each.status}" if each.status else clean(each.trouble)
            shown.add_row(each.carrier, times.when(each.at, now), came, clean(each.request))
        yield shown
    yield from (Text(f"{hold.carrier}: {clean(hold_text(hold, now))}", "yellow") for hold in out)


def _for_people(status: Status) -> Iterator[RenderableType]:
    now, parked, alarms = status.snapshot.now, status.parked, status.alarms
    oldest_first = sorted(parked, key=lambda row: row["moved_at"])
    yield _heading("Parked", _count(parked) if parked else "none")
    yield from _lines(
        (f"{row['order_id']}  {times.when(row['moved_at'], now)}  {clean(row['reason'])}" for row in oldest_first),
        len(parked),
        "number-orders parked",
    )
    yield _heading("Alarms", _count(alarms) if alarms else "none")
    yield from _lines(
        (
            f"{clean(row['what']).replace('_', ' ')}  {times.when(row['last_at'], now)}  {clean(row['detail'])}"
            for row in alarms
        ),
        len(alarms),
        "number-orders alarms",
    )


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} or more" if len(rows) == _COUNTED else str(len(rows))


def _lines(lines: Iterable[str], count: int, command: str) -> Iterator[RenderableType]:
    for line, _ in zip(lines, range(_LISTED), strict=False):
        yield Text(line, overflow="ellipsis", no_wrap=True)
    if count:
        yield Text(f"`{command}` shows {'all' if count > _LISTED else 'what to do'}", "dim")


def _heading(text: str, more: str = "") -> Text:
    return Text.assemble("\n", (text, "bold"), (f"  {more}" if more else "", "dim"))
