"""Waits until every started process is ready, and says what is missing if one is not.

Ready means that the process does its work: a worker answers, a worker has received beat's sweep, Flower serves a page.
Knows nothing of how the processes are started.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from number_orders.cli.exits import ExitCode, Stop
from workers.listening import address_in

_LOOK_EVERY_S: Final = 0.1
_REPLY_WITHIN_S: Final = 0.7
_PAGE_WITHIN_S: Final = 2.0
_EXITS_MAX: Final = 2
"""A process that exited this often before it was ready is given up."""
_BROKER_TROUBLE: Final = (OperationalError, redis.RedisError, OSError)


class StackError(Stop):
    """The system cannot be started; the message says why."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(ExitCode.OUT_OF_REACH, message, hint=hint)


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    """How to see that a process is ready."""

    process: str
    what: str
    """Completes the sentence "worker1 …"."""
    is_ready: Callable[[], bool]
    within_s: float


def await_ready(checks: Sequence[ReadyCheck], *, exits: Callable[[str], int], last_lines: Callable[[str], str]) -> None:
    """Return when every check has passed once.

    Args:
        checks: The checks to wait for, all at once.
        exits: Returns how often a process has exited since it was started.
        last_lines: Returns the last lines of a process's output.

    Raises:
        StackError: A check has not passed in its time, or its process keeps exiting.
    """
    began = time.monotonic()
    missing = list(checks)
    while missing := [check for check in missing if not check.is_ready()]:
        waited_s = time.monotonic() - began
        for check in missing:
            if exits(check.process) >= _EXITS_MAX or waited_s > check.within_s:
                raise StackError(_failure_message(check, waited_s, exits(check.process), last_lines(check.process)))
        time.sleep(_LOOK_EVERY_S)


class WorkerAnswers:
    """What the workers answer over the broker."""

    def __init__(self, app: Celery, nodes: Sequence[str]) -> None:
        """Ask only these nodes, such as `worker1@host`, through the broker of `app`."""
        self._app = app
        self._nodes = list(nodes)
        self._answers: dict[str, Mapping[str, Any]] = {}

    def answers(self, node: str) -> bool:
        """Tell whether this worker answers."""
        if node not in self._answers:
            self._ask()
        return node in self._answers

    def beat_is_heard(self) -> bool:
        """Tell whether any worker has received a sweep from beat."""
        self._ask()
        return any(answer.get("total", {}).get("orders.sweep") for answer in self._answers.values())

    def _ask(self) -> None:
        asking = self._app.control.inspect(destination=self._nodes, timeout=_REPLY_WITHIN_S, limit=len(self._nodes))
        try:
            self._answers.update(asking.stats() or {})
        except _BROKER_TROUBLE:
            self._answers = {}  # the next check asks again


def serves(url: str) -> bool:
    """Tell whether the page is served; one that asks for a password counts."""
    try:
        with urllib.request.urlopen(url, timeout=_PAGE_WITHIN_S):  # noqa: S310  our own http:// on loopback
            return True
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code == 401  # noqa: PLR2004  Unauthorized
    except OSError:
        return False


def serves_at(address_file: Path, path: str) -> bool:
    """Tell whether a process has written its address, and serves this page there."""
    address = address_in(address_file)
    return address is not None and serves(f"{address}{path}")


def _failure_message(check: ReadyCheck, waited_s: float, exits: int, last_lines: str) -> str:
    how = f"it exited {exits} times" if exits else f"not within {waited_s:.0f} s"
    output = f" Its last lines:\n{last_lines}" if last_lines else " It printed nothing."
    return f"{check.process} did not come up ({check.process} {check.what}: {how}).{output}"
