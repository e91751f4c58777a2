"""Starts the sandbox from a command line: `python -m number_orders.sandbox --help`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from number_orders.sandbox.bandwidth.access import read_account
from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import serve, write_ready_file
from number_orders.sandbox.swift.access import SwiftAccount

_VALUES = {
    "behaviour": "how the carriers behave",
    "account": "ids and credentials at Bandwidth",
    "swift": "ids and credentials at Swift",
    "cm": "ids and credentials at CM.com",
    "stock": "the stock",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; 2 when an option cannot be read."""
    given = _options().parse_args(arguments)
    try:
        behaviour = read_behaviour(_json(given.behaviour))
        account = read_account(_json(given.account))
        swift = TypeAdapter(SwiftAccount).validate_python(_json(given.swift))
        cm = TypeAdapter(CmAccount).validate_python(_json(given.cm))
        stock = TypeAdapter(StockPlan).validate_python(_json(given.stock))
    except (OSError, ValidationError) as fault:
        sys.stderr.write(f"sandbox: {fault}\n")
        return 2

    def announce(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        if given.ready_file is not None:
            write_ready_file(given.ready_file, url)

    serve(
        given.host,
        given.port,
        behaviour=behaviour,
        account=account,
        swift=swift,
        cm=cm,
        stock=stock,
        memory=given.memory,
        on_ready=announce,
    )
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="Practice carriers on loopback.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="where to write the URL once it is served")
    parser.add_argument("--memory", type=Path, help="where to keep orders, and to find those of an earlier sandbox")
    for name, what in _VALUES.items():
        parser.add_argument(f"--{name}", default="{}", help=f"{what}: JSON, or @FILE with JSON")
    return parser


def _json(given: str) -> Mapping[str, Any]:
    text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    return TypeAdapter(dict[str, Any]).validate_json(text)


if __name__ == "__main__":
    sys.exit(main())
