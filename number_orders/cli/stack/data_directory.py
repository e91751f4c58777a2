"""What a directory of ours remembers between starts, and the starts that it refuses for it.

Practice and earnest must not meet in one ledger: an order left unfinished with the practice carrier would be sent
to a real one, for money, by the next start.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from config.settings import PREFIX, CarrierSettings, Settings
from number_orders.cli.stack.readiness import StackError
from number_orders.embedded.files import write_private
from workers.carriers import CARRIERS, CarrierEntry

PRACTICE: Final = "practice"

_BOOKED_WITH: Final = "carriers.json"
_TITLES: Final = {entry.name: entry.title for entry in CARRIERS}


def refuse_half_a_carrier(settings: Settings) -> None:
    """Refuse settings that begin to set a carrier up: whoever wrote them did not mean to practise.

    Raises:
        StackError: something of an account is set, but not which account.
    """
    for entry in CARRIERS:
        _refuse_half(entry, entry.settings_in(settings))


def _refuse_half(entry: CarrierEntry, own: CarrierSettings) -> None:
    # Manners have defaults, and are no account; where a carrier is, and who we are there, have none, or tell.
    fields = type(own).model_fields
    telling = {name for name, field in fields.items() if not field.default or name == "base_url"} - {
        entry.account_setting
    }
    given = [name for name in fields if name in telling & own.model_fields_set]
    if getattr(own, entry.account_setting) is None and given:
        name = f"{PREFIX}{entry.name.upper()}__"
        raise StackError(
            f"{name}{given[0].upper()} is set, but {name}{entry.account_setting.upper()} is not",
            mend=f"set that too, to work with {entry.title}, or unset both, to work with the practice carrier",
        )


def refuse_foreign_books(var_dir: Path, accounts: Mapping[str, str]) -> None:
    """Remember with which account of each carrier the ledger of this directory is used, and refuse another one.

    Only our own ledger is remembered; whose orders stand in somebody else's, its owner knows.

    Raises:
        StackError: the ledger was used with another account.
    """
    books = var_dir / _BOOKED_WITH
    known: Mapping[str, str] = json.loads(books.read_text(encoding="utf-8")) if books.exists() else {}
    for carrier, account in accounts.items():
        if known.get(carrier, account) != account:
            raise StackError(
                f"the ledger under {var_dir} holds orders of {_TITLES.get(carrier, carrier)} account {known[carrier]}, "
                f"and the settings say {account}",
                mend=f"choose another directory ({PREFIX}VAR_DIR), or remove {books} if none of them may still be sent",
            )
    write_private(books, json.dumps({**known, **accounts}) + "\n")


def remembered_port(var_dir: Path, name: str) -> int | None:
    """Return the port that a process of ours had last, so that its address stays when it can."""
    file = var_dir / f"{name}.port"
    return int(file.read_text(encoding="ascii")) if file.exists() else None


def remember_port(var_dir: Path, name: str, port: int) -> None:
    """Prefer this port from now on."""
    write_private(var_dir / f"{name}.port", f"{port}\n")
