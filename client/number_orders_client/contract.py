"""The contract between producers and number-orders: the shape of every value that they exchange.

The models check whether an order is well formed. Whether the carrier can fill it, the service checks, and refuses in
the same form: the field, and the rule that it breaks.
"""

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

ORDERS_MAX: int = 500
"""The most orders in one call of `orders.submit_many`."""
NUMBERS_MAX: int = 5000
"""The most numbers in one order."""

ANSWERS_HEADER = "number_orders_answers"
"""The header of a Celery message whose sender reads refusals from the result (`Problem`)."""
ANSWERS_TYPED = "2"
PROBLEM_PREFIX = "urn:number-orders:problem:"

State = Literal[
    "ACCEPTED",
    "SUBMITTING",
    "IN_DOUBT",
    "OPEN",
    "PARKED",
    "COMPLETED",
    "PARTIAL",
    "COMPLETED_WITH_ERRORS",
    "FAILED",
    "CANCELLED",
]
FinalState = Literal["COMPLETED", "PARTIAL", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED"]

_ENDS: tuple[State, ...] = ("COMPLETED", "PARTIAL", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED")

# No control characters: these texts go into carriers' XML, logs and terminals. Something visible: blanks say nothing.
LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
KEY = r"^[\x21-\x7e]+$"
E164 = r"^\+[1-9][0-9]{6,14}$"
ALPHA_3 = r"^[A-Z]{3}$"
HTTPS = r"^https://"

Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=LINE)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=KEY)]
Number = Annotated[str, StringConstraints(pattern=E164)]


def _written_out(moment: object) -> object:
    """Refuse a count of seconds, or of milliseconds, which pydantic would take for a moment."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and _DATE.match(moment)):
        return moment
    raise PydanticCustomError("datetime_type", "must be a moment as ISO 8601 with its offset from UTC")


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = {"type": "string", "format": "date-time"}
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out), WithJsonSchema(_DATE_TIME)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Criteria(_Shape):
    """Where the numbers are wanted. Each carrier has its own rules about which fields may be combined."""

    country: Annotated[str, StringConstraints(pattern=ALPHA_3)] | None = None
    """ISO 3166 alpha-3, such as USA."""
    number_type: Line | None = None
    npa: Line | None = None
    nxx: Line | None = None
    thousands_block: Line | None = None
    """The digit that follows npa and nxx."""
    city: Line | None = None
    state: Line | None = None
    rate_center: Line | None = None
    lata: Line | None = None
    zip: Line | None = None
    vanity: Line | None = None
    vanity_at_end: bool | None = None
    toll_free_pattern: Line | None = None
    local_calling_area: bool | None = None


class Notify(_Shape):
    """Where to send the order document, and at which states (`on`); by default only when the order has ended."""

    task: Line | None = None
    """A Celery task with one argument, the order document."""
    queue: Line | None = None
    """The queue that the worker with this task listens to."""
    url: Annotated[str, StringConstraints(max_length=2000, pattern=HTTPS)] | None = None
    """An HTTPS URL of yours with a public address. The document is posted there, signed with your secret."""
    on: Annotated[tuple[State, ...], Field(strict=False, min_length=1)] = _ENDS

    @model_validator(mode="after")
    def _complete(self) -> "Notify":
        if self.task is None and self.url is None:
            raise ValueError("needs a task with its queue, or a url")
        if (self.task is None) != (self.queue is None):
            raise ValueError("task and queue go together")
        return self


class OrderRequest(_Shape):
    """One order: `numbers`, or `criteria` with a `quantity`, never both."""

    key: Key
    """The producer's name for the order: an idempotency key. Sent again with the same body, it is the same order."""
    carrier: Line
    kind: Literal["new_numbers", "add_messaging_numbers", "remove_numbers"]
    numbers: Annotated[tuple[Number, ...], Field(strict=False, min_length=1, max_length=NUMBERS_MAX)] | None = None
    """E.164, with the plus sign."""
    criteria: Criteria | None = None
    quantity: Annotated[int, Field(ge=1, le=NUMBERS_MAX)] | None = None
    range_size: Annotated[int, Field(ge=1, le=NUMBERS_MAX)] | None = None
    allow_partial: bool = True
    allow_backorder: bool = False
    when_tainted: Literal["wait", "split", "fail"] = "wait"
    not_before: Moment | None = None
    """Not sent to the carrier before this time. ISO 8601 with an offset."""
    account: Line | None = None
    name: Line | None = None
    notes: Annotated[str, StringConstraints(max_length=1000)] | None = None
    options: Annotated[dict[str, str | int | bool | list[str] | None], Field(max_length=50, default_factory=dict)]
    """The carrier's own options; its adapter checks them."""
    notify: Notify | None = None

    @model_validator(mode="after")
    def _numbers_or_criteria(self) -> "OrderRequest":
        if (self.numbers is None) == (self.criteria is None):
            raise ValueError("give either numbers or criteria, not both and not neither")
        if self.criteria is not None and self.quantity is None:
            raise ValueError("criteria need a quantity")
        if self.numbers is not None and self.quantity is not None:
            raise ValueError("quantity goes with criteria only; numbers are counted")
        if self.numbers is not None and len(set(self.numbers)) != len(self.numbers):
            raise ValueError("numbers holds a number twice")
        return self


class Ticket(BaseModel):
    """The answer of `orders.submit`: the order is stored in the ledger and will reach its end."""

    order_id: UUID
    key: str
    state: State
    new: bool
    """False: an order with this key was accepted before, and this is its ticket."""


class Fault(BaseModel):
    """One thing wrong with an order: the field, and the rule that it breaks."""

    field: str
    rule: str


class Refusal(BaseModel):
    """One order of `orders.submit_many` that was refused. Nothing of it was stored."""

    index: int
    key: str | None
    faults: list[Fault]


class Problem(BaseModel):
    """Why a call was not carried out (RFC 9457): over HTTP the whole answer, in a task's result the field `problem`."""

    type: str
    """`PROBLEM_PREFIX` and a name, such as `order-refused`."""
    title: str = ""
    status: int | None = None
    detail: str = ""
    faults: list[Fault] = []


class NumberResult(BaseModel):
    """What became of one number."""

    e164: str
    state: Literal["requested", "acquired", "usable", "failed", "released", "withdrawn"]
    """`withdrawn`: the carrier showed it as bought and no longer does, so it is not yours."""
    code: str | None = None
    """The carrier's error code, if it gave one."""
    text: str | None = None


class OrderDocument(BaseModel):
    """An order as producers see it: sent to `notify`, and returned by `orders.get`."""

    order_id: UUID
    producer: str | None = None
    """Whose order it is: keys are unique per producer. None in documents that an earlier release has written."""
    key: str
    carrier: str
    kind: str
    state: State
    final: bool
    version: int
    """Grows with every event of the order: of two documents, the one with the greater version is newer."""
    reason: str | None
    """Why the order is in this state, in words."""
    quantity: int
    numbers: list[NumberResult]
    reference: str | None = None
    """The order's name at the carrier: the same for the same key. None in documents of release 0.1.0."""
    carrier_order_id: str | None
    carrier_status: str | None
    accepted_at: datetime
    ended_at: datetime | None
