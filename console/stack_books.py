"""What a directory of ours remembers between starts, and the starts that it refuses for it.

Practice and earnest must not meet in one ledger: an order left unfinished with the practice carrier would be sent
to a real one, for money, by the next start.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from config.settings import PREFIX, CarrierSettings, Settings
from console.stack_ready import StackError
from embedded.home import write_private

PRACTICE: Final = "practice"

_BOOKED_WITH: Final = "carriers.json"
_OF_BANDWIDTH: Final = ("base_url", "site_id", "client_id", "client_secret", "token", "username", "password")
_OF_CM: Final = ("base_url", "product_token", "company_profiles")
_NAMES: Final = {"bandwidth": "Bandwidth", "cm": "CM.com"}


def refuse_half_a_carrier(settings: Settings) -> None:
    """Refuse settings that begin to set a carrier up: whoever wrote them did not mean to practise.

    Raises:
        StackError: something of an account is set, but not which account.
    """
    _refuse_half("bandwidth", settings.bandwidth, "account_id", _OF_BANDWIDTH)
    _refuse_half("cm", settings.cm, "account_guid", _OF_CM)


def _refuse_half(carrier: str, own: CarrierSettings, account: str, others: Sequence[str]) -> None:
    given = [name for name in others if name in own.model_fields_set]
    if getattr(own, account) is None and given:
        name = f"{PREFIX}{carrier.upper()}__"
        raise StackError(
            f"{name}{given[0].upper()} is set, but {name}{account.upper()} is not",
            mend=f"set that too, to work with {_NAMES[carrier]}, or unset both, to work with the practice carrier",
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
                f"the ledger under {var_dir} holds orders of {_NAMES.get(carrier, carrier)} account {known[carrier]}, "
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
