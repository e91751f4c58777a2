"""Builds the command lines, node names and ports of the processes.

A command line holds no secret, because every user of the machine can read it.
"""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from celery.utils.nodenames import gethostname, nodename

from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.ports import PORTS, is_free

_PORTS_TRIED: Final = 50


def worker(name: str, *, children: int | None = None) -> list[str]:
    """Return the command line of a worker. Without `children` it has as many as its settings say."""
    own = () if children is None else ("--children", str(children))
    return [sys.executable, "-m", "workers", "worker", "--name", name, *own]


def beat() -> list[str]:
    """Return the command line of beat."""
    return [sys.executable, "-m", "workers", "beat"]


def flower() -> list[str]:
    """Return the command line of Flower, whose address and password are settings."""
    return [sys.executable, "-m", "number_orders.cli", "flower"]


def receiver() -> list[str]:
    """Return the command line of the receiver, whose address is a setting."""
    return [sys.executable, "-m", "number_orders.cli", "receiver"]


def sandbox(port: int, behaviour: Mapping[str, Any], memory: Path) -> list[str]:
    """Return the command line of the sandbox. Its memory file must outlive it, as the ledger remembers its orders."""
    arguments = ("--port", str(port), "--behaviour", json.dumps(dict(behaviour)), "--memory", str(memory))
    return [sys.executable, "-m", "number_orders.sandbox", *arguments]


def node(name: str) -> str:
    """Return the node name under which a worker answers over the broker."""
    return str(nodename(name, gethostname()))


def free_port(*preferred: int | None) -> int:
    """Return the first preferred port that is free on loopback, else any free one."""
    chances: Sequence[int | None] = (*preferred, *(secrets.choice(PORTS) for _ in range(_PORTS_TRIED)))
    for port in chances:
        if port and is_free(port):
            return port
    raise CouldNotStart("a server", "no free port was found on loopback.")
