"""Finds the stack that a command uses: the environment's, otherwise the one that runs under the var directory.

`up` and `demo` leave `stack.json` in the var directory, with their process id and the environment variables of their
stack. It counts while that process lives, unless the environment names another stack; each variable of the environment
overrides the same one there. Engines without a stack are found by their own file.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from config.faults import setting_faults
from config.settings import PREFIX, Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.embedded.lock import is_alive

STACK_NOTE: Final = "stack.json"

_ADDRESSES: Final = (f"{PREFIX}DATABASE_URL", f"{PREFIX}BROKER_URL")
NOTHING_RUNS: Final = "nothing runs here"
START_HINT: Final = (
    f"start `number-orders up` here; or set {PREFIX}VAR_DIR to the directory of a stack that runs, "
    f"or {' and '.join(_ADDRESSES)}"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Settings, and where they were found. Without a database URL nothing runs here."""

    settings: Settings
    where: str
    receiver: str | None = None
    """The address of the orders API of a running stack."""
    var_dir: Path | None = None
    """The directory under which the stack runs; None if only the environment names it."""


@dataclass(frozen=True, slots=True)
class StackNote:
    """What `up` or `demo` stored about its running stack."""

    pid: int
    env: Mapping[str, str] = field(repr=False)  # holds passwords
    receiver: str | None = None


def find_settings() -> Settings:
    """Return the settings of the stack.

    Raises:
        Stop: Nothing runs here, or the settings cannot be read.
    """
    return find_stack().settings


def find_stack() -> Found:
    """Return the settings of the stack, and where they were found.

    Raises:
        Stop: Nothing runs here, or the settings cannot be read.
    """
    found = discover()
    if found.settings.database_url is None:
        raise Stop(ExitCode.OUT_OF_REACH, NOTHING_RUNS, hint=START_HINT)
    return found


def discover() -> Found:
    """Return the settings that can be found, even if nothing runs.

    Raises:
        Stop: The settings cannot be read.
    """
    try:
        return _look()
    except (ValidationError, SettingsError) as wrong:
        faults = "; ".join(setting_faults(wrong))
        raise Stop(ExitCode.OUT_OF_REACH, f"the settings cannot be used: {faults}") from None


def stack_note(var_dir: Path) -> StackNote | None:
    """Return the note of a running stack, or None."""
    path = var_dir / STACK_NOTE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        note = StackNote(
            int(stored["pid"]), {str(name): str(value) for name, value in stored["env"].items()}, stored.get("receiver")
        )
    except PermissionError as closed:
        raise Stop(ExitCode.OUT_OF_REACH, f"{path} belongs to another user", hint="run as that user") from closed
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None  # there is none, or it is another version's
    return note if is_alive(note.pid) else None


def _look() -> Found:
    given = Settings()
    note = stack_note(given.var_dir)
    if note is not None and not _is_of_another_stack(note):
        named = _named_variables()
        left = {name: value for name, value in note.env.items() if name not in named}
        where = f"{given.var_dir / STACK_NOTE} (process {note.pid})"
        return Found(Settings(**_nested(left)), where, note.receiver, given.var_dir)
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
    return Found(given.model_copy(update=urls), where, var_dir=given.var_dir)


def _named_variables() -> dict[str, str]:
    return {name.upper(): value for name, value in os.environ.items() if value}  # an empty variable counts as unset


def _is_of_another_stack(note: StackNote) -> bool:
    """Tell whether the environment names a different database or broker than the note."""
    named = _named_variables()
    return any(name in named and named[name] != note.env.get(name) for name in _ADDRESSES)


def _nested(env: Mapping[str, str]) -> dict[str, Any]:
    """Nest variables as the settings do: `…BANDWIDTH__SITE_ID` becomes `bandwidth.site_id`."""
    tree: dict[str, Any] = {}
    for name, value in env.items():
        if name.startswith(PREFIX):
            *path, leaf = name.removeprefix(PREFIX).lower().split("__")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
            branch[leaf] = value
    return tree
