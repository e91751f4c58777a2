"""The command `sandbox`: serves the sandbox carriers, and prints the settings that point number-orders at them."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Final

import typer

from config.settings import PREFIX
from number_orders.cli.stack.environment import spelled
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.sandbox.__main__ import main as serve

_ADDRESS: Final = "(the address that follows)"


def serve_sandbox(
    host: str, port: int, *, ready_file: Path | None, memory: Path | None, values: Mapping[str, str]
) -> int:
    """Serve until stopped; return 2 if an option cannot be read. `values` are the options that take JSON, by name."""
    files = {"ready-file": ready_file, "memory": memory}
    given = {name: str(path) for name, path in files.items() if path is not None} | dict(values)
    arguments = ["--host", host, "--port", str(port), *(f"--{name}={value}" for name, value in given.items())]
    typer.echo(_directions(), err=True)
    return serve(arguments)


def _directions() -> str:
    """Return the variables that point number-orders at the sandbox."""
    lines = [
        f"  {PREFIX}{carrier.upper()}__{name.upper()}={_ADDRESS if value == _ADDRESS else quote(spelled(value))}"
        for carrier, own in sandbox_settings(_ADDRESS).items()
        for name, value in own.items()
    ]
    return "\n".join(("These variables point number-orders at the sandbox carriers:", *lines))
