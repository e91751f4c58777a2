"""The picture and the tables of docs/lifecycle.md, generated from `ARCS` and the events.

`python -m number_orders.orders.diagram docs/lifecycle.md` updates the page. Without a page the picture is printed.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_args

from number_orders.orders.events import (
    EVENT_TYPES,
    AboutOneAttempt,
    CarrierNews,
    Event,
    Judgement,
    PersonsDecision,
    Reminder,
)
from number_orders.orders.lifecycle import ARCS, AT_REST, AfterTheEnd
from number_orders.orders.model import State

MEANINGS: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.ACCEPTED: "The ledger has it, and no carrier does. It is sent as soon as it is due.",
        State.SUBMITTING: "A submission was begun and has no answer yet. Written before the first byte leaves.",
        State.IN_DOUBT: "The answer was lost: something may have been bought. The carrier is asked; nothing is sent.",
        State.OPEN: "The carrier has it and is working on it. `carrier_status` is the carrier's own word.",
        State.PARKED: "A person decides: going on could buy twice or buy wrong, or a person parked it.",
        State.COMPLETED: "Everything that was asked for is done, number by number.",
        State.PARTIAL: "Fewer numbers than asked for, as the carrier ended it or a person closed it.",
        State.COMPLETED_WITH_ERRORS: "Done, but with errors or a contradiction, or closed by a person.",
        State.FAILED: "The carrier did nothing and never will, or a person wrote it off.",
        State.CANCELLED: "Cancelled before it was sent, or by the carrier on our request.",
    }
)
"""What each state means, in one line. docs/lifecycle.md says more."""

_KINDS: Final[Mapping[type, str]] = MappingProxyType(
    {
        AboutOneAttempt: "news of one attempt",
        CarrierNews: "news",
        PersonsDecision: "a person's decision",
        Reminder: "a person's reminder",
        Judgement: "judgement",
    }
)
"""What kind of thing an event is. The first base class that fits counts."""

_UNDER_WAY: Final = tuple(state for state in ARCS if state not in AT_REST)


def mermaid() -> str:
    """Return every arc of the table as a mermaid state diagram.

    An event that leads from every state under way to the same state at rest is drawn once, from a box that stands for
    all of them. Sixteen more arrows would hide the few that matter.
    """
    shared = _shared()
    lines = [
        "direction LR",
        f'state "{" or ".join((", ".join(_UNDER_WAY[:-1]), _UNDER_WAY[-1]))}" as UNDER_WAY',
        f"[*] --> {State.ACCEPTED}",
        *(arrow for state in ARCS for arrow in _arrows(state, _not_shared(state, shared))),
        *_arrows("UNDER_WAY", shared),
    ]
    return "\n".join(("stateDiagram-v2", *(f"    {line}" for line in lines)))


def states_table() -> str:
    """Return a table of the states: what each means, which events leave it and which do not.

    Arrows from the box of the picture are named there, not once more in each state under way.
    """
    rows = ((f"**{state}**", MEANINGS[state], _left_by(state), _stays_at(state)) for state in State)
    return _table(("State", "What it means", "Left by", "Stays at"), rows)


def events_table() -> str:
    """Return a table of the events: what each means, its kind, and whether it is void once the order has moved."""
    rows = ((f"`{event.__name__}`", _first_line(event), _kind(event), _void(event)) for event in EVENT_TYPES)
    return _table(("Event", "What has happened", "Kind", "Void if the order has moved"), rows)


_DRAWINGS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "diagram": lambda: f"```mermaid\n{mermaid()}\n```",
        "states": states_table,
        "events": events_table,
    }
)


def refresh(page: str) -> str:
    """Return the page with everything between its markers replaced by the current drawings.

    Raises:
        LookupError: A marker is missing or doubled, so a part of the page would silently become outdated.
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
    """Update each page, or print the picture if no page is given."""
    if not pages:
        sys.stdout.write(f"{mermaid()}\n")
    for page in map(Path, pages):
        page.write_text(refresh(page.read_text("utf-8")), "utf-8")


def _shared() -> Mapping[type[Event], State]:
    """Return the events that lead from every state under way to the same state at rest."""
    first, *others = (ARCS[state] for state in _UNDER_WAY)
    return {
        event: target
        for event, target in first.items()
        if target in AT_REST and all(arcs.get(event) is target for arcs in others)
    }


def _not_shared(state: State, shared: Mapping[type[Event], State]) -> Mapping[type[Event], State]:
    skipped = shared if state in _UNDER_WAY else ()
    return {event: target for event, target in ARCS[state].items() if event not in skipped}


def _arrows(start: str, arcs: Mapping[type[Event], State]) -> Iterator[str]:
    for target in State:
        labels = [event.__name__ for event, end in arcs.items() if end is target]
        if labels:
            yield f"{start} --> {target}: {', '.join(labels)}"


def _left_by(state: State) -> str:
    if state.is_final:
        return "never"
    arcs = _not_shared(state, _shared())
    ways = [f"`{event.__name__}` → {end}" for event, end in arcs.items() if end is not state]
    return "<br>".join([*ways, "every arrow from the box"] if state in _UNDER_WAY else ways)


def _stays_at(state: State) -> str:
    if state.is_final:
        return "<br>".join(("late news, only stored", *(f"`{event.__name__}`" for event in get_args(AfterTheEnd))))
    if state in AT_REST:
        return "late news, only stored"
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
