"""Deliver the documents that are due at producers' URLs: many at once, and few to each host.

A 2xx answer is a delivery. Everything else is tried again, at growing intervals, for `retry_for`; then an alarm is
raised. Delivery is at least once, and the documents of one order arrive in order: the oldest is sent until it is
delivered or given up. A slow host holds only its own few places, and one without answers is left alone for a while; a
producer with many hosts holds only its own share.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from random import Random
from typing import Final, Protocol
from uuid import UUID

import structlog

from number_orders.carriers.http.retry_after import retry_at
from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.fulfilment.webhooks.client import Answer, NotDelivered
from number_orders.fulfilment.webhooks.messages import webhook_message
from number_orders.ledger.webhooks import DueDocument, DueWebhook, DueWebhooks, Outcome, Settled
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

_LEASE_BEYOND: Final = timedelta(seconds=20)
"""How much longer than one attempt a delivery is ours: until it is recorded, with PostgreSQL away for a moment."""
_GATHER_S: Final = 0.005
"""Attempts that end within this are recorded by one statement."""
_LOOK_EVERY_S: Final = 0.1
"""How often a run looks for more while it waits for answers."""
_RETRY_RECORD_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts to record answers while the ledger is away."""
_FACTOR: Final = 3.0
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """How many deliveries are under way at the same time, and how long a document is tried."""

    timeout: timedelta = timedelta(seconds=10)
    """One attempt."""
    concurrency: int = 100
    """In one run."""
    per_host: int = 10
    """To one host of one producer, by all workers together."""
    per_producer: int = 50
    """To all hosts of one producer, by all workers together."""
    retry_first: timedelta = timedelta(seconds=5)
    retry_max: timedelta = timedelta(hours=6)
    """The longest interval: from `retry_first`, each is three times as long as the one before."""
    retry_for: timedelta = timedelta(days=3)

    def wait(self, tries: int, chance: float) -> timedelta:
        """Return how long to wait after the attempt that follows `tries` others; `chance` is between 0 and 1."""
        seconds = min(self.retry_first.total_seconds() * _FACTOR ** min(tries, 30), self.retry_max.total_seconds())
        return timedelta(seconds=seconds * (1 + _JITTER * (2 * chance - 1)))


class WebhookStore(Protocol):
    """Leases due deliveries, and records what became of them."""

    async def claim(self, *, limit: int, per_host: int, per_producer: int, lease: timedelta) -> DueWebhooks | None: ...

    async def settle(self, due: DueWebhooks, settled: Sequence[Settled]) -> None: ...


class WebhookSender(Protocol):
    """Sends one document. `WebhookClient.post` describes it."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer: ...


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery that is ours, and by which claim."""

    webhook: DueWebhook
    due: DueWebhooks
    at: float
    """When it was claimed, on our own clock."""


