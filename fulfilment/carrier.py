"""One carrier, ready to be worked with: its adapter, its courier, and how patient we are with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from carriers.contract import Adapter, Conversation, Memory, Purpose
from carriers.courier import Courier, Exchange, exchanges_of
from ledger.ledger import Receipt
from orders.events import Event
from orders.lifecycle import Manner
from orders.model import Order


@dataclass(frozen=True, slots=True)
class Held:
    """How a conversation went: it ended in an event, or in an error that says why there is none."""

    event: Event | None
    error: Exception | None
    exchanges: Sequence[Exchange]

    @property
    def committed(self) -> bool:
        """Tell whether a request with money in it may have left."""
        return any(exchange.purpose is Purpose.COMMIT for exchange in self.exchanges)


@dataclass(frozen=True, slots=True)
class Carrier:
    """Everything that is needed to deal with one carrier."""

    adapter: Adapter
    courier: Courier
    manner: Manner = field(default_factory=Manner)
    concurrency: int = 40
    """Conversations that one lane holds at once in one process."""

    async def hold(self, conversation: Conversation, *, deadline: float, memory: Memory) -> Held:
        """Carry a conversation out. Errors of every kind come back as values: one order's trouble is its own."""
        try:
            outcome = await self.courier.hold(conversation, deadline=deadline, memory=memory)
        except Exception as error:  # noqa: BLE001  a bug met by one order must not take the others down with it
            return Held(None, error, exchanges_of(error))
        return Held(outcome.event, None, outcome.exchanges)


def receipts(order: Order, held: Held) -> list[Receipt]:
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
