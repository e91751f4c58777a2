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
from number_orders.embedded.ports import LOOPBACK, PORTS, is_free

_PORTS_TRIED: Final = 50


def worker(name: str, *, children: int) -> list[str]:
    """Return the command line of a worker, without gossip and mingle: workers need not know each other."""
    arguments = ("--without-gossip", "--without-mingle", "-c", str(children), "-n", f"{name}@%h")
    return _celery("worker", *arguments)


def beat() -> list[str]:
    """Return the command line of beat."""
    return _celery("beat")


def flower(port: int, *, conf: Path | None) -> list[str]:
    """Return the command line of Flower: on loopback and read-only, because only the ledger's commands may act."""
    arguments = [f"--address={LOOPBACK}", f"--port={port}", "--read_only=True"]
    return _celery("flower", *arguments, *([f"--conf={conf}"] if conf else []))


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


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "workers.celery_app", *arguments]
