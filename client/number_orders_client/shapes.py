"""What a client does with orders and answers whichever way they go: check, split into batches, read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from number_orders_client.contract import ORDERS_MAX, OrderRequest, Refusal, Ticket
from number_orders_client.errors import OrderRefused, ServiceFailed
from number_orders_client.faults import faults_of, in_words

Orderable = OrderRequest | Mapping[str, Any]
Shape = TypeVar("Shape", bound=BaseModel)

BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
"""The service reads no message of more than 4 MiB, and base64 takes a third of it on some brokers."""


class Submitted(NamedTuple):
    """What became of many orders."""

    tickets: list[Ticket]
    refused: list[Refusal]
    """Each with the index of its order, its key, and what is wrong with it. Nothing of these was stored."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders that go together, and the index of each among all."""

    orders: list[dict[str, Any]]
    indices: list[int]


def checked(order: Orderable) -> OrderRequest:
    """Return an order that is well formed.

    Raises:
        OrderRefused: It is not. Nothing was sent.
    """
    if isinstance(order, OrderRequest):
        return order
    try:
        return OrderRequest.model_validate(order)
    except ValidationError as invalid:
        faults = faults_of(invalid)
        raise OrderRefused(in_words(faults), faults) from None


def plain(order: OrderRequest) -> dict[str, Any]:
    """Return an order as JSON values, without what its producer has not given."""
    return order.model_dump(mode="json", exclude_unset=True)


def batches(orders: Iterable[Orderable], refused: list[Refusal]) -> Iterator[Batch]:
    """Yield the well-formed orders in batches that the service takes; add the others to `refused`."""
    batch, size = Batch([], []), 0
    for index, order in enumerate(orders):
        try:
            good = checked(order)
        except OrderRefused as wrong:
            refused.append(Refusal(index=index, key=_key(order), faults=list(wrong.faults)))
            continue
        length = len(good.model_dump_json(exclude_unset=True))
        if batch.orders and (len(batch.orders) == ORDERS_MAX or size + length > BATCH_BYTES_MAX):
            yield batch
            batch, size = Batch([], []), 0
        batch.orders.append(plain(good))
        batch.indices.append(index)
        size += length
    if batch.orders:
        yield batch


def add_answer(answer: Any, batch: Batch, submitted: Submitted) -> None:
    """Add the service's answer about one batch."""
    read = read_as(_BatchAnswer, answer)
    submitted.tickets.extend(read.tickets)
    submitted.refused.extend(one.model_copy(update={"index": batch.indices[one.index]}) for one in read.refused)
    submitted.refused.sort(key=lambda one: one.index)


def read_as(shape: type[Shape], answer: object) -> Shape:
    """Return an answer in its shape.

    Raises:
        ServiceFailed: It has another.
    """
    try:
        return shape.model_validate(answer)
    except ValidationError as invalid:
        raise ServiceFailed(f"an answer that is no {shape.__name__}: {in_words(faults_of(invalid))}") from None


class _BatchAnswer(BaseModel):
    tickets: Sequence[Ticket]
    refused: Sequence[Refusal]


def _key(order: object) -> str | None:
    key = order.get("key") if isinstance(order, Mapping) else None
    return key if isinstance(key, str) else None