@dataclass(slots=True)
class WebhookRun:
    """One run: claims for `lasts_s`, and then waits for the answers that are still to come."""

    store: WebhookStore
    sender: WebhookSender
    policy: WebhookPolicy
    presence: LanePresence
    boot_clock: Callable[[], float]
    lasts_s: float
    random: Random = field(default_factory=Random)

    async def run(self) -> bool:
        """Deliver what is due; return whether more may be due."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.lasts_s
        under_way: set[asyncio.Task[tuple[_Claimed, Settled]]] = set()
        found_some = False
        try:
            while loop.time() < until:
                self.presence.announce()
                claimed = await self._claim(self.policy.concurrency - len(under_way))
                found_some = bool(claimed)
                under_way |= {asyncio.create_task(self._attempt(each)) for each in claimed}
                if not under_way:
                    return False
                under_way = await self._settle(under_way, within_s=_LOOK_EVERY_S)
            self.presence.leave()
            while under_way:
                under_way = await self._settle(under_way, within_s=None)
        finally:
            self.presence.leave()
            for attempt in under_way:
                attempt.cancel()
        return found_some

    async def _claim(self, limit: int) -> list[_Claimed]:
        at = self.boot_clock()
        policy, lease = self.policy, self.policy.timeout + _LEASE_BEYOND
        shares = {"per_host": policy.per_host, "per_producer": policy.per_producer}
        found = await self.store.claim(limit=limit, **shares, lease=lease) if limit else None
        return [_Claimed(webhook, found, at) for webhook in found.webhooks] if found else []

    async def _settle(
        self, under_way: set[asyncio.Task[tuple[_Claimed, Settled]]], *, within_s: float | None
    ) -> set[asyncio.Task[tuple[_Claimed, Settled]]]:
        """Wait for the next answers, and record them; return the attempts that go on."""
        done, _ = await asyncio.wait(under_way, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return under_way
        await asyncio.sleep(_GATHER_S)
        done = {attempt for attempt in under_way if attempt.done()}
        by_claim: dict[UUID, tuple[DueWebhooks, list[Settled]]] = {}
        for attempt in done:
            claimed, settled = attempt.result()
            by_claim.setdefault(claimed.due.token, (claimed.due, []))[1].append(settled)
        for due, results in by_claim.values():
            await self._record(due, results)
        for attempt in done:
            _log(*attempt.result(), self.boot_clock())
        return under_way - done

    async def _record(self, due: DueWebhooks, settled: Sequence[Settled]) -> None:
        """Record what became of deliveries. While the ledger is away, keep the answers and try again.

        Raises:
            LedgerUnavailable: It was away for too long. The documents are sent again when their lease has ended.
        """
        for wait_s in (*_RETRY_RECORD_S, None):
            try:
                await self.store.settle(due, settled)
            except LedgerUnavailable as away:
                if wait_s is None:
                    raise
                log.warning("ledger_away", answers_held=len(settled), trouble=str(away))
                await asyncio.sleep(wait_s)
            else:
                return

    async def _attempt(self, claimed: _Claimed) -> tuple[_Claimed, Settled]:
        """Send one document; return what became of it. A document that breaks this stops no other."""
        try:
            return claimed, await self._deliver(claimed)
        except Exception as bug:
            log.exception("webhook_broke", order_id=str(claimed.webhook.order_id))
            broken = Settled(claimed.webhook, Outcome.FAILED, trouble=f"a fault of this service: {bug!r}"[:200])
            message = claimed.webhook.message
            return claimed, self._failed(claimed, message, broken) if message else broken

    async def _deliver(self, claimed: _Claimed) -> Settled:
        webhook = claimed.webhook
        if webhook.message is None:
            return Settled(webhook, Outcome.DELIVERED)
        if not webhook.secrets:
            trouble = f"its producer has no secret: number-orders webhook-secrets {webhook.producer} add"
            return self._failed(claimed, webhook.message, Settled(webhook, Outcome.FAILED, trouble=trouble))
        if self.boot_clock() - claimed.at > _LEASE_BEYOND.total_seconds():
            # This process was stopped for a while: another worker may have the delivery by now.
            return Settled(webhook, Outcome.FAILED, trouble="not sent: the worker was stopped for too long")
        message = webhook_message(webhook.order_id, webhook.message.version, webhook.message.document)
        headers = message.headers(webhook.secrets, self._ledger_now(claimed))
        if webhook.trace_parent:
            headers["traceparent"] = webhook.trace_parent
        try:
            answer = await self.sender.post(webhook.url, headers, message.body)
        except NotDelivered as fault:
            missed = Settled(webhook, Outcome.FAILED, reached=False, trouble=str(fault))
            return self._failed(claimed, webhook.message, missed)
        return self._judged(claimed, webhook.message, answer)

    def _judged(self, claimed: _Claimed, message: DueDocument, answer: Answer) -> Settled:
        """Return what an answer means."""
        webhook, trouble = claimed.webhook, _status_in_words(answer.status)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Settled(webhook, Outcome.DELIVERED, reached=True)
        if answer.status == HTTPStatus.GONE:
            return Settled(webhook, Outcome.GIVEN_UP, reached=True, trouble=trouble)
        now = self._ledger_now(claimed)
        not_before = retry_at(answer.headers, now)
        wait = not_before - now if not_before else timedelta()
        failed = Settled(webhook, Outcome.FAILED, reached=True, trouble=trouble, wait=wait)
        return self._failed(claimed, message, failed)

    def _failed(self, claimed: _Claimed, message: DueDocument, settled: Settled) -> Settled:
        """Return when a failed attempt is repeated, at least after `settled.wait`; or that it is given up."""
        now = self._ledger_now(claimed)
        last_at = (message.tried_since or now) + self.policy.retry_for
        if now >= last_at:
            return replace(settled, outcome=Outcome.GIVEN_UP)
        wait = max(settled.wait, self.policy.wait(message.tries, self.random.random()))
        return replace(settled, wait=min(wait, last_at - now))

    def _ledger_now(self, claimed: _Claimed) -> datetime:
        return claimed.due.now + timedelta(seconds=self.boot_clock() - claimed.at)


def _status_in_words(status: int) -> str:
    """Return a status for people, with what follows from it."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"HTTP {status}: redirects are not followed"
    return f"HTTP {status}: the URL is no longer used" if status == HTTPStatus.GONE else f"HTTP {status}"


def _log(claimed: _Claimed, settled: Settled, now: float) -> None:
    webhook, message = settled.webhook, settled.webhook.message
    if message is None:
        return
    facts = {
        "order_id": str(webhook.order_id),
        "version": message.version,
        "producer": webhook.producer,
        "host": webhook.host,
        "tries": message.tries + 1,
        "took_ms": round((now - claimed.at) * 1000),
    }
    match settled.outcome:
        case Outcome.DELIVERED:
            log.info("webhook_delivered", **facts)
        case Outcome.FAILED:
            log.warning("webhook_failed", **facts, reason=settled.trouble, wait_s=round(settled.wait.total_seconds()))
        case Outcome.GIVEN_UP:
            log.error("notification_given_up", **facts, reason=settled.trouble)
