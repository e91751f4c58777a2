"""One carrier with everything that is needed to work with it: adapter, courier, policies, limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Protocol, cast

import structlog

from number_orders.carriers.contract import Adapter, Conversation, ConversationStore, Purpose, RateLimiter
from number_orders.carriers.holdings import ShowsHoldings
from number_orders.carriers.http.courier import Courier, Exchange, exchanges_of
from number_orders.carriers.http.credentials import NoToken
from number_orders.carriers.http.retry_after import PAUSE_UNLESS_TOLD
from number_orders.carriers.market import NO_MARKET, Market
from number_orders.carriers.subscriptions import TakesSubscriptions, WantedSubscription
from number_orders.fulfilment.lanes import rate
from number_orders.fulfilment.observing import observing
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.history import Receipt
from number_orders.ledger.limits import Limit
from number_orders.ledger.text import storable, storable_text
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import Event, NotSent
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId
from number_orders.orders.policy import CarrierPolicy

log = structlog.get_logger(__name__)

TOO_MANY_REQUESTS: Final = "HTTP 429: too many requests"
"""Why a limit is paused, for the people who look at it."""


class CallMeter(Protocol):
    """Counts requests to carriers. It never raises and never waits."""

    def on_calls(self, carrier: CarrierName, exchanges: Sequence[Exchange]) -> None:
        """Count the requests of one conversation, with their answers."""
        ...


@dataclass(frozen=True, slots=True)
class ConversationResult:
    """How a conversation ended: with an event, or with an error that says why there is none."""

    event: Event | None
    error: Exception | None
    exchanges: Sequence[Exchange]

    @property
    def committed(self) -> bool:
        """Whether a request that costs money may have left."""
        return any(exchange.purpose is Purpose.COMMIT for exchange in self.exchanges)

    @property
    def out_of_reach(self) -> str | None:
        """Why the carrier could not be reached with the last request; None if it was."""
        last = self.exchanges[-1] if self.exchanges else None
        return (last.trouble or f"HTTP {last.status}") if last and last.out_of_reach else None

    @property
    def no_token(self) -> NoToken | None:
        """Why the last request had no access token to be sent with; None if it had one."""
        return self.exchanges[-1].no_token if self.exchanges else None

    @property
    def answered(self) -> bool:
        """Whether the carrier itself has answered any request."""
        return any(exchange.status is not None and not exchange.out_of_reach for exchange in self.exchanges)

    def limited_until(self, now: datetime) -> datetime | None:
        """Return until when the limit is paused, if the carrier answered "too many requests"."""
        if not any(exchange.status == HTTPStatus.TOO_MANY_REQUESTS for exchange in self.exchanges):
            return None
        outcome = self.event if isinstance(self.event, NotSent) else self.error
        until = outcome.not_before if isinstance(outcome, NotSent | NoAnswer) else None
        return max(until, now) if until else now + PAUSE_UNLESS_TOLD


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier, as a process deals with it."""

    adapter: Adapter
    courier: Courier
    policy: CarrierPolicy = field(default_factory=CarrierPolicy)
    concurrency: int = 40
    """Conversations that one lane has under way at once in one process."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Requests a second, by the carrier's limit groups. A group that is missing here has no limit."""
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    wanted_subscription: WantedSubscription | None = None
    """Where the carrier is to send notices, if it takes subscriptions and the settings want any."""
    market: Market = NO_MARKET
    """The questions it answers that concern no order."""
    pauses: rate.Pauses = field(default_factory=rate.Pauses)
    """What this process knows of the carrier's paused limits before its claims do."""
    meter: CallMeter | None = None

    @property
    def limit_groups(self) -> Mapping[tuple[Lane, Kind], str]:
        """The limit group that counts an order's requests, by lane and kind of order."""
        group = self.adapter.capabilities.limit_group
        return {(lane, kind): group(lane, kind) for lane in (Lane.SUBMIT, Lane.ASK) for kind in Kind}

    @property
    def limits(self) -> Sequence[Limit]:
        """Every limit group of the carrier, with its rate if it has one."""
        groups = {*self.limit_groups.values(), *self.rates}
        if isinstance(self.adapter, ShowsHoldings):
            groups.add(self.adapter.holdings.list_group)
        if isinstance(self.adapter, TakesSubscriptions):
            groups.add(self.adapter.subscriptions.limit_group)
        return [rate.limit(group, self.rates.get(group)) for group in sorted(groups)]

    def pace(
        self,
        group: str,
        slots: rate.RateSlots,
        *,
        clock: Callable[[], float],
        ledger_clock: rate.LedgerClock,
        claimed_at: float = float("inf"),
    ) -> rate.Pace:
        """Return the pace of a conversation that begins now, and that no claim has given a rate slot.

        Args:
            group: The limit group that counts its requests.
            slots: Gives out rate slots.
            clock: The boot clock.
            ledger_clock: What is known of the ledger's time.
            claimed_at: A pause that the ledger knew before, on `clock`, holds nothing back.
        """
        return rate.Pace(
            slots=slots,
            carrier=self.adapter.name,
            group=group,
            ledger_clock=ledger_clock,
            clock=clock,
            deadline=clock() + self.policy.answer_within.total_seconds(),
            slot=None,
            pauses=self.pauses,
            claimed_at=claimed_at,
        )

    async def converse(
        self, conversation: Conversation, *, deadline: float, memory: ConversationStore, pace: RateLimiter | None = None
    ) -> ConversationResult:
        """Carry a conversation out. Return errors of every kind as values, so that one order's error stops no other."""
        result = await self._converse(conversation, deadline=deadline, memory=memory, pace=pace)
        if self.meter and result.exchanges:
            with observing(self.meter):
                self.meter.on_calls(self.adapter.name, result.exchanges)
        return result

    async def _converse(
        self, conversation: Conversation, *, deadline: float, memory: ConversationStore, pace: RateLimiter | None
    ) -> ConversationResult:
        try:
            outcome = await self.courier.converse(conversation, deadline=deadline, store=memory, rate_limiter=pace)
        except Exception as error:  # noqa: BLE001  a bug that one order meets must not stop the others
            return ConversationResult(None, error, exchanges_of(error))
        return ConversationResult(_storable(outcome.event), None, outcome.exchanges)


