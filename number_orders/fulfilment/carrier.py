"""One carrier, ready to be worked with: its adapter, its courier, and how patient we are with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from number_orders.carriers.contract import Adapter, Conversation, Memory, Pace, Purpose
from number_orders.carriers.http.courier import Courier, Exchange, exchanges_of
from number_orders.fulfilment.lanes import rate
from number_orders.ledger.ledger import BreakerPolicy, Limit, Receipt
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import Event, NotSent
from number_orders.orders.lifecycle import CarrierPolicy
from number_orders.orders.model import Kind, Lane, Order

_UNSAID: Final = timedelta(seconds=30)
"""For how long a limit is paused when the carrier says "too many requests", and nothing more."""


@dataclass(frozen=True, slots=True)
class ConversationResult:
    """How a conversation went: it ended in an event, or in an error that says why there is none."""

    event: Event | None
    error: Exception | None
    exchanges: Sequence[Exchange]

    @property
    def committed(self) -> bool:
        """Tell whether a request with money in it may have left."""
        return any(exchange.purpose is Purpose.COMMIT for exchange in self.exchanges)

    @property
    def out_of_reach(self) -> str | None:
        """Say why the carrier could not be reached at the end, if so."""
        last = self.exchanges[-1] if self.exchanges else None
        return (last.trouble or f"HTTP {last.status}") if last and last.out_of_reach else None

    @property
    def answered(self) -> bool:
        """Tell whether the carrier itself has said anything."""
        return any(exchange.status is not None and not exchange.out_of_reach for exchange in self.exchanges)

    def limited_until(self, now: datetime) -> datetime | None:
        """Return until when the carrier wants nothing more of this, if it has said "too many requests"."""
        if not any(exchange.status == HTTPStatus.TOO_MANY_REQUESTS for exchange in self.exchanges):
            return None
        said = self.event if isinstance(self.event, NotSent) else self.error
        until = said.not_before if isinstance(said, NotSent | NoAnswer) else None
        return max(until, now) if until else now + _UNSAID


@dataclass(frozen=True, slots=True)
class Carrier:
    """Everything that is needed to deal with one carrier."""

    adapter: Adapter
    courier: Courier
    policy: CarrierPolicy = field(default_factory=CarrierPolicy)
    concurrency: int = 40
    """Conversations that one lane holds at once in one process."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Requests a second, by the carrier's limit groups. What is not named is not limited."""
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)

    @property
    def limit_groups(self) -> Mapping[tuple[Lane, Kind], str]:
        """Return which limit the work on a lane draws on, by kind."""
        group = self.adapter.capabilities.limit_group
        return {(lane, kind): group(lane, kind) for lane in (Lane.SUBMIT, Lane.ASK) for kind in Kind}

    @property
    def limits(self) -> Sequence[Limit]:
        """Return what the carrier limits, and what may be sent of each."""
        return [
            rate.limit(group, self.rates.get(group)) for group in sorted({*self.limit_groups.values(), *self.rates})
        ]

    async def converse(
        self, conversation: Conversation, *, deadline: float, memory: Memory, pace: Pace | None = None
    ) -> ConversationResult:
        """Carry a conversation out. Errors of every kind come back as values: one order's trouble is its own."""
        try:
            outcome = await self.courier.hold(conversation, deadline=deadline, memory=memory, pace=pace)
        except Exception as error:  # noqa: BLE001  a bug met by one order must not take the others down with it
            return ConversationResult(None, error, exchanges_of(error))
        return ConversationResult(outcome.event, None, outcome.exchanges)


def receipts(order: Order, held: ConversationResult) -> list[Receipt]:
    """Return what passed between us and the carrier, as it is kept."""
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
        for exchange in held.exchanges
    ]


def _text(said: bytes) -> str | None:
    """Bytes as PostgreSQL's text takes them: whatever is no UTF-8, or a NUL, is marked as such."""
    return said.decode(errors="replace").replace("\x00", "\ufffd") or None
