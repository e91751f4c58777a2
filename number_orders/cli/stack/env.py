"""The command `env`: prints the variables that let a shell and its programs use the running stack.

Prints the addresses and the var directory, but not the carriers' settings: commands find those in the running stack's
note under the var directory.
"""

import sys
from shlex import quote

from config.settings import PREFIX
from number_orders.cli.discovery import find_stack
from number_orders.cli.exits import print_error
from number_orders.cli.stack.environment import spelled


def stack_variables() -> dict[str, str]:
    """Return the variables, passwords included.

    Raises:
        Stop: Nothing runs here, or the settings cannot be read.
    """
    found = find_stack()
    values = {
        "DATABASE_URL": found.settings.database_url,
        "BROKER_URL": found.settings.broker_url,
        "RESULT_URL": found.settings.result_url,
        # Without them, the addresses of sentinels are refused.
        "SENTINEL_MASTER": found.settings.sentinel_master,
        "SENTINEL_KWARGS": found.settings.sentinel_kwargs,
        "URL": found.receiver,
        "VAR_DIR": found.var_dir,
    }
    return {f"{PREFIX}{name}": spelled(value) for name, value in values.items() if value is not None}


def print_exports(variables: dict[str, str]) -> None:
    """Print one `export` line for each variable, for `eval` in a POSIX shell."""
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={quote(value)}\n")
    if f"{PREFIX}BROKER_URL" not in variables:
        print_error(
            "no broker is set, so producers cannot send orders",
            f"set {PREFIX}BROKER_URL; `number-orders submit` works without it",
        )
