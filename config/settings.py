"""Settings from the environment: prefix `NUMBER_ORDERS_`, nested by `__`, secrets never printed.

`NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID=…` sets `bandwidth.account_id`. Durations are seconds and say so in their names.
An empty variable counts as unset.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "NUMBER_ORDERS_"

Seconds = Annotated[float, Field(gt=0)]
PerSecond = Annotated[float, Field(gt=0, le=10_000)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^/\s]+\S*$")]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]
"""Scheme, host and port; the path is the carrier's own."""


def _json_object(given: object) -> object:
    """Read a map from text: the environment has nothing else to write it with."""
    return json.loads(given) if isinstance(given, str) else given


Guid = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
ProfileKey = Annotated[str, Field(pattern=r"^[A-Z]{3}:(local|national|toll_free)$")]
"""Country and number type, such as `NLD:local`."""
StatusMeaning = Literal["open", "completed", "rejected", "cancelled"]


class OnNotListed(StrEnum):
    """What becomes of an order whose answer was lost and of which the carrier has no record."""

    RESEND = "resend"
    PARK = "park"


class CarrierSettings(BaseModel):
    """How to deal with one carrier, whichever it is."""

    limit_groups: ClassVar[frozenset[str]] = frozenset({"ALL"})
    """What the carrier limits together, in its own words: the names that `limits` may use."""

    base_url: BaseUrl
    timeout_s: Seconds = 30.0
    """The longest that one request may take, all in all."""
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 25.0
    pool_timeout_s: Seconds = 5.0
    answer_bytes_max: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    concurrency: Annotated[int, Field(ge=1, le=500)] = 40
    """Conversations that one lane holds at once in one pool child."""
    ask_first_s: Seconds = 2.0
    ask_factor: Annotated[float, Field(ge=1)] = 1.6
    ask_max_s: Seconds = 300.0
    slow_ask_max_s: Seconds = 1800.0
    """The slowest cadence for orders that wait for stock or for people."""
    doubt_first_s: Seconds = 5.0
    doubt_patience_s: Annotated[float, Field(ge=0)] = 300.0
    doubt_asks: Annotated[int, Field(ge=1)] = 3
    on_not_listed: OnNotListed = OnNotListed.RESEND
    losses_max: Annotated[int, Field(ge=1)] = 3
    """An order whose answer was lost this often, and that is not on record, is parked instead of sent once more."""
    overdue_after_s: Seconds = 3600.0
    limits: Annotated[Mapping[str, PerSecond], BeforeValidator(_json_object)] = {}
    """Requests a second that the carrier takes, by its own groups, as JSON: `{"ALL": 5}`. Unnamed is unlimited."""
    breaker_faults: Annotated[int, Field(ge=1)] = 10
    """So often in a row out of reach, and the carrier is left alone for a while."""
    breaker_hold_first_s: Seconds = 5.0
    breaker_hold_max_s: Seconds = 300.0

    @model_validator(mode="after")
    def _patience_outlives_requests(self) -> Self:
        if self.connect_timeout_s > self.timeout_s or self.read_timeout_s > self.timeout_s:
            raise ValueError("connect_timeout_s and read_timeout_s may not exceed timeout_s")
        return self

    @model_validator(mode="after")
    def _limits_are_the_carriers(self) -> Self:
        if unknown := sorted(self.limits.keys() - self.limit_groups):
            raise ValueError(f"limits: {', '.join(unknown)} is none of {', '.join(sorted(self.limit_groups))}")
        return self

    @property
    def answer_within_s(self) -> float:
        """After this, a begun submission without an answer is in doubt: twice the life of any request."""
        return 2 * self.timeout_s


class BandwidthSettings(CarrierSettings):
    """Bandwidth, set up as soon as it has an account id."""

    limit_groups = frozenset({"ORDER", "DISCONNECT", "HISTORY"})

    base_url: BaseUrl = "https://api.bandwidth.com"
    account_id: str | None = None
    site_id: str | None = None
    """The sub-account that numbers go to, unless the order says otherwise."""
    client_id: str | None = None
    client_secret: SecretStr | None = None
    token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        if self.account_id is None:
            return self
        ways = (self.client_id and self.client_secret, self.token, self.username and self.password)
        if sum(map(bool, ways)) != 1:
            raise ValueError("give exactly one of client_id with client_secret, token, or username with password")
        if self.site_id is None:
            raise ValueError("site_id is needed: numbers go to a sub-account")
        return self


