"""Empties the demo's directory, provided that an earlier demo made it and none runs in it now."""

import shutil
from pathlib import Path
from typing import Final

from number_orders.cli.stack.readiness import StackError
from number_orders.embedded.lock import data_lock

_OURS: Final = ".number-orders-demo"
_ENGINES: Final = {"PostgreSQL": "postgres", "Valkey": "valkey"}


def fresh(directory: Path) -> Path:
    """Return the directory, empty except for our mark. Waits for engines that a killed demo left running.

    Raises:
        StackError: It was not made by a demo.
        number_orders.embedded.errors.AlreadyRunning: A demo runs in it.
    """
    mark = directory / _OURS
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise StackError(
            f"{directory} was not made by a demonstration, so the demo does not empty it", hint="move it away"
        )
    for what, name in _ENGINES.items():
        if (directory / name).is_dir():
            with data_lock(what, directory / name / "lock"):
                shutil.rmtree(directory / name)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    mark.touch(mode=0o600)
    return directory
