"""Serves the practice carriers from the command line, and says how to point number-orders at them."""

from pathlib import Path

import typer

from config.settings import PREFIX
from sandbox.__main__ import main as serve
from sandbox.bandwidth_access import Account


def serve_practice(host: str, port: int, *, ready_file: Path | None, behaviour: str, account: str, stock: str) -> int:
    """Serve until stopped; 2 when an option cannot be read."""
    given = {"behaviour": behaviour, "account": account, "stock": stock}
    arguments = ["--host", host, "--port", str(port), *(f"--{name}={value}" for name, value in given.items())]
    if ready_file is not None:
        arguments.append(f"--ready-file={ready_file}")
    typer.echo(_directions(), err=True)
    return serve(arguments)


def _directions() -> str:
    """Name the variables; the values are those of the practice account, which docs/sandbox.md publishes."""
    account = Account()
    client_id, client_secret = account.client
    settings = {
        "BASE_URL": "(the address that follows)",
        "ACCOUNT_ID": account.account_id,
        "SITE_ID": next(iter(account.sites)),
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": client_secret,
    }
    lines = [f"  {PREFIX}BANDWIDTH__{name}={value}" for name, value in settings.items()]
    return "\n".join(("Point number-orders at the practice carrier with:", *lines))
