"""Who has sent a queue message, and what it may do there.

A message is proven by a signature over its task and arguments (`number_orders_client.signing`). Whoever proves to be a
producer orders for itself, and sees and cancels its own orders only. Operators' messages come on a queue of their own.
Without signatures, whoever reaches the broker may do everything.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from number_orders.fulfilment.authority import Role
from number_orders.fulfilment.recent_answers import RecentAnswers
from number_orders.ledger.producers import Signer
from number_orders.orders.errors import Fault, OrderRefused, UnknownOrder
from number_orders.orders.model import OrderId
from number_orders_client.signing import SIGNATURE_HEADER, SIGNER_HEADER, Message, is_signed

_REMEMBERED_S: Final = 5.0
_LOOK_AGAIN_S: Final = 1.0
"""A signature that does not fit keys older than this is checked with those of the ledger: there may be a new one."""
DEFAULT_PRODUCER: Final = "default"
"""The producer of messages that name none."""


class SignedMessages(StrEnum):
    """Which messages must be signed."""

    OFF = "off"
    """None; signatures are not looked at."""
    ACCEPTED = "accepted"
    """None but operators'; a signature that is there must be right."""
    REQUIRED = "required"
    """Each."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it arrived."""

    message: Message
    headers: Mapping[str, Any]
    queue: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has sent a message. Without a name nothing is proven, and what the message claims is believed."""

    name: str | None = None
    role: Role | None = None
    is_operator: bool = False
    """Whether it may decide about every order: its message came on the operators' queue."""

    @property
    def is_proven(self) -> bool:
        """Whether its name is proven by a signature."""
        return self.name is not None

    @property
    def sees_only(self) -> str | None:
        """The producer whose orders alone it may see; None: all."""
        return None if self.is_operator else self.name

    def producer(self, claimed: str | None) -> str:
        """Return for whom it orders.

        Raises:
            OrderRefused: It claims to be somebody else, or is an operator, who orders nothing.
        """
        if self.name is None:
            return claimed or DEFAULT_PRODUCER
        if self.role is Role.OPERATOR:
            raise _refused(
                "producer", f"the message is signed by {self.name}, an operator, and operators order nothing"
            )
        if claimed not in {None, DEFAULT_PRODUCER, self.name}:
            raise _refused("producer", f"is {claimed}, but the message is signed by {self.name}")
        return self.name

    def person(self, claimed: str) -> str:
        """Return who it is in an order's story: its proven name, or its claim."""
        return self.name or claimed


class SignerStore(Protocol):
    """Finds signing keys, and whose orders are."""

    async def signers(self, producers: Sequence[str]) -> dict[str, Signer]: ...

    async def owners(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]: ...


class Callers:
    """Tells by its signature who has sent a message."""

    def __init__(
        self,
        store: SignerStore | None,
        mode: SignedMessages,
        *,
        operators_queue: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up one process.

        Args:
            store: The signing keys; None only if the mode is `OFF`.
            mode: Which messages must be signed.
            operators_queue: The queue that only operators may write to.
            clock: Counts seconds, for how long keys are remembered.
        """
        self._store = store
        self._mode = mode
        self._operators_queue = operators_queue
        self._clock = clock
        self._recent: RecentAnswers[str, Signer | None] = RecentAnswers(lasts_s=_REMEMBERED_S, clock=clock)

    async def identify(self, arrived: Arrived) -> Caller:
        """Return who has sent a message.

        Raises:
            OrderRefused: Its signature is missing or wrong, or it is not an operator's and came on their queue.
            LedgerUnavailable: The signing keys cannot be read.
        """
        for_operators = arrived.queue == self._operators_queue
        if self._mode is SignedMessages.OFF or self._store is None:
            return Caller(is_operator=for_operators)
        name = arrived.headers.get(SIGNER_HEADER)
        if name is None and arrived.headers.get(SIGNATURE_HEADER) is None:
            if self._mode is SignedMessages.REQUIRED or for_operators:
                raise _refused("signature", "is missing; sign messages with your signing key")
            return Caller()
        signer = await self._find_signer(name, arrived) if isinstance(name, str) else None
        if signer is None:
            raise _refused("signature", f"is not one of {str(name)[:100]!r} for this task, id and arguments")
        role = Role(signer.role)
        if for_operators and role is not Role.OPERATOR:
            raise _refused("message", f"came on the queue {self._operators_queue}, and {name} is no operator")
        if role is Role.OPERATOR and not for_operators:
            raise _refused("message", f"is signed by {name}, an operator, and belongs on {self._operators_queue}")
        return Caller(name, role, is_operator=for_operators)

    async def identify_operator(self, arrived: Arrived) -> Caller:
        """Return which operator has sent a message.

        Raises:
            OrderRefused: As `identify`, or the message came on another queue than the operators'.
            LedgerUnavailable: As `identify`.
        """
        caller = await self.identify(arrived)
        if not caller.is_operator:
            where = f"on the queue {self._operators_queue}, which only they may write to"
            raise _refused("message", f"{arrived.message.task} is for operators, {where}")
        return caller

    async def require_own(self, caller: Caller, order_id: OrderId) -> None:
        """Check that the caller may see an order, and cancel it.

        Raises:
            UnknownOrder: It may not, or there is no such order.
        """
        if caller.sees_only is None or self._store is None:
            return
        if (await self._store.owners([order_id])).get(order_id) != caller.sees_only:
            raise UnknownOrder(order_id)

    async def _find_signer(self, name: str, arrived: Arrived) -> Signer | None:
        """Return the producer or operator with this name, if the message is signed with one of its keys."""
        known = self._recent.get(name)
        if known is not None:
            if known.value is not None and is_signed(arrived.message, arrived.headers, known.value.secrets):
                return known.value
            if self._clock() - known.asked_at < _LOOK_AGAIN_S:
                return None
        assert self._store is not None, "messages are checked only with a store"
        signer = (await self._store.signers([name])).get(name)
        self._recent.keep(name, signer)
        return signer if signer is not None and is_signed(arrived.message, arrived.headers, signer.secrets) else None


def _refused(field: str, rule: str) -> OrderRefused:
    return OrderRefused([Fault(field, rule)])
