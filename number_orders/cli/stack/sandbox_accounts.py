"""Who we are at the practice carriers: what points number-orders at a sandbox, carrier by carrier.

The values are those of the practice accounts, which docs/sandbox.md publishes.
"""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import SecretStr

from config.settings import Settings
from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.swift.access import SwiftAccount

Own = dict[str, object]


def _bandwidth() -> Own:
    account = Account()
    client_id, client_secret = account.client
    return {
        "account_id": account.account_id,
        "site_id": next(iter(account.sites)),
        "client_id": client_id,
        "client_secret": SecretStr(client_secret),
    }


_COUNTRIES: Final = {"NL": "NLD", "BE": "BEL", "GB": "GBR", "DE": "DEU", "US": "USA"}
_TYPES: Final = {"LOCAL": "local", "NATIONAL": "national", "TOLLFREE": "toll_free"}


def _cm() -> Own:
    account = CmAccount()
    profiles = {
        f"{_COUNTRIES[profile.country]}:{_TYPES[word]}": guid
        for guid, profile in account.company_profiles.items()
        for word in profile.types
    }
    return {
        "account_guid": account.account_guid,
        "product_token": SecretStr(account.product_token),
        "company_profiles": profiles,
    }


def _swift() -> Own:
    account = SwiftAccount()
    return {"api_key": SecretStr(account.api_key), "account_id": account.account_id}


PRACTISED: Final[Mapping[str, Callable[[], Own]]] = {"bandwidth": _bandwidth, "cm": _cm, "swift": _swift}
"""Carriers that can be practised with, by their names in the settings."""


def practised(url: str) -> dict[str, Own]:
    """Return what each carrier's own settings say when the sandbox at `url` stands in for it."""
    return {name: {"base_url": url, **own()} for name, own in PRACTISED.items()}


def sandbox_policies(settings: Settings) -> dict[str, object]:
    """Return what the practice carriers must know of our settings: rules of theirs that we keep."""
    return {"taint_s": settings.swift.taint_window_s}
