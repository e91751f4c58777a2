"""The lifecycle's table, drawn: the picture and the tables of docs/lifecycle.md.

Knows how `number_orders.orders.lifecycle.ARCS` is told to a reader. Decides nothing, and touches no file unless
run as a command: `python -m number_orders.orders.diagram docs/lifecycle.md` draws that page anew, and without a
page the picture goes to the terminal.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from number_orders.orders.events import (
    EVENT_TYPES,
    AboutOneAttempt,
    CarrierNews,
    Event,
    Judgement,
    PersonsDecision,
    Reminder,
)
from number_orders.orders.lifecycle import ARCS, AT_REST
from number_orders.orders.model import State

MEANINGS: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.ACCEPTED: "In the ledger, and no carrier holds it. Sent as soon as it is due.",
        State.SUBMITTING: "On its way. Written before the first byte leaves.",
        State.IN_DOUBT: "The answer was lost: something may have been bought. Only asking may follow.",
        State.OPEN: "The carrier has it and is at work; `carrier_status` keeps the carrier's own word.",
        State.PARKED: "A person decides: going on could buy twice or buy wrong, or somebody set it aside.",
        State.COMPLETED: "All that was asked for is done, number by number.",
        State.PARTIAL: "Fewer numbers than asked for, and no more will come.",
        State.COMPLETED_WITH_ERRORS: "Done, yet with errors or a contradiction, or by a person's word alone.",
        State.FAILED: "The carrier did nothing and never will, or a person wrote the order off.",
        State.CANCELLED: "Called back before it was sent, or dropped by the carrier when it was asked to.",
    }
)
"""What each state says of an order, in one line; the longer story is docs/lifecycle.md."""

_KINDS: Final[Mapping[type, str]] = MappingProxyType(
    {
        AboutOneAttempt: "news of one attempt",
        CarrierNews: "news",
        PersonsDecision: "a person's decision",
        Reminder: "a person's reminder",
        Judgement: "judgement",
    }
)
"""What kind of thing an event is, the special before the general."""

_UNDER_WAY: Final = tuple(state for state in ARCS if state not in AT_REST)


def mermaid() -> str:
    """Draw every arc of the table as a mermaid state diagram.

    What brings an order to the same rest from every state under way is drawn once, from a box that
    stands for all of them: sixteen more arrows would hide the few that need thought.
    """
    shared = _shared()
    lines = [
        "direction LR",
        f'state "{" or ".join((", ".join(_UNDER_WAY[:-1]), _UNDER_WAY[-1]))}" as UNDER_WAY',
        f"[*] --> {State.ACCEPTED}",
        *(arrow for state in ARCS for arrow in _arrows(state, _apart(state, shared))),
        *_arrows("UNDER_WAY", shared),
    ]
    return "\n".join(("stateDiagram-v2", *(f"    {line}" for line in lines)))


def states_table() -> str:
    """Tell of every state what it means, how it is left, and what is heard there without leaving."""
    rows = ((f"**{state}**", MEANINGS[state], _leaves_by(state), _hears(state)) for state in State)
    return _table(("State", "What it means", "Leaves by", "Hears and stays"), rows)


def events_table() -> str:
    """Tell of every event what it says, what kind of thing it is, and whether it is void once the order has moved."""
    rows = ((f"`{event.__name__}`", _first_line(event), _kind(event), _void(event)) for event in EVENT_TYPES)
    return _table(("Event", "What has happened", "Kind", "Void if the order has moved"), rows)


_DRAWINGS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "diagram": lambda: f"```mermaid\n{mermaid()}\n```",
        "states": states_table,
        "events": events_table,
    }
)


def refreshed(page: str) -> str:
    """Return a page with everything between its markers drawn anew.

    Raises:
        LookupError: A marker is missing or doubled, so part of the page would go stale unseen.
    """
    for name, draw in _DRAWINGS.items():
        head, tail = f"<!-- drawn: {name} -->", f"<!-- end: {name} -->"
        between = re.compile(f"(?<={re.escape(head)}).*?(?={re.escape(tail)})", re.DOTALL)
        before, *after = between.split(page)
        if len(after) != 1:
            raise LookupError(f"the page has {len(after)} places for {name!r}, not one")
        page = f"{before}\n\n{draw()}\n\n{after[0]}"
    return page


def main(pages: Sequence[str]) -> None:
    """Draw each page anew, or the picture on the terminal if there is none."""
    if not pages:
        sys.stdout.write(f"{mermaid()}\n")
    for page in map(Path, pages):
        page.write_text(refreshed(page.read_text("utf-8")), "utf-8")


def _shared() -> Mapping[type[Event], State]:
    first, *others = (ARCS[state] for state in _UNDER_WAY)
    return {
        event: target
        for event, target in first.items()
        if target in AT_REST and all(arcs.get(event) is target for arcs in others)
    }


def _apart(state: State, shared: Mapping[type[Event], State]) -> Mapping[type[Event], State]:
    skipped = shared if state in _UNDER_WAY else ()
    return {event: target for event, target in ARCS[state].items() if event not in skipped}


def _arrows(start: str, arcs: Mapping[type[Event], State]) -> Iterator[str]:
    for target in State:
        labels = [event.__name__ for event, end in arcs.items() if end is target]
        if labels:
            yield f"{start} --> {target}: {', '.join(labels)}"


def _leaves_by(state: State) -> str:
    if state.is_final:
        return "never"
    ways = (f"`{event.__name__}` → {end}" for event, end in ARCS[state].items() if end is not state)
    return "<br>".join(ways)


def _hears(state: State) -> str:
    if state in AT_REST:
        return "all the carrier's late news: kept, moves nothing"
    stays = [f"`{event.__name__}`" for event, end in ARCS[state].items() if end is state]
    return "<br>".join(stays) or "nothing"


def _kind(event: type[Event]) -> str:
    return next(words for kind, words in _KINDS.items() if issubclass(event, kind))


def _void(event: type[Event]) -> str:
    return "yes" if issubclass(event, Judgement) else "no"


def _first_line(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().splitlines()[0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