class CMSettings(CarrierSettings):
    """CM.com, set up as soon as it has an account. People decide there, so it is asked at their pace."""

    base_url: BaseUrl = "https://api.cm.com"
    account_guid: Guid | None = None
    """The logical account or voice account that numbers go to."""
    product_token: SecretStr | None = None
    company_profiles: Annotated[Mapping[ProfileKey, Guid], BeforeValidator(_json_object)] = {}
    """Who operates the numbers, as JSON: `{"NLD:local": "9f0c…"}`. CM.com has no other word for a country."""
    statuses: Annotated[Mapping[str, StatusMeaning], BeforeValidator(_json_object)] = {}
    """What CM.com's words for a status mean, beside and before those that we assume, as JSON."""
    callback_url: HttpsUrl | None = None
    """Where CM.com tells that a request has changed, sent along as it is. Nothing here listens there or needs it to."""
    ask_first_s: Seconds = 30.0
    ask_max_s: Seconds = 900.0
    slow_ask_max_s: Seconds = 3600.0
    on_not_listed: OnNotListed = OnNotListed.PARK
    overdue_after_s: Seconds = 3 * 24 * 3600.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.account_guid is None:
            return self
        if self.product_token is None or not self.product_token.get_secret_value().strip():
            raise ValueError("product_token is needed: CM.com knows nobody without one")
        if not self.company_profiles:
            raise ValueError("company_profiles are needed: one for each country and number type that is ordered")
        return self


class SwiftSettings(CarrierSettings):
    """Swift, set up as soon as it has an API key."""

    base_url: BaseUrl = "https://api.swift-api.com"
    api_key: SecretStr | None = None
    """Starts with `apik_`, and has a user with permission to order assigned."""
    account_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")] | None = None
    """The own account. Set, orders of different accounts buy side by side; else they stand in one line."""
    taint_window_s: Seconds = 1800.0
    """How long Swift lets no number be removed that was just ordered."""
    taint_margin_s: Annotated[float, Field(ge=0)] = 60.0
    """How much longer we leave it alone."""

    @model_validator(mode="after")
    def _key_is_one(self) -> Self:
        if self.api_key is not None and not re.fullmatch(r"apik_[\x21-\x7e]+", self.api_key.get_secret_value()):
            raise ValueError("api_key must start with apik_ and hold no blanks: Swift accepts no other")
        return self


class Settings(BaseSettings):
    """Everything that can be set. Left alone, it is the embedded default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # `${NAME:-}` in a compose file, or `NAME=` in an .env file, sets nothing
        extra="ignore",
    )

    database_url: SecretStr | None = None
    """libpq URL of the ledger. None: the embedded PostgreSQL under `var_dir`."""
    broker_url: SecretStr | None = None
    """Celery broker. None: the embedded Valkey under `var_dir`."""
    result_url: SecretStr | None = None
    """Where tickets are kept; the broker itself, when it is a Redis or Valkey."""
    var_dir: Path = Path("var")
    children: Annotated[int, Field(ge=1)] = 8
    """Pool children per worker."""
    lane_children: Annotated[int, Field(ge=1)] = 2
    """How many of them one lane may have at once: one while it keeps up, and never more than this."""
    database_connections: Annotated[int, Field(ge=1)] = 3
    """At most, per pool child."""
    receipts_kept_days: Annotated[int, Field(ge=1)] = 30
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = True
    flower_port: Annotated[int, Field(ge=0, le=65535)] = 5555
    flower_password: SecretStr | None = None
    bandwidth: BandwidthSettings = BandwidthSettings()
    cm: CMSettings = CMSettings()
    swift: SwiftSettings = SwiftSettings()

    @property
    def lanes_together(self) -> int:
        """How many pool children all lanes may have together; the others are there for orders that come in."""
        return max(1, self.children - max(1, self.children // 4))

    @property
    def tickets_url(self) -> str | None:
        """Where tickets are kept, or None when the broker cannot keep them and nothing else was named."""
        if self.result_url:
            return self.result_url.get_secret_value()
        broker = self.broker_url.get_secret_value() if self.broker_url else ""
        return broker if broker.startswith(("redis://", "rediss://", "sentinel://")) else None
