"""Remembers accounts and ports between starts in the var directory, and refuses starts that do not fit them.

Sandbox and real orders must not be in one ledger: the next start would send an unfinished sandbox order to the real
carrier, for money.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config.settings import PREFIX, CarrierSettings, Settings
from number_orders.cli.stack.readiness import StackError
from number_orders.embedded.files import write_private
from workers.carriers import CARRIERS, CarrierEntry

PRACTICE_ACCOUNT: Final = "practice"

_ACCOUNTS_FILE: Final = "carriers.json"
_LOCK_FILE: Final = "up.lock"
_PID_BYTES: Final = 20
_TITLES: Final = {entry.name: entry.title for entry in CARRIERS}


@contextmanager
def only_here(var_dir: Path) -> Iterator[None]:
    """Let one stack at a time run under a directory.

    The lock is free as soon as the process that has it is gone, however it ended.

    Raises:
        StackError: One runs here already.
    """
    fd = os.open(var_dir / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(fd, _PID_BYTES, 0).decode(errors="replace").strip() or "unknown"
            raise StackError(
                f"`up` runs here already (pid {pid}), under {var_dir}",
                hint=f"use it: `number-orders env` prints its addresses; or stop it: kill {pid}; "
                f"or set {PREFIX}VAR_DIR to another directory for a second one",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def refuse_incomplete_carriers(settings: Settings) -> None:
    """Refuse settings that configure a carrier incompletely: they were not meant for the sandbox.

    Raises:
        StackError: Some setting of an account is set, but not the account.
    """
    for entry in CARRIERS:
        _refuse_incomplete(entry, entry.settings_in(settings))


def _refuse_incomplete(entry: CarrierEntry, own: CarrierSettings) -> None:
    # Settings of patience have defaults and identify no account. Credentials have no default, and base_url counts too.
    fields = type(own).model_fields
    identifying = {name for name, field in fields.items() if not field.default or name == "base_url"} - {
        entry.account_setting
    }
    given = [name for name in fields if name in identifying & own.model_fields_set]
    if getattr(own, entry.account_setting) is None and given:
        name = f"{PREFIX}{entry.name.upper()}__"
        raise StackError(
            f"{name}{given[0].upper()} is set, but {name}{entry.account_setting.upper()} is not",
            hint=f"set that too, to work with {entry.title}, or unset both, to use the sandbox carriers",
        )


def refuse_other_accounts(var_dir: Path, accounts: Mapping[str, str]) -> None:
    """Record the account of each carrier that this directory's ledger is used with, and refuse a different one.

    Only the embedded ledger is recorded. The owner of any other knows whose orders it has.

    Raises:
        StackError: The ledger was used with another account.
    """
    accounts_file = var_dir / _ACCOUNTS_FILE
    known: Mapping[str, str] = json.loads(accounts_file.read_text(encoding="utf-8")) if accounts_file.exists() else {}
    for carrier, account in accounts.items():
        if known.get(carrier, account) != account:
            raise StackError(
                f"the ledger under {var_dir} holds orders of {_TITLES.get(carrier, carrier)} account {known[carrier]}, "
                f"and the settings say {account}",
                hint=f"choose another directory ({PREFIX}VAR_DIR), "
                f"or remove {accounts_file} if none of them may still be sent",
            )
    write_private(accounts_file, json.dumps({**known, **accounts}) + "\n")


def remembered_port(var_dir: Path, name: str) -> int | None:
    """Return the port that the process used last, so that its address stays the same if possible."""
    file = var_dir / f"{name}.port"
    return int(file.read_text(encoding="ascii")) if file.exists() else None


def remember_port(var_dir: Path, name: str, port: int) -> None:
    """Store the port for the next start."""
    write_private(var_dir / f"{name}.port", f"{port}\n")
