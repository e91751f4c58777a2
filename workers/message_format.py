"""What a task message must look like before Celery is handed it, and what anything must before kombu is.

Both take the form of a message on trust. A worker that trips over one gives it back as it dies, and the next
worker trips over the same: so the form is read here first. Knows nothing of what the tasks want to be told.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self
from uuid import uuid4

from kombu.utils.json import loads
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

STRAY: Final = "application/x-stray"
"""The content type of what was no message, and was made one to be buried."""
_FAULTS_MAX: Final = 3
_WHY_MAX: Final = 300
_OUR_OWN: Final = frozenset({"orders.sweep", "orders.mind", "orders.forget", "orders.work"})


def is_plain(text: str) -> bool:
    """Tell whether a text is one that logs, keys and PostgreSQL can hold: no control characters, no half characters."""
    return text.isprintable()


def _plain(text: str) -> str:
    if not is_plain(text):
        raise ValueError("holds characters that cannot be printed")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_plain)]


class _Headers(BaseModel):
    """Everything in the headers that Celery looks at before, or beside, running a task."""

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
    def _limits_are_ours(self) -> Self:
        """A message that carries an order goes back to the broker when its time is over: its limit is ours to set.

        Our own ticks, which beat sends, carry the limit that our settings give them.
        """
        if any(self.timelimit or ()) and self.task not in _OUR_OWN:
            raise ValueError("sets a time limit, which is ours to set")
        return self


@dataclass(frozen=True, slots=True)
class _Arguments:
    """What protocol 1 has in its body beside what the others have in their headers."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


class _Afterwards(BaseModel):
    """What is to be called when the task is done."""

    model_config = ConfigDict(extra="ignore", strict=True)

    callbacks: list[dict[str, Any]] | None = None
    errbacks: list[dict[str, Any]] | None = None
    chain: list[dict[str, Any]] | None = None
    chord: dict[str, Any] | None = None


_BODY: Final[TypeAdapter[Any]] = TypeAdapter(tuple[list[Any], dict[str, Any], _Afterwards | None])
"""Arguments, keyword arguments, and what follows."""
_OLD_BODY: Final = TypeAdapter(_Arguments)


class _Whither(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    exchange: str
    routing_key: str


class _Properties(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    delivery_tag: Name | int
    delivery_info: _Whither
    body_encoding: Literal["base64"] | None = None


class _Parcel(BaseModel):
    """Everything that kombu takes for granted in what it finds in a queue."""

    model_config = ConfigDict(extra="ignore", strict=True)

    properties: _Properties
    headers: dict[str, Any] | None = None
    body: Any = None

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.body and self.properties.body_encoding:
            base64.b64decode(self.body)
        return self


def parcel(item: bytes, queue: str) -> bytes:
    """Return what lay in a queue, or, if kombu could not take it, a message that it can, with all of it inside."""
    return opened(item, queue)[0]


def opened(item: bytes, queue: str) -> tuple[bytes, dict[str, Any]]:
    """Return the same, and beside it what kombu reads in it."""
    try:
        message: dict[str, Any] = loads(item)
        _Parcel.model_validate(message)
    except ValidationError as wrong:
        return _parcelled(item, queue, _faults(wrong))
    except Exception as wrong:  # noqa: BLE001  what names a type in its JSON may raise whatever the type does
        return _parcelled(item, queue, f"{type(wrong).__name__}: {wrong}"[:_WHY_MAX])
    return item, message


def _parcelled(item: bytes, queue: str, why: str) -> tuple[bytes, dict[str, Any]]:
    message = {
        "body": base64.b64encode(item).decode(),
        "content-type": STRAY,
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


def fault_in(headers: object, body: object) -> str | None:
    """Return what is wrong with a task message, or None. What is no task message at all, Celery sees for itself."""
    try:
        if isinstance(headers, Mapping) and "task" in headers:
            _Headers.model_validate(headers)
            _BODY.validate_python(body)
        elif isinstance(body, Mapping) and "task" in body:
            _Headers.model_validate(body)
            _OLD_BODY.validate_python(body)
    except ValidationError as wrong:
        return _faults(wrong)
    return None


def _faults(wrong: ValidationError) -> str:
    return "; ".join(_words(fault) for fault in wrong.errors(include_url=False, include_input=False)[:_FAULTS_MAX])


def _words(fault: Mapping[str, Any]) -> str:
    return f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
