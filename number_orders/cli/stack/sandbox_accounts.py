"""The settings that point each carrier at a sandbox.

They are the sandbox's published accounts (docs/sandbox.md).
"""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import SecretStr

from config.settings import CarrierSettings, Settings
from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.swift.access import SwiftAccount

AccountSettings = dict[str, object]

_SETTLE_S: Final = 10.0


def _bandwidth() -> AccountSettings:
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


def _cm() -> AccountSettings:
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


def _swift() -> AccountSettings:
    account = SwiftAccount()
    return {"api_key": SecretStr(account.api_key), "account_id": account.account_id}


SANDBOX_ACCOUNTS: Final[Mapping[str, Callable[[], AccountSettings]]] = {
    "bandwidth": _bandwidth,
    "cm": _cm,
    "swift": _swift,
}
"""The carriers that have a sandbox, by their names in the settings."""


def sandbox_settings(url: str) -> dict[str, AccountSettings]:
    """Return the settings of each carrier for a sandbox at `url`."""
    return {name: {"base_url": url, **own()} for name, own in SANDBOX_ACCOUNTS.items()}


def sandbox_settle_time(settings: CarrierSettings) -> AccountSettings:
    """Return a short settle time, unless one is set: a sandbox's lists lag by seconds."""
    return {} if "settle_s" in settings.model_fields_set else {"settle_s": _SETTLE_S}


def sandbox_policies(settings: Settings) -> dict[str, object]:
    """Return what the sandbox must take from our settings: rules of the carriers that we keep too."""
    return {"taint_s": settings.swift.taint_window_s}
