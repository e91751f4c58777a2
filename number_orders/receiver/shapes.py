"""The shapes of answers that the queue does not have, for the OpenAPI page: pages, events, numbers, carriers' answers.

Orders, tickets, documents and faults are those of `number_orders_client.contract`.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from number_orders_client import contract


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:number-orders:problem:order-refused"])
    title: str
    status: int
    detail: str
    faults: list[contract.Fault] | None = None
    """What is wrong with the input: field and rule."""


class IndexedTicket(contract.Ticket):
    """A ticket of one order of a batch."""

    index: int


class BatchAnswer(BaseModel):
    """What became of each order of a batch."""

    tickets: list[IndexedTicket]
    refused: list[contract.Refusal]


class Stock(BaseModel):
    """What the carrier has in stock for the order, as far as it says so."""

    available: int | None
    """At most as many as were asked for, where the carrier lists numbers."""
    enough: bool | None
    why_unknown: str | None = None


class Budget(BaseModel):
    """A limit of the producer, before the order takes its numbers."""

    span: Literal["order", "hour", "day"]
    carrier: str | None
    """Null: at all carriers together."""
    numbers_max: int
    left: int
    """How many numbers may still be ordered."""
    until: datetime | None
    """When the hour or day is over; null if none has begun, and for single orders."""
    above: Literal["refuse", "park"]


class DryRun(BaseModel):
    """What would happen to an order. Nothing was stored."""

    would: Literal["accept", "refuse", "find", "park"]
    """`find`: the key is known, and the answer would be the ticket of that order.
    `park`: it exceeds a budget, and would wait for an operator to approve it."""
    ticket: contract.Ticket | None = None
    conflict: bool = False
    """The key stands for another order."""
    faults: list[contract.Fault] = []
    parked: str | None = None
    """Why it would wait."""
    stock: Stock | None = None
    budget: list[Budget] = []
    """The limits that it draws on."""


class Page(BaseModel):
    """Orders, newest first."""

    orders: list[contract.OrderDocument]
    next: str | None
    """The cursor of the next page; null on the last one."""


class Event(BaseModel):
    """One event of an order."""

    version: int
    at: datetime
    event: str
    state: contract.State
    """Of the order after the event."""
    late: bool
    """It was heard when the order had ended or was parked, and moved nothing."""
    text: str
    """The event in words."""
    detail: dict[str, Any]


class Events(BaseModel):
    """The events of an order, oldest first."""

    events: list[Event]


class Taint(BaseModel):
    """Until when the carrier refuses to remove a number."""

    until: datetime
    seconds_left: float


class OrderOfNumber(BaseModel):
    """What became of the number in one order."""

    order_id: UUID
    key: str
    kind: str
    carrier: str
    state: contract.State
    number_state: str
    changed_at: datetime


class NumberInfo(BaseModel):
    """What is known of a number: whether we hold it, since when, and which order brought it."""

    e164: str
    held: bool
    carrier: str | None
    account: str | None
    producer: str | None
    order_id: UUID | None
    """The order that brought it."""
    key: str | None
    acquired_at: datetime | None
    released_at: datetime | None
    released_by: UUID | None
    """The order that removed it; null also if that is another producer's."""
    taint: Taint | None
    """Null: it may be removed at any age, or is not held."""
    orders: list[OrderOfNumber]
    """Every order in which something became of it, newest first."""


class CarrierFailure(BaseModel):
    """Why a carrier did not answer."""

    carrier: str
    why: Literal["refused", "declined", "silent"]
    words: str
    faults: list[contract.Fault]


class Answers(BaseModel):
    """What carriers answered."""

    failures: list[CarrierFailure]


class Offers(Answers):
    """Numbers for sale."""

    offers: list[dict[str, Any]]


class Coverage(Answers):
    """How many numbers there are."""

    entries: list[dict[str, Any]]
    totals: dict[str, int | None]


class Restrictions(Answers):
    """The rules of sale."""

    restrictions: list[dict[str, Any]]


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether requests can be served, and what was looked at."""

    ready: bool
    checks: dict[str, str]


class Cancellation(BaseModel):
    """Why an order is cancelled."""

    why: str | None = Field(None, max_length=1000)
