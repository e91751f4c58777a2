"""Converts settings to environment variables, for the processes that `up` starts and for `env`.

Writes what `config.settings` reads. Does not know what any setting means.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError

from config.faults import setting_faults
from config.settings import PREFIX, Settings
from number_orders.cli.stack.readiness import StackError

_NESTED: Final = "__"


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the variables for these settings, secrets included, without those at their default."""
    return {f"{PREFIX}{name}": value for name, value in _spelled(settings)}


def child_environment(settings: Settings) -> dict[str, str]:
    """Return a child's environment: ours, except that only `settings` decides about variables with our prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return kept | as_environment(settings) | {"PYTHONUNBUFFERED": "1"}


def _spelled(settings: BaseModel) -> Iterator[tuple[str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value is None or value == field.get_default(call_default_factory=True, validated_data={}):
            continue
        if isinstance(value, BaseModel):
            yield from ((f"{name}{_NESTED}{inner}".upper(), text) for inner, text in _spelled(value))
        else:
            yield name.upper(), spelled(value)


def spelled(value: object) -> str:
    """Return one value as text for the environment, secrets included."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return "true" if value else "false"
        case Path():
            return str(value.absolute())
        case Mapping():
            return json.dumps(dict(value))
        case frozenset() | tuple():
            return json.dumps([one if isinstance(one, int) else str(one) for one in value])
        case _:
            return str(value)


def given_settings() -> Settings:
    """Return the settings of the environment.

    Raises:
        StackError: They cannot be read.
    """
    try:
        return Settings()
    except (ValidationError, SettingsError) as wrong:
        raise StackError(f"the settings cannot be used: {'; '.join(setting_faults(wrong))}") from None
