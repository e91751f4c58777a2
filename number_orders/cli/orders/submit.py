"""Hands orders in: straight to the ledger, in groups, and answers for each what became of it.

The broker is not needed. A group is accepted whole by one statement; should the ledger go away between two groups,
the file can be handed in again as it is, since a key that is known is the same order.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from config.settings import Settings
from number_orders.cli.exits import Code, Stop
from number_orders.cli.orders.order_files import Placed, Unreadable, read_orders
from number_orders.cli.output import aside, clean, rows, screen, state, write_json
from number_orders.cli.services import open_services
from number_orders.fulfilment.intake import Refusal, Ticket
from number_orders.orders.errors import LedgerUnavailable
from number_orders_client.contract import ORDERS_MAX

_SHOWN: Final = 20
_STDIN: Final = "-"


@dataclass(slots=True)
class Handed:
    """What became of the orders of one file."""

    tickets: list[tuple[Placed, Ticket]] = field(default_factory=list)
    refused: list[tuple[Placed, Refusal]] = field(default_factory=list)
    cut_short: str | None = None
    """Why the rest was not handed in."""

    def add(self, placed: Placed, outcome: Ticket | Refusal) -> None:
        """Put down one outcome."""
        if isinstance(outcome, Ticket):
            self.tickets.append((placed, outcome))
        else:
            self.refused.append((placed, outcome))


def read_file(name: str) -> list[Placed]:
    """Return the orders in a file, or on standard input when it is called `-`.

    Raises:
        Stop: It cannot be read; nothing was handed in.
    """
    try:
        raw = sys.stdin.buffer.read() if name == _STDIN else Path(name).read_bytes()
        return read_orders(raw)
    except OSError as trouble:
        raise Stop(Code.USAGE, f"{name}: {trouble.strerror or trouble}") from trouble
    except Unreadable as wrong:
        where = "standard input" if name == _STDIN else name
        raise Stop(Code.USAGE, f"{where}: {clean(wrong)}", mend="nothing was submitted") from wrong


async def hand_in(settings: Settings, orders: Sequence[Placed], *, producer: str) -> Handed:
    """Hand orders in, at most `ORDERS_MAX` at a time."""
    handed = Handed()
    async with open_services(settings) as services:
        waiting = iter(orders)
        while group := list(islice(waiting, ORDERS_MAX)):
            try:
                outcomes = await services.intake.submit_many([placed.order for placed in group], producer=producer)
            except LedgerUnavailable as away:
                handed.cut_short = f"from {group[0].place} on nothing is known to be stored: {away}"
                break
            for placed, outcome in zip(group, outcomes, strict=True):
                handed.add(placed, outcome)
    return handed


def show_handed(handed: Handed, *, whole: bool) -> None:
    """Print the tickets, and what was refused and why."""
    console = screen()
    _show_tickets(console, handed.tickets, folded=console.is_terminal and not whole)
    if handed.refused:
        console.print()
        _show_refused(console, handed.refused)
    aside().print(_summary(handed))


def write_handed(handed: Handed) -> None:
    """Print the same for a machine."""
    write_json(
        {
            "tickets": [_ticket(placed, ticket) for placed, ticket in handed.tickets],
            "refused": [_refusal(placed, refusal) for placed, refusal in handed.refused],
            "cut_short": handed.cut_short,
        }
    )


def code_of(handed: Handed) -> Code:
    """Return the exit code that says how it went."""
    if handed.cut_short:
        return Code.OUT_OF_REACH
    return Code.NO if handed.refused else Code.DONE


def _show_tickets(console: Console, tickets: Sequence[tuple[Placed, Ticket]], *, folded: bool) -> None:
    if not tickets:
        return
    shown = tickets[:_SHOWN] if folded else tickets
    cells = (
        (str(each.order_id), clean(each.key), state(each.state.value), "" if each.new else "known already")
        for _, each in shown
    )
    rows(console, ("ORDER", "KEY", "STATE", ""), cells, whole=1)
    if len(tickets) > len(shown):
        console.print(Text(f"… and {len(tickets) - len(shown)} more: --all shows them", "dim"))


def _show_refused(console: Console, refused: Sequence[tuple[Placed, Refusal]]) -> None:
    cells = (
        (Text(placed.place, "red"), clean(refusal.key), clean(fault.field), clean(fault.rule))
        for placed, refusal in refused
        for fault in refusal.error.faults
    )
    rows(console, ("REFUSED", "KEY", "FIELD", "RULE"), cells)


def _summary(handed: Handed) -> str:
    new = sum(ticket.new for _, ticket in handed.tickets)
    known = len(handed.tickets) - new
    counts = {"accepted": new, "known already": known, "refused": len(handed.refused)}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "accepted")
    return f"{told}. {handed.cut_short}; hand the same file in again" if handed.cut_short else told


def _ticket(placed: Placed, ticket: Ticket) -> dict[str, Any]:
    return {
        "at": placed.number,
        "order_id": ticket.order_id,
        "key": ticket.key,
        "state": ticket.state.value,
        "new": ticket.new,
    }


def _refusal(placed: Placed, refusal: Refusal) -> dict[str, Any]:
    faults = [{"field": fault.field, "rule": fault.rule} for fault in refusal.error.faults]
    return {"at": placed.number, "place": placed.place, "key": refusal.key, "faults": faults}
