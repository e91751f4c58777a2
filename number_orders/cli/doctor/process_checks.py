"""Checks that ask workers and beat: who answers, by which clock, whether the ledger takes their writes, and who sweeps.

Other applications on the same broker answer such questions too; only nodes that take our queues are asked about us.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from config.queues import INTAKE, SWEEP, SWEEP_EVERY_S
from config.settings import PREFIX, Settings
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.cli.output import clean, scrubbed
from workers.health import HEALTH_COMMAND
from workers.senders import make_sender

_ANSWER_WITHIN_S: Final = 1.0
_HEALTH_WITHIN_S: Final = 8.0
"""A worker tries a write first, which takes some six seconds where PostgreSQL does not answer."""
_CONNECT_S: Final = 3
_TICKS: Final = 2
_SWEEP_TASK: Final = "orders.sweep"
_BEAT_NODE: Final = "celerybeat@"
_CLOCK_S: Final = 1.0
"""Clocks that differ by more than this are worth a look."""


@dataclass(frozen=True, slots=True)
class Health:
    """What one process answered."""

    node: str
    ledger_fault: str | None
    ahead_s: float | None
    """How far its clock is ahead of PostgreSQL's; None if PostgreSQL's is not known."""


class LedgerTime:
    """PostgreSQL's time, read once and carried on by this machine's monotonic clock."""

    def __init__(self, url: str | None) -> None:
        self._offset_s: float | None = None
        if url:
            try:
                with psycopg.connect(url, connect_timeout=_CONNECT_S, autocommit=True) as connection:
                    connection.execute("SELECT 1")  # so that the next answer takes one round trip and nothing else
                    before = time.monotonic()
                    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            except psycopg.Error:
                return
            self._offset_s = now.timestamp() - (before + time.monotonic()) / 2

    def ahead_s(self, clock_s: float) -> float | None:
        """Return how far a clock that shows this now is ahead of PostgreSQL's."""
        return None if self._offset_s is None else clock_s - time.monotonic() - self._offset_s


