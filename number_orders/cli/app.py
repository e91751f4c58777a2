"""The command line `number-orders`: lists the commands, and turns errors into exit codes.

Each topic's `commands` module declares arguments and options; the modules beside it do the work.
"""

import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Final

import typer

from number_orders.cli.exits import ExitCode, with_exit_code
from number_orders.cli.market import commands as market
from number_orders.cli.market import reservation_commands as reservations
from number_orders.cli.operations import commands as operations
from number_orders.cli.orders import commands as orders
from number_orders.cli.producers import commands as producers

_EXIT_CODES: Final = """Exit codes: 0 done; 1 the answer is no; 2 usage, or an unreadable file; 3 no such order; \
4 nothing runs here, or ledger, broker or settings cannot be used; 5 `wait`: timeout; 6 `wait`: an order is parked; \
70 a bug; 130 interrupted."""

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
        "carriers": market.carriers,
        "search": market.search,
        "coverage": market.coverage,
        "restrictions": market.restrictions,
        "number": market.number,
        "numbers": market.numbers,
        "reserve": reservations.reserve,
        "reservations": reservations.reservations,
        "unreserve": reservations.unreserve,
    },
    "Running it": {
        "up": operations.up,
        "env": operations.env,
        "demo": operations.demo,
        "receiver": operations.receiver,
        "flower": operations.flower,
        "sandbox": operations.sandbox,
        "simulate": operations.simulate,
        "migrate": operations.migrate,
        "take-broker": operations.take_broker,
    },
    "Looking after it": {
        "status": operations.status,
        "doctor": operations.doctor,
        "reconcile": operations.reconcile,
        "archive": operations.archive,
        "subscriptions": operations.subscriptions,
        "pause": operations.pause,
        "resume": operations.resume,
        "guard": operations.guard,
        "webhook-secrets": operations.webhook_secrets,
        "alarms": operations.alarms,
        "letters": operations.letters,
        "version": operations.version,
    },
}

app = typer.Typer(
    name="number-orders",
    help="Order phone numbers from carriers, and follow every order to its true end.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Typer's tracebacks show local variables, which may hold secrets.
    pretty_exceptions_enable=False,
)
for panel, commands in _PANELS.items():
    for name, command in commands.items():
        context_settings = operations.PASS_OPTIONS_ON if name in {"up", "demo"} else None
        app.command(name, rich_help_panel=panel, context_settings=context_settings)(with_exit_code(command))


producers_app = typer.Typer(
    help="Add producers and operators, make and revoke their tokens, and limit what they may order.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, command in producers.COMMANDS.items():
    producers_app.command(name)(with_exit_code(command))
app.add_typer(producers_app, name="producers", rich_help_panel="Looking after it")


def main() -> None:
    """Run the command. An unexpected error is a bug, and ends with its own exit code."""
    try:
        app()
    except Exception:  # noqa: BLE001  the last place before Python would end with the code of a mere "no"
        traceback.print_exc()
        sys.exit(ExitCode.BUG)
