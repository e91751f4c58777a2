"""The command line: `number-orders`. Which commands there are, and how each ends.

Each topic's `commands` module declares what its commands take; what they do is in the modules beside it.
"""

import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Final

import typer

from number_orders.cli.exits import Code, ending
from number_orders.cli.market import commands as inquiries
from number_orders.cli.market import reservation_commands
from number_orders.cli.operations import commands as house
from number_orders.cli.orders import commands as orders

_ENDS: Final = """Exit codes: 0 done; 1 the answer is no; 2 usage, or an unreadable file; 3 no such order; 4 nothing \
runs here, or ledger, broker or settings cannot be used; 5 the time is over; 6 parked for a person; 70 a bug; \
130 interrupted."""

_PANELS: Final[Mapping[str, Mapping[str, Callable[..., None]]]] = {
    "Orders": {
        "submit": orders.submit,
        "show": orders.show,
        "explain": orders.explain,
        "list": orders.list_,
        "wait": orders.wait,
        "cancel": orders.cancel,
        "parked": orders.parked,
        "resolve": orders.resolve,
        "park": orders.park,
        "retry": orders.retry,
    },
    "Asking carriers": {
        "carriers": inquiries.carriers,
        "search": inquiries.search,
        "coverage": inquiries.coverage,
        "restrictions": inquiries.restrictions,
        "number": inquiries.number,
        "numbers": inquiries.numbers,
        "reserve": reservation_commands.reserve,
        "reservations": reservation_commands.reservations,
        "unreserve": reservation_commands.unreserve,
    },
    "Running it": {
        "up": house.up,
        "demo": house.demo,
        "sandbox": house.sandbox,
        "simulate": house.simulate,
        "migrate": house.migrate,
    },
    "Looking after it": {
        "doctor": house.doctor,
        "pause": house.pause,
        "resume": house.resume,
        "alarms": house.alarms,
        "letters": house.letters,
        "version": house.version,
    },
}

app = typer.Typer(
    name="number-orders",
    help="Phone-number orders, placed with carriers and followed to their true end.",
    epilog=_ENDS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Its tracebacks show local variables, and those may hold secrets.
    pretty_exceptions_enable=False,
)
for panel, commands in _PANELS.items():
    for name, command in commands.items():
        context_settings = house.ELSEWHERE if name in {"up", "demo"} else None
        app.command(name, rich_help_panel=panel, context_settings=context_settings)(ending(command))


def main() -> None:
    """Run the command that was typed. What nobody foresaw is a bug, and its exit code says so."""
    try:
        app()
    except Exception:  # noqa: BLE001  the last place before Python would end with the code of a mere "no"
        traceback.print_exc()
        sys.exit(Code.BUG)