class ProcessPoll:
    """Asks workers and beat over the broker; the second time shows whether workers have swept since the first."""

    def __init__(self, settings: Settings) -> None:
        self._app: Celery = make_sender(settings)
        self._url = settings.database_url.get_secret_value() if settings.database_url else None
        self._workers: list[str] = []
        self._first: Mapping[str, Any] = {}
        self._health: list[Health] = []
        self._called_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._app.close()

    def check_workers(self) -> Iterator[Check]:
        """Check that a worker answers, and that the ledger takes the writes of each."""
        try:
            self._poll()
        except (OperationalError, redis.RedisError, OSError) as trouble:
            remedy = "see the lines above about the broker and its keys"
            yield Check("workers", Verdict.WRONG, f"the broker passes no questions on: {clean(trouble)}", remedy)
            return
        if not self._first:
            remedy = "start `number-orders up`, or the worker of the Procfile, on the same broker"
            yield Check("workers", Verdict.WRONG, f"none answered within {_ANSWER_WITHIN_S:g} s", remedy)
            return
        children = sum(_children(answer) for answer in self._first.values())
        names = ", ".join(sorted(map(clean, self._first)))
        yield Check("workers", Verdict.GOOD, f"{len(self._first)} with {children} children: {names}")
        for health in self._held_up:
            fault = scrubbed(health.ledger_fault or "", self._url or "")
            remedy = f"see {PREFIX}DATABASE_URL there, and the way from there to PostgreSQL"
            yield Check("workers", Verdict.WRONG, f"{clean(health.node)} cannot use the ledger: {fault}", remedy)

    def _poll(self) -> None:
        nodes = sorted(self._app.control.inspect(timeout=_ANSWER_WITHIN_S).ping() or {})
        beats = [node for node in nodes if node.startswith(_BEAT_NODE)]
        self._workers = self._ours([node for node in nodes if node not in beats])
        self._first, self._called_at = self._stats(), time.monotonic()
        clock = LedgerTime(self._url)
        self._health = [*self._ask(self._workers, clock), *self._ask(beats, clock)]

    def check_clocks(self) -> Check:
        """Compare the clocks of this host, of workers and of beat with PostgreSQL's. Call `check_workers` first."""
        here = LedgerTime(self._url).ahead_s(time.time())
        if here is None:
            return Check("clocks", Verdict.SKIPPED, "not compared, because PostgreSQL does not answer")
        ahead = {"this host": here} | {clean(health.node): health.ahead_s or 0.0 for health in self._health}
        says = f"to PostgreSQL's: {', '.join(f'{name} {seconds:+.1f} s' for name, seconds in ahead.items())}"
        if all(abs(seconds) <= _CLOCK_S for seconds in ahead.values()):
            return Check("clocks", Verdict.GOOD, says)
        remedy = (
            "set the clocks there by NTP. Orders go by PostgreSQL's clock and wait for nothing; logs, Flower, and"
            " dates in carriers' answers go by these"
        )
        return Check("clocks", Verdict.LOOK, says, remedy)

    def check_beat(self, *, ledger_is_wrong: bool) -> Check:
        """Check that workers have swept since `check_workers`; if not, name what keeps them from it."""
        if not self._first:
            return Check("beat", Verdict.SKIPPED, "not checked, because only a worker knows whether beat sweeps")
        time.sleep(max(0.0, self._called_at + (_TICKS + 0.5) * SWEEP_EVERY_S - _ANSWER_WITHIN_S - time.monotonic()))
        swept = _sweeps(self._stats()) - _sweeps(self._first)
        if ledger_is_wrong or self._held_up:
            return Check("beat", Verdict.SKIPPED, "not judged: the ledger holds the workers up, so they may not sweep")
        if swept > 0:
            return Check("beat", Verdict.GOOD, "ticks: workers sweep")
        waited = f"no sweep in {time.monotonic() - self._called_at:.0f} s"
        beats = [clean(health.node) for health in self._health if health.node.startswith(_BEAT_NODE)]
        if beats:
            remedy = (
                f"see whether any worker takes the queue {SWEEP} (-Q), whether all children are busy"
                " (`celery -A workers.celery_app inspect active`), and the logs for `tick_lost`"
            )
            return Check("beat", Verdict.WRONG, f"{waited}, although {', '.join(beats)} runs", remedy)
        remedy = "start beat (`python -m workers beat`): without it, work that falls due is not found"
        return Check("beat", Verdict.WRONG, f"{waited}, and no beat answers", remedy)

    @property
    def _held_up(self) -> list[Health]:
        return [health for health in self._health if health.ledger_fault]

    def _ours(self, nodes: list[str]) -> list[str]:
        """Return the workers that take our queues: another application's workers may be on the same broker."""
        if not nodes:
            return []
        inspect = self._app.control.inspect(destination=nodes, timeout=_ANSWER_WITHIN_S, limit=len(nodes))
        taken = inspect.active_queues() or {}
        ours = {INTAKE, SWEEP}
        return sorted(node for node, queues in taken.items() if ours & {queue.get("name") for queue in queues})

    def _stats(self) -> Mapping[str, Any]:
        if not self._workers:
            return {}
        inspect = self._app.control.inspect(
            destination=self._workers, timeout=_ANSWER_WITHIN_S, limit=len(self._workers)
        )
        return inspect.stats() or {}

    def _ask(self, nodes: list[str], clock: LedgerTime) -> list[Health]:
        """Ask these nodes for their health; those of an earlier release do not answer."""
        found: list[Health] = []

        def on_answer(answer: Mapping[str, Mapping[str, Any]]) -> None:
            for node, said in answer.items():
                if isinstance(clock_s := said.get("time"), float):
                    found.append(Health(node, said.get("ledger"), clock.ahead_s(clock_s)))

        if nodes:
            self._app.control.broadcast(
                HEALTH_COMMAND,
                destination=nodes,
                reply=True,
                timeout=_HEALTH_WITHIN_S,
                limit=len(nodes),
                callback=on_answer,
            )
        return found


def _children(answer: Mapping[str, Any]) -> int:
    return len(answer.get("pool", {}).get("processes", ()))


def _sweeps(stats: Mapping[str, Any]) -> int:
    return sum(int(answer.get("total", {}).get(_SWEEP_TASK, 0)) for answer in stats.values())
