"""The command lines of the processes that make up the system, and the names and ports they go by.

No secret stands on a command line: those are everybody's to read.
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
    """Return what runs a worker; without gossip and mingling, since workers have nothing to say to each other."""
    told = ("--without-gossip", "--without-mingle", "-c", str(children), "-n", f"{name}@%h")
    return _celery("worker", *told)


def beat() -> list[str]:
    """Return what runs beat."""
    return _celery("beat")


def flower(port: int, *, conf: Path | None) -> list[str]:
    """Return what runs Flower: on loopback, and for looking only, since acting is the ledger's business."""
    told = [f"--address={LOOPBACK}", f"--port={port}", "--read_only=True"]
    return _celery("flower", *told, *([f"--conf={conf}"] if conf else []))


def sandbox(port: int, behaviour: Mapping[str, Any], memory: Path) -> list[str]:
    """Return what runs the practice carriers. They remember, or the ledger would know orders that they do not."""
    told = ("--port", str(port), "--behaviour", json.dumps(dict(behaviour)), "--memory", str(memory))
    return [sys.executable, "-m", "number_orders.sandbox", *told]


def node(name: str) -> str:
    """Return a worker's full name, as it answers to it over the broker."""
    return str(nodename(name, gethostname()))


def free_port(*wished: int | None) -> int:
    """Return the first of the wished ports that is free on loopback, or else any."""
    chances: Sequence[int | None] = (*wished, *(secrets.choice(PORTS) for _ in range(_PORTS_TRIED)))
    for port in chances:
        if port and is_free(port):
            return port
    raise CouldNotStart("a server", "no free port was found on loopback.")


def _celery(*told: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "workers.celery_app", *told]
