"""Tells whether what was started is up: looks for signs of life until all are there, or says what is missing.

A sign is the thing itself doing its work: a worker that answers, a tick of beat that a worker has heard, a page
that Flower serves. Knows nothing of how the processes are started.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from config.queues import TRANSPORT
from number_orders.cli.exits import Code, Stop

_LOOK_EVERY_S: Final = 0.1
_REPLY_WITHIN_S: Final = 0.7
_PAGE_WITHIN_S: Final = 2.0
_EXITS_MAX: Final = 2
"""A process that has exited this often before it was ready will not be cured by waiting."""
_BROKER_TROUBLE: Final = (OperationalError, redis.RedisError, OSError)


class StackError(Stop):
    """The system cannot be started; the message says why, in words for a person."""

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(Code.OUT_OF_REACH, message, mend=mend)


@dataclass(frozen=True, slots=True)
class Sign:
    """What shows that a process is up."""

    process: str
    what: str
    """In words, to finish the sentence "worker1 …"."""
    shown: Callable[[], bool]
    within_s: float


def await_signs(signs: Sequence[Sign], *, exits: Callable[[str], int], last_words: Callable[[str], str]) -> None:
    """Return when every sign was seen once.

    Args:
        signs: What to wait for, all at once.
        exits: How often a process has exited since it was started.
        last_words: The last lines that a process said.

    Raises:
        StackError: one did not show in its time, or its process keeps exiting.
    """
    began = time.monotonic()
    missing = list(signs)
    while missing := [sign for sign in missing if not sign.shown()]:
        waited_s = time.monotonic() - began
        for sign in missing:
            if exits(sign.process) >= _EXITS_MAX or waited_s > sign.within_s:
                raise StackError(_obituary(sign, waited_s, exits(sign.process), last_words(sign.process)))
        time.sleep(_LOOK_EVERY_S)


class Fleet:
    """The workers as they answer for themselves over the broker."""

    def __init__(self, broker_url: str, nodes: Sequence[str]) -> None:
        """`nodes` are their full names, such as `worker1@host`."""
        self._app = Celery(broker=broker_url, set_as_current=False)
        self._app.conf.broker_transport_options = TRANSPORT
        self._nodes = list(nodes)
        self._answers: dict[str, Mapping[str, Any]] = {}

    def answers(self, node: str) -> bool:
        """Tell whether this worker answers."""
        if node not in self._answers:
            self._ask()
        return node in self._answers

    def has_swept(self) -> bool:
        """Tell whether a tick of beat was heard by any worker."""
        self._ask()
        return any(answer.get("total", {}).get("orders.sweep") for answer in self._answers.values())

    def _ask(self) -> None:
        asking = self._app.control.inspect(destination=self._nodes, timeout=_REPLY_WITHIN_S, limit=len(self._nodes))
        try:
            self._answers.update(asking.stats() or {})
        except _BROKER_TROUBLE:
            self._answers = {}  # asked again until the deadline


def serves(url: str) -> bool:
    """Tell whether a page is served; also one that wants a password is."""
    try:
        with urllib.request.urlopen(url, timeout=_PAGE_WITHIN_S):  # noqa: S310  our own http:// on loopback
            return True
    except urllib.error.HTTPError as answer:
        return answer.code == 401  # noqa: PLR2004  Unauthorized
    except OSError:
        return False


def _obituary(sign: Sign, waited_s: float, exits: int, words: str) -> str:
    how = f"it exited {exits} times" if exits else f"not within {waited_s:.0f} s"
    said = f" Its last words:\n{words}" if words else " It said nothing."
    return f"{sign.process} did not come up ({sign.process} {sign.what}: {how}).{said}"
