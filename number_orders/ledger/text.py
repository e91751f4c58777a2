"""Make text storable: carriers and people send NUL characters and unpaired surrogates, and PostgreSQL takes neither."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from psycopg.types.json import Json, Jsonb


def storable_text(text: str) -> str:
    """Return text with `?` for each unpaired surrogate and U+FFFD for each NUL."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def storable(value: Any) -> Any:
    """Return the value with every text in it made storable: in mappings, sequences, JSON parameters and dataclasses."""
    match value:
        case str() if type(value) is str:
            return storable_text(value)
        case Json() | Jsonb():
            return type(value)(storable(value.obj), value.dumps)
        case Mapping():
            return {storable(key): storable(inner) for key, inner in value.items()}
        case list():
            return [storable(inner) for inner in value]
        case tuple():
            return tuple(storable(inner) for inner in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: storable(getattr(value, field.name)) for field in fields(value)})
        case _:
            return value
