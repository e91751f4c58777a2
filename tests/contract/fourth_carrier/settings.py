"""Meridian's settings and its entry in the registry: what a new carrier adds to `config/` and `workers/`."""

from functools import partial
from typing import Self

from pydantic import SecretStr, model_validator

from config.settings import BaseUrl, CarrierSettings, Settings
from number_orders.carriers.http.credentials import ApiKeyHeader
from number_orders.carriers.notices import NoticeAddresses
from tests.contract.fourth_carrier.adapter import Meridian
from workers.carriers import CarrierEntry, ConfiguredCarrier


class MeridianSettings(CarrierSettings):
    """Meridian, set up if it has a shop."""

    base_url: BaseUrl = "https://api.meridian.example"
    shop: str | None = None
    key: SecretStr | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.shop is not None and self.key is None:
            raise ValueError("key is needed: Meridian knows nobody without one")
        return self


class SettingsWithMeridian(Settings):
    """The settings with one more line."""

    meridian: MeridianSettings = MeridianSettings()


def _meridian(settings: MeridianSettings, addresses: NoticeAddresses | None) -> ConfiguredCarrier:
    assert settings.shop, "without a shop there is nothing to set up"
    assert settings.key, "the settings refuse a shop without a key"
    key = settings.key.get_secret_value()
    return ConfiguredCarrier(
        Meridian(settings.shop), settings, settings.shop, partial(ApiKeyHeader, "X-Meridian-Key", key)
    )


MERIDIAN = CarrierEntry("meridian", "Meridian", account_setting="shop", build=_meridian)
