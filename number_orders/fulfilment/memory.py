"""What a conversation keeps in the ledger, and recalls from it: the steps it has done, and facts about numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from number_orders.carriers.contract import FindInList, KnownNumbers, ListedNumbers, LookUpNumbers, Release
from number_orders.ledger.numbers import KnownNumber
from number_orders.ledger.readings import Question, QuestionState
from number_orders.orders.errors import AwaitsReading, NoAnswer
from number_orders.orders.model import CarrierName, Order, Owner
from number_orders.orders.numbers import E164, ListedNumber

_AWAIT_MIN: Final = timedelta(minutes=1)
_AWAIT_MAX: Final = timedelta(hours=1)
_AWAIT_UNKNOWN: Final = timedelta(minutes=5)
"""For the first reading of a list."""


class ProgressStore(Protocol):
    """Keeps the steps of a conversation."""

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool: ...


class NumberRecall(Protocol):
    """Reads what other orders know of numbers."""

    async def recall(self, order: Order, numbers: Sequence[E164]) -> tuple[datetime, list[KnownNumber]]: ...

    async def ended(self, carrier: CarrierName, references: Sequence[str]) -> frozenset[str]: ...

    async def owners(self, carrier: CarrierName, carrier_orders: Sequence[str]) -> Mapping[str, Owner]: ...


class ListReadings(Protocol):
    """Answers questions about lists from readings."""

    async def put_question(self, question: Question) -> QuestionState: ...

    async def find(
        self, question: Question, reading_id: int, numbers: Sequence[E164], since: datetime | None
    ) -> tuple[datetime, list[ListedNumber]] | None: ...


class MemoryStores(Protocol):
    """The parts of the ledger that a conversation keeps in, and recalls from."""

    @property
    def orders(self) -> ProgressStore: ...
    @property
    def numbers(self) -> NumberRecall: ...
    @property
    def readings(self) -> ListReadings: ...


@dataclass(slots=True)
class OrderMemory:
    """The memory of one conversation. `order` is as it was at the beginning, plus the steps kept since."""

    progress: ProgressStore
    numbers: NumberRecall
    readings: ListReadings
    order: Order
    read_since: datetime | None = None
    """When the reading began that this conversation was answered from; None: it was not. Nothing newer is known."""

    @classmethod
    def of(cls, ledger: MemoryStores, order: Order) -> "OrderMemory":
        """Return the memory of a conversation about this order."""
        return cls(ledger.orders, ledger.numbers, ledger.readings, order)

    async def save_progress(self, progress: Mapping[str, object]) -> None:
        """Store the steps done so far, unless the order has moved: then another worker has it, and this one must stop.

        Raises:
            NoAnswer: The order has moved.
            LedgerUnavailable: The steps may not be stored.
        """
        if not await self.progress.keep_progress(self.order, progress):
            raise NoAnswer(f"order {self.order.order_id} moved while this conversation was under way")
        self.order = replace(self.order, progress=progress)

    async def look_up_numbers(self, step: LookUpNumbers) -> KnownNumbers:
        """Return what the ledger knows of the numbers, references and carrier orders that are asked about."""
        now, known = await self.numbers.recall(self.order, step.numbers)
        carrier = self.order.request.carrier
        return KnownNumbers(
            now,
            held_since={number.e164: number.held_since for number in known if number.held_since},
            of_other_orders=frozenset(
                number.e164
                for number in known
                if number.named or (number.held_since and number.held_by != self.order.order_id)
            ),
            awaited=frozenset(number.e164 for number in known if number.named and not number.held_since),
            released={
                number.e164: Release(number.released_by, number.released_at)
                for number in known
                if number.released_by and number.released_at
            },
            ended=await self.numbers.ended(carrier, step.references) if step.references else frozenset(),
            owners=await self.numbers.owners(carrier, step.carrier_orders) if step.carrier_orders else {},
        )

    async def find_in_list(self, wanted: FindInList) -> ListedNumbers:
        """Return what a reading has found that began after the question was put.

        Raises:
            AwaitsReading: There is no such reading yet.
        """
        question = Question(self.order.order_id, self.order.request.carrier, wanted.list_name, wanted.question)
        state = await self.readings.put_question(question)
        found = None
        if state.reading_id is not None:
            found = await self.readings.find(question, state.reading_id, wanted.numbers, wanted.since)
        if found is None:
            raise AwaitsReading(_why_waiting(wanted, state), not_before=state.now + _await_at_most(state))
        self.read_since, numbers = found
        return ListedNumbers(self.read_since, tuple(numbers))


def _why_waiting(wanted: FindInList, state: QuestionState) -> str:
    read = f", {state.pages} pages so far" if state.pages else ""
    trouble = f"; the last attempt failed: {state.trouble}" if state.trouble else ""
    return f"waits until {wanted.list_name} is read whole, once for all orders that wait{read}{trouble}"


def _await_at_most(state: QuestionState) -> timedelta:
    """Return after how long an order looks for itself whether it is answered, in case that nothing wakes it.

    A question may wait for the rest of one reading and for the whole next one.
    """
    if state.lasted is None:
        return _AWAIT_UNKNOWN
    return min(max(3 * state.lasted, _AWAIT_MIN), _AWAIT_MAX)
