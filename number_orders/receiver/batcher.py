"""Orders that come in together are taken in together: concurrent requests share one intake statement.

The first request is taken in at once. While its statement runs, further ones are collected; they are the next batch.
Knows nothing of HTTP.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.orders.errors import LedgerUnavailable, OrderRefused

log = structlog.get_logger(__name__)

BATCH_MAX: Final = 256
_RUNNING_MAX: Final = 2
"""How many batches may be under way at once. One that waits for a lock must not delay the next."""


class TakesOrders(Protocol):
    """Takes orders in, one or many."""

    async def submit(
        self, raw: object, *, producer: str, is_proven: bool = False, trace_parent: object = None
    ) -> Ticket: ...

    async def submit_together(self, submissions: Sequence[Submission]) -> list[Ticket | Refusal]: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    submission: Submission
    outcome: "asyncio.Future[Ticket | Refusal]"


class IntakeBatcher:
    """Takes in the orders of concurrent requests with few statements. Each came with its producer's token."""

    def __init__(self, intake: TakesOrders) -> None:
        self._intake = intake
        self._waiting: list[_Waiting] = []
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, raw: object, *, producer: str, trace_parent: str | None = None) -> Ticket:
        """Take one order in, perhaps together with others.

        If the caller is cancelled, the order may be taken in all the same.

        Raises:
            OrderRefused: It breaks a rule.
            LedgerUnavailable: It may not be stored. Sending it again is safe.
        """
        outcome: asyncio.Future[Ticket | Refusal] = asyncio.get_running_loop().create_future()
        submission = Submission(raw, producer, is_proven=True, trace_parent=trace_parent)
        self._waiting.append(_Waiting(submission, outcome))
        self._start()
        match await outcome:
            case Ticket() as ticket:
                return ticket
            case Refusal(error=error):
                raise error

    def _start(self) -> None:
        while self._waiting and len(self._running) < _RUNNING_MAX:
            # The second batch begins only when it is full: otherwise each would have a few orders.
            if self._running and len(self._waiting) < BATCH_MAX:
                return
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            task = asyncio.create_task(self._take_in(batch))
            self._running.add(task)
            task.add_done_callback(self._on_done)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    async def _take_in(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._intake.submit_together([one.submission for one in batch])
        except LedgerUnavailable as away:
            for one in batch:
                _fail(one, LedgerUnavailable(str(away)))  # each its own: tracebacks would pile up on a shared one
        except Exception:  # one order made the statement of all fail: take each alone, so that each gets its own answer
            log.exception("not_taken_together", together=len(batch))
            for one in batch:
                await self._take_alone(one)
        else:
            for one, outcome in zip(batch, outcomes, strict=True):
                if not one.outcome.done():
                    one.outcome.set_result(outcome)

    async def _take_alone(self, one: _Waiting) -> None:
        try:
            alone = one.submission
            ticket = await self._intake.submit(
                alone.raw, producer=alone.producer, is_proven=alone.is_proven, trace_parent=alone.trace_parent
            )
        except OrderRefused as refused:
            _fail(one, refused)
        except Exception as error:  # noqa: BLE001  it is raised where the request waits
            _fail(one, error)
        else:
            if not one.outcome.done():
                one.outcome.set_result(ticket)


def _fail(one: _Waiting, error: Exception) -> None:
    if not one.outcome.done():  # its request was cancelled
        one.outcome.set_exception(error)
