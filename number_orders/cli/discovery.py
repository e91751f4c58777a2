"""Finds the stack that a command is about: what the environment says, else what runs under the var directory.

`number-orders up` and `demo` leave `stack.json` in the var directory: the environment variables of the stack that they
run, and their process id. It counts while that process lives, and where the environment names no other stack; each
variable of the environment wins over the same one there. Engines that run by themselves are found by their own note.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from config.settings import PREFIX, Settings
from number_orders.cli.exits import Code, Stop
from number_orders.embedded.lock import is_alive

STACK_NOTE: Final = "stack.json"

_ADDRESSES: Final = (f"{PREFIX}DATABASE_URL", f"{PREFIX}BROKER_URL")
NOTHING_RUNS: Final = "nothing runs here"
START_OR_SET: Final = f"start `number-orders up`, or set {' and '.join(_ADDRESSES)}"


@dataclass(frozen=True, slots=True)
class Found:
    """Settings, and where they were found, in words. Without a database address nothing runs here."""

    settings: Settings
    where: str


@dataclass(frozen=True, slots=True)
class StackNote:
    """What a running `up` or `demo` says of its stack."""

    pid: int
    env: Mapping[str, str] = field(repr=False)  # holds passwords


def find_settings() -> Settings:
    """Return the settings of the stack that is meant.

    Raises:
        Stop: Nothing runs here, or the settings cannot be read.
    """
    found = look()
    if found.settings.database_url is None:
        raise Stop(Code.OUT_OF_REACH, NOTHING_RUNS, mend=START_OR_SET)
    return found.settings


def look() -> Found:
    """Return what can be found out, also when nothing runs.

    Raises:
        Stop: The settings cannot be read.
    """
    try:
        return _look()
    except (ValidationError, SettingsError) as wrong:
        faults = "; ".join(setting_faults(wrong))
        raise Stop(Code.OUT_OF_REACH, f"the settings cannot be used: {faults}") from None


def setting_faults(wrong: ValidationError | SettingsError) -> list[str]:
    """Say which variables are wrong and which rule each breaks, and never what they hold."""
    if not isinstance(wrong, ValidationError):
        return [str(wrong)]
    return [
        f"{PREFIX}{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in wrong.errors(include_url=False, include_input=False, include_context=False)
    ]


def stack_note(var_dir: Path) -> StackNote | None:
    """Return the note of a stack that runs, or None."""
    path = var_dir / STACK_NOTE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        note = StackNote(int(told["pid"]), {str(name): str(value) for name, value in told["env"].items()})
    except PermissionError as closed:
        raise Stop(Code.OUT_OF_REACH, f"{path} belongs to another user", mend="run as that user") from closed
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None  # none, or another version's, which is not ours to read
    return note if is_alive(note.pid) else None


def _look() -> Found:
    given = Settings()
    note = stack_note(given.var_dir)
    if note is not None and not _is_of_another_stack(note):
        named = _named_variables()
        left = {name: value for name, value in note.env.items() if name not in named}
        return Found(Settings(**_nested(left)), f"{given.var_dir / STACK_NOTE} (process {note.pid})")
    if given.database_url is not None:
        return Found(given, "the environment")
    return _with_engines(given)


def _with_engines(given: Settings) -> Found:
    from number_orders.embedded.engines import running_engines  # noqa: PLC0415  costs a tenth of a second that others need not pay

    engines = running_engines(given.var_dir)
    if engines is None:
        return Found(given, "the environment")
    urls = {
        "database_url": SecretStr(engines.database_url),
        "broker_url": given.broker_url or SecretStr(engines.broker_url),
    }
    where = f"the engines under {given.var_dir} (process {engines.starter_pid})"
    return Found(given.model_copy(update=urls), where)


def _named_variables() -> dict[str, str]:
    return {name.upper(): value for name, value in os.environ.items() if value}  # an empty one is none


def _is_of_another_stack(note: StackNote) -> bool:
    """Tell whether the environment names other addresses than the note."""
    named = _named_variables()
    return any(name in named and named[name] != note.env.get(name) for name in _ADDRESSES)


def _nested(env: Mapping[str, str]) -> dict[str, Any]:
    """Write variables as the settings nest: `…BANDWIDTH__SITE_ID` is `bandwidth.site_id`."""
    tree: dict[str, Any] = {}
    for name, value in env.items():
        if name.startswith(PREFIX):
            *path, leaf = name.removeprefix(PREFIX).lower().split("__")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
            branch[leaf] = value
    return tree
