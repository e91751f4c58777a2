"""What the receiver of one process works with: made by whoever opens the process, found by each endpoint at the app."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import Request

from number_orders.fulfilment.authority import Authority
from number_orders.fulfilment.inquiries import Seller
from number_orders.fulfilment.runtime import Services
from number_orders.orders.model import CarrierName
from number_orders.receiver.attempts import Attempts
from number_orders.receiver.batcher import IntakeBatcher
from number_orders.receiver.rate import RequestRate, TokenBuckets
from number_orders.receiver.streams import EventStreams


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process does at most."""

    rate: RequestRate = field(default_factory=lambda: RequestRate(per_s=100, burst=200))
    """Of each producer and each operator."""
    attempts: RequestRate = field(default_factory=lambda: RequestRate(per_s=5, burst=50))
    """Of unknown tokens and sessions from one address."""
    streams_max: int = 1000
    streams_per_caller: int = 200
    """Of each producer and each operator."""
    questions_max: int = 8
    """How many questions to carriers may be under way at once."""


async def _nothing_to_say() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What the receiver is connected to."""

    services: Services
    authority: Authority
    sellers: Mapping[CarrierName, Seller] = field(default_factory=dict)
    schema_fault: Callable[[], Awaitable[str | None]] = _nothing_to_say
    """Returns why the ledger's schema does not serve; None if it does."""
    broker_fault: Callable[[], Awaitable[str | None]] = _nothing_to_say
    """Returns why the broker cannot be reached; None if it can."""


class Receiver:
    """Everything that the endpoints use."""

    def __init__(
        self, connections: Connections, limits: Limits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.services = connections.services
        self.authority = connections.authority
        self.sellers = connections.sellers
        self.connections = connections
        self.batcher = IntakeBatcher(self.services.intake)
        self.streams = EventStreams(
            self.services.ledger.order_views.news,
            readers_max=limits.streams_max,
            readers_per_owner=limits.streams_per_caller,
        )
        self.buckets = TokenBuckets(limits.rate, clock)
        self.attempts = Attempts(limits.attempts, clock)
        self.stopping = asyncio.Event()
        """Set when the process stops: whatever would never end by itself ends then."""
        self.questions_max = limits.questions_max
        self.questions = 0
        """How many questions to carriers are under way."""


def receiver_of(request: Request) -> Receiver:
    """Return the receiver that serves this request."""
    receiver: Receiver = request.app.state.receiver
    return receiver
