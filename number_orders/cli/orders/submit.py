"""Submits orders directly to the ledger, in groups, and prints what became of each.

Needs no broker. One statement accepts a whole group. If the ledger goes away between two groups, the same file can be
submitted again: a known key is the same order.
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
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.orders.order_files import FileEntry, Unreadable, read_orders
from number_orders.cli.output import aside, clean, rows, screen, state, write_json
from number_orders.cli.services import open_services
from number_orders.fulfilment.intake import Refusal, Ticket
from number_orders.orders.errors import LedgerUnavailable
from number_orders_client.contract import ORDERS_MAX

_SHOWN: Final = 20
_STDIN: Final = "-"


@dataclass(slots=True)
class Submitted:
    """What became of the orders of one file."""

    tickets: list[tuple[FileEntry, Ticket]] = field(default_factory=list)
    refused: list[tuple[FileEntry, Refusal]] = field(default_factory=list)
    cut_short: str | None = None
    """Why the rest was not submitted."""

    def add(self, entry: FileEntry, outcome: Ticket | Refusal) -> None:
        """Record one outcome."""
        if isinstance(outcome, Ticket):
            self.tickets.append((entry, outcome))
        else:
            self.refused.append((entry, outcome))


def read_file(name: str) -> list[FileEntry]:
    """Return the orders in a file, or on standard input if `name` is `-`.

    Raises:
        Stop: It cannot be read; nothing was submitted.
    """
    try:
        raw = sys.stdin.buffer.read() if name == _STDIN else Path(name).read_bytes()
        return read_orders(raw)
    except OSError as trouble:
        raise Stop(ExitCode.USAGE, f"{name}: {trouble.strerror or trouble}") from trouble
    except Unreadable as wrong:
        where = "standard input" if name == _STDIN else name
        raise Stop(ExitCode.USAGE, f"{where}: {clean(wrong)}", hint="nothing was submitted") from wrong


async def submit_orders(settings: Settings, orders: Sequence[FileEntry], *, producer: str) -> Submitted:
    """Submit the orders, at most `ORDERS_MAX` at a time."""
    submitted = Submitted()
    async with open_services(settings) as services:
        waiting = iter(orders)
        while group := list(islice(waiting, ORDERS_MAX)):
            try:
                outcomes = await services.intake.submit_many([entry.order for entry in group], producer=producer)
            except LedgerUnavailable as away:
                submitted.cut_short = f"nothing from {group[0].place} on is known to be stored: {away}"
                break
            for entry, outcome in zip(group, outcomes, strict=True):
                submitted.add(entry, outcome)
    return submitted


def show_submitted(submitted: Submitted, *, whole: bool) -> None:
    """Print the tickets, and the refused orders with their reasons."""
    console = screen()
    _show_tickets(console, submitted.tickets, folded=console.is_terminal and not whole)
    if submitted.refused:
        console.print()
        _show_refused(console, submitted.refused)
    aside().print(_summary(submitted))


def write_submitted(submitted: Submitted) -> None:
    """Print the same as JSON."""
    write_json(
        {
            "tickets": [_ticket(entry, ticket) for entry, ticket in submitted.tickets],
            "refused": [_refusal(entry, refusal) for entry, refusal in submitted.refused],
            "cut_short": submitted.cut_short,
        }
    )


def exit_code(submitted: Submitted) -> ExitCode:
    """Return the exit code."""
    if submitted.cut_short:
        return ExitCode.OUT_OF_REACH
    return ExitCode.NO if submitted.refused else ExitCode.DONE


def _show_tickets(console: Console, tickets: Sequence[tuple[FileEntry, Ticket]], *, folded: bool) -> None:
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


def _show_refused(console: Console, refused: Sequence[tuple[FileEntry, Refusal]]) -> None:
    cells = (
        (Text(entry.place, "red"), clean(refusal.key), clean(fault.field), clean(fault.rule))
        for entry, refusal in refused
        for fault in refusal.error.faults
    )
    rows(console, ("REFUSED", "KEY", "FIELD", "RULE"), cells)


def _summary(submitted: Submitted) -> str:
    new = sum(ticket.new for _, ticket in submitted.tickets)
    known = len(submitted.tickets) - new
    counts = {"accepted": new, "known already": known, "refused": len(submitted.refused)}
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "accepted")
    return f"{summary}. {submitted.cut_short}; submit the same file again" if submitted.cut_short else summary


def _ticket(entry: FileEntry, ticket: Ticket) -> dict[str, Any]:
    return {
        "at": entry.number,
        "order_id": ticket.order_id,
        "key": ticket.key,
        "state": ticket.state.value,
        "new": ticket.new,
    }


def _refusal(entry: FileEntry, refusal: Refusal) -> dict[str, Any]:
    faults = [{"field": fault.field, "rule": fault.rule} for fault in refusal.error.faults]
    return {"at": entry.number, "place": entry.place, "key": refusal.key, "faults": faults}
