"""One JSON form of an order request and of events: what the ledger stores, and what a fingerprint is computed from.

A field at its default is left out, so a stored request reads the same after a new field was added.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import Criteria, Notify, NumberResult, OrderRequest

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

_PLAIN: Final = frozenset({str, int, bool})

_DEFAULTS: Final[dict[type[Any], tuple[tuple[str, Any], ...]]] = {}
"""Fields and their defaults by class, looked up once."""


def fingerprint(request: OrderRequest) -> str:
    """Return the SHA-256 by which two bodies under one key are compared, as hexadecimal digits."""
    return fingerprint_of(request_to_json(request))


def fingerprint_of(body: Mapping[str, Any]) -> str:
    """Return the fingerprint of a request that is in its JSON form already."""
    return hashlib.sha256(_CANONICAL.encode(body).encode()).hexdigest()


def request_to_json(request: OrderRequest) -> dict[str, Any]:
    """Return a request as JSON values, without the fields that are at their defaults."""
    return fields_to_json(request)


def fields_to_json(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not at their defaults, as JSON values."""
    return {name: to_json(current) for name, current in _given(value)}


def moment_to_json(value: datetime | None) -> str | None:
    """Return a moment in UTC as ISO 8601."""
    return value.astimezone(UTC).isoformat() if value else None


def _given(value: Any) -> list[tuple[str, Any]]:
    return [
        (name, current)
        for name, default in _defaults(type(value))
        if (current := getattr(value, name)) is not default and current != default and current not in ({}, ())
    ]


def _defaults(shape: type[Any]) -> tuple[tuple[str, Any], ...]:
    if shape not in _DEFAULTS:
        _DEFAULTS[shape] = tuple((field.name, field.default) for field in fields(shape))
    return _DEFAULTS[shape]


def to_json(value: Any) -> Any:
    """Return a value of the core as JSON values."""
    if type(value) in _PLAIN:  # most values are, and a batch of orders has thousands
        return value
    match value:
        case Enum():
            return value.value
        case datetime():
            return moment_to_json(value)
        case UUID():
            return str(value)
        case Criteria() | Notify() | NumberResult():
            return fields_to_json(value)
        case frozenset():
            return sorted(value)
        case tuple():
            return [to_json(item) for item in value]
        case _:
            return value
