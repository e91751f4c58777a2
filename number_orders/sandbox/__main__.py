"""Command line of the sandbox: `python -m number_orders.sandbox --help`."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import serve, write_ready_file
from number_orders.sandbox.swift.access import SwiftAccount

_HELP = {
    "behaviour": "how the carriers behave",
    "account": "ids and credentials at Bandwidth",
    "swift": "ids and credentials at Swift",
    "cm": "ids and credentials at CM.com",
    "stock": "how many numbers are for sale",
}
_READERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "behaviour": read_behaviour,
    "account": TypeAdapter(Account).validate_python,
    "swift": TypeAdapter(SwiftAccount).validate_python,
    "cm": TypeAdapter(CmAccount).validate_python,
    "stock": TypeAdapter(StockPlan).validate_python,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped. Return 2 when an option cannot be read."""
    given = options().parse_args(arguments)
    values = {}
    for name, read in _READERS.items():
        try:
            values[name] = read(_json(getattr(given, name)))
        except (OSError, ValidationError) as fault:
            sys.stderr.write(f"sandbox: --{name} cannot be read, so nothing was started: {_reasons(fault)}\n")
            return 2

    def announce(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        if given.ready_file is not None:
            write_ready_file(given.ready_file, url)

    serve(given.host, given.port, memory=given.memory, on_ready=announce, **values)
    return 0


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="sandbox", description="Serve sandbox carriers on loopback until stopped.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--ready-file", type=Path, help="file to write the URL to once it is served")
    parser.add_argument("--memory", type=Path, help="file that keeps orders for a restarted sandbox")
    for name, what in _HELP.items():
        parser.add_argument(f"--{name}", default="{}", help=f"{what}: JSON, or @FILE with JSON")
    return parser


def _json(given: str) -> Mapping[str, Any]:
    text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    return TypeAdapter(dict[str, Any]).validate_json(text)


def _reasons(fault: OSError | ValidationError) -> str:
    if isinstance(fault, OSError):
        return str(fault)
    errors = fault.errors(include_url=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in errors)


if __name__ == "__main__":
    sys.exit(main())
