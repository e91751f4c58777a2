"""Serves the practice carriers from the command line, and says how to point number-orders at them."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Final

import typer

from config.settings import PREFIX
from number_orders.cli.stack.environment import spelled
from number_orders.cli.stack.sandbox_accounts import practised
from number_orders.sandbox.__main__ import main as serve

_ADDRESS: Final = "(the address that follows)"


def serve_practice(
    host: str, port: int, *, ready_file: Path | None, memory: Path | None, values: Mapping[str, str]
) -> int:
    """Serve until stopped; 2 when an option cannot be read. `values` are options that take JSON, by their names."""
    files = {"ready-file": ready_file, "memory": memory}
    given = {name: str(path) for name, path in files.items() if path is not None} | dict(values)
    arguments = ["--host", host, "--port", str(port), *(f"--{name}={value}" for name, value in given.items())]
    typer.echo(_directions(), err=True)
    return serve(arguments)


def _directions() -> str:
    """Name the variables that point number-orders at it."""
    lines = [
        f"  {PREFIX}{carrier.upper()}__{name.upper()}={_ADDRESS if value == _ADDRESS else quote(spelled(value))}"
        for carrier, own in practised(_ADDRESS).items()
        for name, value in own.items()
    ]
    return "\n".join(("Point number-orders at the practice carriers with:", *lines))
