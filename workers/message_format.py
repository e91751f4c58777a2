"""Validate messages before kombu and Celery parse them.

Both trust the form of a message. A worker that fails over a malformed one requeues it as it dies, and the next worker
fails over the same message. Knows nothing of the tasks' own arguments.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from uuid import uuid4

from celery.utils.time import maybe_iso8601
from kombu.utils.json import dumps, loads
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from config.queues import ALL, OPERATORS

MALFORMED: Final = "application/x-stray"
"""The content type of a message that wraps a malformed item of a queue."""
_FAULTS_MAX: Final = 3
_REASON_MAX: Final = 300
_INTERNAL_TASKS: Final = frozenset({"orders.sweep", "orders.mind", "orders.forget", "orders.work"})
_OURS: Final = frozenset({*ALL, OPERATORS})
_ARGUMENTS: Final = frozenset({"args", "kwargs"})
_RETRY_AFTER: Final = timedelta(seconds=1)
"""How long an order waits after its message has killed a child (`default_retry_delay` of its task)."""


def is_printable(text: str) -> bool:
    """Tell whether logs, Redis keys and PostgreSQL can hold a text: no control characters, no half surrogate pairs."""
    return text.isprintable()


def _printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError("holds characters that cannot be printed")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]


class _TaskHeaders(BaseModel):
    """The headers that Celery reads outside the task itself."""

    model_config = ConfigDict(extra="ignore", strict=True)

    task: Name
    id: Name
    root_id: Name | None = None
    parent_id: Name | None = None
    group: Name | None = None
    shadow: Name | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    eta: str | None = None
    expires: str | None = None
    retries: int | None = None
    ignore_result: bool | None = None
    stamped_headers: list[str] | None = None
    stamps: dict[str, Any] | None = None
    timelimit: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _time_limit_is_ours(self) -> Self:
        """Refuse a time limit set by a producer: a task that holds an order must end before the broker redelivers it.

        Bells and the tasks that beat sends carry the limit of our own settings.
        """
        if any(self.timelimit or ()) and self.task not in _INTERNAL_TASKS:
            raise ValueError("sets a time limit, which only the service may set")
        return self

    @model_validator(mode="after")
    def _task_is_not_celerys(self) -> Self:
        """Refuse Celery's own tasks, such as `celery.group`: they send other tasks wherever the caller wants."""
        if self.task.startswith("celery."):
            raise ValueError(f"asks for {self.task}, which would send tasks in the name of this service")
        return self


@dataclass(frozen=True, slots=True)
class _Protocol1Arguments:
    """The arguments in a message of protocol 1, whose body also holds what protocol 2 has in its headers."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


class _Callbacks(BaseModel):
    """The tasks to call when this one is done."""

    model_config = ConfigDict(extra="ignore", strict=True)

    callbacks: list[dict[str, Any]] | None = None
    errbacks: list[dict[str, Any]] | None = None
    chain: list[dict[str, Any]] | None = None
    chord: dict[str, Any] | None = None


_BODY: Final[TypeAdapter[Any]] = TypeAdapter(tuple[list[Any], dict[str, Any], _Callbacks | None])
"""The body of protocol 2: arguments, keyword arguments, callbacks."""
_PROTOCOL_1_BODY: Final = TypeAdapter(_Protocol1Arguments)


class _DeliveryInfo(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    exchange: str
    routing_key: str


class _Properties(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    delivery_tag: Name | int
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"] | None = None


class _QueueItem(BaseModel):
    """What kombu expects of an item in a queue, without checking it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    properties: _Properties
    headers: dict[str, Any] | None = None
    body: Any = None

    @model_validator(mode="after")
    def _body_decodes(self) -> Self:
        if self.body and self.properties.body_encoding:
            base64.b64decode(self.body)
        return self


def as_message(item: bytes, queue: str) -> bytes:
    """Return an item of a queue as it is or, if kombu cannot parse it, wrapped whole into a message that kombu can."""
    return read_message(item, queue)[0]


