"""A whole installation for tests to be rough with: engines, two workers, beat and a producer's receiver, supervised."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg

from number_orders.cli.stack import processes as shipped
from number_orders.embedded.engines import Engines
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Supervisor
from number_orders.ledger.migrate import migrate
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import environment, quick_carrier
from tests.acceptance.receiver import QUEUE
from tests.acceptance.stream import Told, Wish, wishes
from tests.acceptance.test_offers import three_carriers
from tests.invariants import broken_promises
from tests.processes import REPOSITORY

WORKERS: Final = ("worker1", "worker2")
BEAT: Final = "beat"
RECEIVER: Final = "receiver"
CLERK: Final = "number_orders_service"
"""The role that the service has at PostgreSQL: an ordinary one, for which limits hold (deploy/grants.sql)."""

_SETTINGS: Final = {"NUMBER_ORDERS_SWIFT__TAINT_WINDOW_S": "2", "NUMBER_ORDERS_SWIFT__TAINT_MARGIN_S": "0.5"}
_PRACTICE: Final = {
    "processing_s": [0.3, 2],
    "cm_review_s": [0.3, 1],
    "strange_s": 1,
    "taint_s": 2,
    "completed_word": "mixed",
    "completed_shape": "mixed",
    # Placing an order takes its time, so that whatever breaks finds some on their way.
    "latency_s": {"order_create": [0.05, 0.3]},
}
_CELERY: Final = (sys.executable, "-m", "celery", "-A")
_ALONE: Final = ("--without-gossip", "--without-mingle", "-l", "INFO")


@dataclass
class Installation:
    """What runs, and what was ordered so far."""

    engines: Engines
    carrier: SandboxControl
    supervisor: Supervisor
    log: Path
    told: Told
    orders: Iterator[Wish]
    """What to order next; every outage goes on where the one before has ended."""
    exits: Sequence[ProcessEvent]
    """Whatever ended, by itself or not."""
    disk: Path | None = None
    """The small disk on which the engines have their data, where one could be mounted."""

    def kill(self, *names: str) -> int:
        """SIGKILL for these processes and their children at once; return how many that were."""
        killed = 0
        for name in names:
            pid = self.supervisor.pid(name)
            assert pid is not None, f"{name} does not run"
            killed += 1 + len(psutil.Process(pid).children(recursive=True))
            os.killpg(pid, signal.SIGKILL)
        return killed

    def said(self) -> dict[str, str]:
        """Return everything that workers and beat have logged, by their names."""
        logs = {name: self.log / f"{name}.log" for name in (*WORKERS, BEAT)}
        return {name: log.read_text(errors="replace") for name, log in logs.items() if log.exists()}

    def sql(self, *statements: str) -> None:
        """Do something to PostgreSQL, as a superuser, whom no limit stops."""
        with psycopg.connect(self.engines.database_url, autocommit=True) as db:
            for statement in statements:
                db.execute(statement.encode())


@contextmanager
def small_disk(folder: Path, megabytes: int = 256) -> Iterator[Path | None]:
    """Mount a disk that can be filled; None where that is not ours to do."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "number-orders-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def installed(folder: Path, log: Path) -> Iterator[Installation]:
    """Set an installation up; when it is left, every promise must hold in its ledger."""
    with ExitStack() as stack:
        engines = stack.enter_context(Engines(folder / "var"))
        migrate(engines.database_url)
        clerk_url = hire_clerk(engines.database_url)
        carrier = stack.enter_context(quick_carrier())
        carrier.behave(**_PRACTICE)
        exits: list[ProcessEvent] = []
        supervisor = Supervisor(output=log, on_event=lambda event: _note_exit(event, exits))
        told = Told(log / "told.jsonl")
        ours = environment(clerk_url, engines.broker_url, carrier) | three_carriers() | _SETTINGS
        _start(stack.enter_context(supervisor), ours, {"BROKER_URL": engines.broker_url, "TOLD": str(told.file)})
        yield Installation(engines, carrier, supervisor, log, told, wishes(seed=20261122), exits)
        assert broken_promises(engines.database_url) == []


def _note_exit(event: ProcessEvent, exits: list[ProcessEvent]) -> None:
    if event.kind is ProcessEventKind.EXITED:
        exits.append(event)


def hire_clerk(url: str) -> str:
    """Give the service a role of its own, with what deploy/grants.sql grants and no more; return its address."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {CLERK} LOGIN PASSWORD '{CLERK}'".encode())
        db.execute((REPOSITORY / "deploy" / "grants.sql").read_bytes())
    return f"postgresql://{CLERK}:{CLERK}@{url.rpartition('@')[2]}"


def _start(supervisor: Supervisor, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    for name in WORKERS:
        worker = shipped.worker(name, children=4)
        supervisor.start(name, worker, env={**os.environ, **ours}, cwd=REPOSITORY)
    supervisor.start(BEAT, shipped.beat(), env={**os.environ, **ours}, cwd=REPOSITORY)
    receiver = [*_CELERY, "tests.acceptance.receiver", "worker", *_ALONE, "-P", "solo", "-Q", QUEUE]
    supervisor.start(RECEIVER, [*receiver, "-n", "receiver@%h"], env={**os.environ, **theirs}, cwd=REPOSITORY)