def log_requests(order_id: OrderId, conversation: ConversationResult) -> None:
    """Log every request of a conversation about an order, with how it was answered, but no bodies."""
    for exchange in conversation.exchanges:
        answer = {"status": exchange.status} if exchange.status is not None else {"trouble": exchange.trouble}
        log.info(
            "request_sent",
            order_id=str(order_id),
            request=f"{exchange.method} {exchange.target}",
            took_ms=round(exchange.elapsed / timedelta(milliseconds=1)),
            **answer,
        )


def receipts(order: Order, conversation: ConversationResult) -> list[Receipt]:
    """Return the receipts of a conversation: every request and its answer, as the ledger keeps them."""
    return [
        Receipt(
            order_id=order.order_id,
            request=f"{exchange.method} {exchange.target}",
            elapsed_ms=round(exchange.elapsed / timedelta(milliseconds=1)),
            status=exchange.status,
            trouble=_text((exchange.trouble or "").encode(errors="replace")),
            sent=_text(exchange.request_body),
            answer=_text(exchange.body),
        )
        for exchange in conversation.exchanges
    ]


def _storable(event: Event) -> Event:
    """Return an event as the ledger will return it, or an unchanged status would count as a new one at every look."""
    shown = repr(event)  # escapes what cannot be stored: most events need no closer look
    return cast("Event", storable(event)) if "\\x00" in shown or "\\ud" in shown else event


def _text(body: bytes) -> str | None:
    """Return bytes as text that PostgreSQL can store: invalid UTF-8 and NUL become U+FFFD."""
    return storable_text(body.decode(errors="replace")) or None