def read_message(item: bytes, queue: str) -> tuple[bytes, dict[str, Any]]:
    """Return what `as_message` does, and the same as kombu parses it.

    A message that names another queue than ours that it was in is addressed to this one: its sender may write to this
    queue, and would be believed to have written to the other.
    """
    try:
        message: dict[str, Any] = loads(item)
        _QueueItem.model_validate(message)
    except ValidationError as invalid:
        return _wrapped(item, queue, _describe(invalid))
    except Exception as fault:  # noqa: BLE001  kombu's JSON names types, and their constructors may raise anything
        return _wrapped(item, queue, f"{type(fault).__name__}: {fault}"[:_REASON_MAX])
    address = message["properties"]["delivery_info"]
    if address["routing_key"] != queue and (queue in _OURS or "task" in (message.get("headers") or {})):
        address.update(exchange="", routing_key=queue)
        return dumps(message).encode(), message
    return item, message


def _wrapped(item: bytes, queue: str, why: str) -> tuple[bytes, dict[str, Any]]:
    message = {
        "body": base64.b64encode(item).decode(),
        "content-type": MALFORMED,
        "content-encoding": "binary",
        "headers": {"why": why},
        "properties": {
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
            "priority": 0,
        },
    }
    return json.dumps(message).encode(), message


def find_fault(headers: object, body: Any) -> str | None:
    """Return what is wrong with a task message, or None; None too for other messages, which Celery itself reports."""
    try:
        if isinstance(headers, Mapping) and "task" in headers:
            _TaskHeaders.model_validate(headers)
            _BODY.validate_python(body)
            follow_ups = body[2]
        elif isinstance(body, Mapping) and "task" in body:
            _TaskHeaders.model_validate(body)
            _PROTOCOL_1_BODY.validate_python(body)
            follow_ups = {name: value for name, value in body.items() if name not in _ARGUMENTS}
        else:
            return None
    except ValidationError as invalid:
        return _describe(invalid)
    return _fault_of_follow_ups(follow_ups)


def _fault_of_follow_ups(follow_ups: object) -> str | None:
    """Return what is wrong with the tasks that Celery is to send when this one is done; None if nothing is.

    The worker sends them, so the broker takes them for any queue: also for that of the operators, which the sender of
    this message may have no access to.
    """
    try:
        named = dumps(follow_ups) if follow_ups else ""
    except (RecursionError, TypeError, ValueError) as fault:
        return f"has tasks follow it that cannot be read: {type(fault).__name__}"
    if OPERATORS in named:
        return f"has a task follow it on {OPERATORS}, which operators send to themselves"
    return None


def take_moments(headers: object, body: object, *, own_now: datetime, broker_now: Callable[[], datetime]) -> None:
    """Rewrite the moments in a task message for the clock of this machine, by which Celery judges them.

    - A wake-up never expires: another machine's clock has written when, and old ones do no harm.
    - Our own retry of a message waits for a second from now, whatever the clock of the worker said that asked for it.
    - What a producer has asked for (`countdown`, `eta`, `expires`) counts by the clock of the broker.

    Args:
        headers: Those of the message, changed in place; in protocol 1 the body has the moments.
        body: The decoded body.
        own_now: The time on this machine's clock.
        broker_now: Asks the broker for its time; called only for a message that has moments.
    """
    held = headers if isinstance(headers, dict) and "task" in headers else body
    if not isinstance(held, dict) or not (held.get("eta") or held.get("expires")):
        return
    if held.get("task") in _INTERNAL_TASKS:
        held["eta"] = held["expires"] = None
        return
    ahead = own_now - broker_now()
    for name in ("eta", "expires"):
        if moment := _moment(held.get(name)):
            held[name] = (moment + ahead).isoformat()
    if held.get("eta") and held.get("retries"):
        held["eta"] = (own_now + _RETRY_AFTER).isoformat()


def _moment(text: Any) -> datetime | None:
    """Return a moment as Celery reads it; None for one that it will refuse."""
    try:
        moment = maybe_iso8601(text)
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _describe(invalid: ValidationError) -> str:
    faults = invalid.errors(include_url=False, include_input=False)[:_FAULTS_MAX]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults)
