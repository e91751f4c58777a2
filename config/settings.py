"""Settings from the environment: prefix `NUMBER_ORDERS_`, nested by `__`, secrets never printed.

`NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID=…` sets `bandwidth.account_id`. Durations are in seconds, and their names end in
`_s`. An empty variable counts as unset.
"""

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    FilePath,
    IPvAnyNetwork,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from config.addresses import REDIS, check_broker_url, check_database_url, check_result_url, scheme_of
from config.queues import SWEEP_EVERY_S

PREFIX = "NUMBER_ORDERS_"
OFF = "off"
FLOWER_USER = "operator"
"""The user name that goes with `flower_password`."""

Seconds = Annotated[float, Field(gt=0)]
PerSecond = Annotated[float, Field(gt=0, le=10_000)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^/\s]+\S*$")]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]
"""Scheme, host and port; the adapter adds the path."""
PublicUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$")]
"""Scheme, host and port, and a path if a proxy adds one."""
LongSecret = Annotated[SecretStr, Field(min_length=32)]


def _json_object(given: object) -> object:
    """Read a map from JSON, since an environment variable holds only text."""
    return json.loads(given) if isinstance(given, str) else given


def _children_here() -> int:
    """Return how many pool children a worker has on this machine: the cores that it may use, within bounds.

    Three: one works the lanes, one takes orders in, and one is left for what takes minutes, or for a lane that is
    behind. In a container the cores may be those of a large machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(3, cores), 8)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


Guid = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
ProfileKey = Annotated[str, Field(pattern=r"^[A-Z]{3}:(local|national|toll_free)$")]
"""Country and number type, such as `NLD:local`."""
StatusMeaning = Literal["open", "completed", "rejected", "cancelled"]


class OnNotListed(StrEnum):
    """What to do with an order whose answer was lost and which the carrier does not list."""

    RESEND = "resend"
    PARK = "park"


class CarrierSettings(BaseModel):
    """The settings that every carrier has."""

    limit_groups: ClassVar[frozenset[str]] = frozenset({"ALL"})
    """The groups of requests that the carrier limits together, by its own names: the keys that `limits` may have."""

    base_url: BaseUrl
    """Scheme, host and port of the carrier's API."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 30.0
    """The longest time for one request, from connecting to the last byte of the answer.

    At most 60: a worker's task is killed after 180 s, and a longer request could be killed in the middle of a purchase.
    """
    connect_timeout_s: Seconds = 5.0
    """The longest time to connect."""
    read_timeout_s: Seconds = 25.0
    """The longest silence before and within an answer."""
    pool_timeout_s: Seconds = 5.0
    """The longest wait for a free connection."""
    answer_bytes_max: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    """The longest answer that is read; a longer one is unreadable."""
    concurrency: Annotated[int, Field(ge=1, le=500)] = 40
    """How many conversations with the carrier one lane run holds at the same time."""
    ask_first_s: Seconds = 2.0
    """After this an order that the carrier has is asked about for the first time."""
    ask_factor: Annotated[float, Field(ge=1)] = 1.6
    """By this each pause between two questions is longer than the one before."""
    ask_max_s: Seconds = 300.0
    """The longest interval between questions about an open order: from `ask_first_s`, each is `ask_factor` longer."""
    slow_ask_max_s: Seconds = 1800.0
    """The longest interval between questions about an order that waits for stock or for people."""
    doubt_first_s: Seconds = 5.0
    """An order in doubt is searched for at the carrier for the first time after this time."""
    doubt_patience_s: Annotated[float, Field(ge=0)] = 300.0
    """An order that is not listed for so long counts as never arrived."""
    doubt_asks: Annotated[int, Field(ge=1)] = 3
    """An order in doubt counts as absent when this many questions over `doubt_patience_s` did not find it."""
    on_not_listed: OnNotListed = OnNotListed.RESEND
    """What to do with an order that counts as absent: send it again, or park it."""
    losses_max: Annotated[int, Field(ge=1)] = 3
    """An order whose answer was lost this often and that is not listed is parked instead of sent again."""
    settle_s: Annotated[float, Field(ge=0)] = 120.0
    """An end with fewer numbers than ordered is believed once the carrier has shown the same for this long."""
    settle_looks: Annotated[int, Field(ge=1)] = 3
    """How many looks must show the same before such an end is believed."""
    late_look_s: Seconds = 86_400.0
    """An order that may have been bought twice is looked for once more, this long after its end."""
    overdue_after_s: Seconds = 3600.0
    """An order that takes longer raises the alarm `overdue`; it is asked about all the same."""
    limits: Annotated[Mapping[str, PerSecond], BeforeValidator(_json_object)] = {}
    """Requests per second by limit group, as JSON: `{"ALL": 5}`. A group that is not named has no limit."""
    breaker_faults: Annotated[int, Field(ge=1)] = 10
    """After this many faults in a row the circuit breaker opens: the carrier is left alone for a while."""
    breaker_hold_first_s: Seconds = 5.0
    """For so long a carrier is left alone that could not be reached."""
    breaker_hold_max_s: Seconds = 300.0
    """The longest of these holds; each is twice as long as the one before."""

    @model_validator(mode="after")
    def _timeouts_fit(self) -> Self:
        if self.connect_timeout_s > self.timeout_s or self.read_timeout_s > self.timeout_s:
            raise ValueError("connect_timeout_s and read_timeout_s may not exceed timeout_s")
        return self

    @model_validator(mode="after")
    def _limit_groups_exist(self) -> Self:
        if unknown := sorted(self.limits.keys() - self.limit_groups):
            raise ValueError(f"limits: {', '.join(unknown)} is none of {', '.join(sorted(self.limit_groups))}")
        return self

    @property
    def answer_within_s(self) -> float:
        """After this a submission without an answer is in doubt. No request lives for twice its timeout."""
        return 2 * self.timeout_s


class BandwidthSettings(CarrierSettings):
    """Bandwidth; configured if it has an account id."""

    limit_groups = frozenset({"ORDER", "DISCONNECT", "HISTORY", "INSERVICE_NPANXX", "SUBSCRIPTION"})

    base_url: BaseUrl = "https://api.bandwidth.com"
    account_id: str | None = None
    """The account that orders are placed with. Without it the carrier is not set up."""
    site_id: str | None = None
    """The sub-account that numbers go to, unless the order names another."""
    client_id: str | None = None
    """OAuth 2: the client, with `client_secret`."""
    client_secret: SecretStr | None = None
    """OAuth 2: the secret of `client_id`."""
    token: SecretStr | None = None
    """A bearer token, instead of OAuth 2."""
    username: str | None = None
    """HTTP Basic, with `password`, instead of OAuth 2."""
    password: SecretStr | None = None
    """HTTP Basic, with `username`."""
    notice_username: Annotated[str, Field(pattern=r"^[^:\s]{1,100}$")] = "number-orders"
    """The user name with which the carrier sends its notices."""
    notice_password: LongSecret | None = None
    """What Bandwidth's notices come with. Without it, or without `public_url`, none are subscribed to or taken."""
    subscription_s: Annotated[float, Field(ge=7200)] = 7 * 86_400.0
    """How long a subscription lasts. Beat renews it when less than half of that is left."""

    @model_validator(mode="after")
    def _credentials_are_complete(self) -> Self:
        if self.account_id is None:
            return self
        ways = (self.client_id and self.client_secret, self.token, self.username and self.password)
        if sum(map(bool, ways)) != 1:
            raise ValueError("give exactly one of client_id with client_secret, token, or username with password")
        if self.site_id is None:
            raise ValueError("site_id is needed: it names the sub-account that numbers go to")
        return self


class CMSettings(CarrierSettings):
    """CM.com; configured if it has an account. People decide about orders there, so it is asked at long intervals."""

    base_url: BaseUrl = "https://api.cm.com"
    account_guid: Guid | None = None
    """The logical account or voice account that numbers go to."""
    product_token: SecretStr | None = None
    """The token of every request."""
    company_profiles: Annotated[Mapping[ProfileKey, Guid], BeforeValidator(_json_object)] = {}
    """The company profile that operates the numbers, as JSON: `{"NLD:local": "9f0c…"}`. It implies the country."""
    statuses: Annotated[Mapping[str, StatusMeaning], BeforeValidator(_json_object)] = {}
    """The meanings of CM.com's status words, as JSON; they take precedence over the meanings that we assume."""
    callback_url: HttpsUrl | None = None
    """Where CM.com is to report changes of a request, instead of to this service's receiver (`public_url`)."""
    ask_first_s: Seconds = 30.0
    """After this an order that the carrier has is asked about for the first time."""
    ask_max_s: Seconds = 900.0
    slow_ask_max_s: Seconds = 3600.0
    on_not_listed: OnNotListed = OnNotListed.PARK
    overdue_after_s: Seconds = 3 * 24 * 3600.0
    """An order that takes longer raises the alarm `overdue`; it is asked about all the same."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.account_guid is None:
            return self
        if self.product_token is None or not self.product_token.get_secret_value().strip():
            raise ValueError("product_token is needed: CM.com accepts no request without one")
        if not self.company_profiles:
            raise ValueError("company_profiles are needed: one for each country and number type that is ordered")
        return self


class SwiftSettings(CarrierSettings):
    """Swift; configured if it has an API key."""

    base_url: BaseUrl = "https://api.swift-api.com"
    api_key: SecretStr | None = None
    """Starts with `apik_`. Its user at Swift needs the permission to order."""
    account_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")] | None = None
    """The account to order for. If set, orders of different accounts run side by side; otherwise one after another."""
    settle_s: Annotated[float, Field(ge=0)] = 600.0
    """An end with fewer numbers than ordered is believed once Swift has shown the same for this long.

    Swift lists numbers late.
    """
    taint_window_s: Seconds = 1800.0
    """How long after it was ordered Swift refuses to remove a number."""
    taint_margin_s: Annotated[float, Field(ge=0)] = 60.0
    """How much longer than that we wait."""

    @model_validator(mode="after")
    def _key_is_well_formed(self) -> Self:
        if self.api_key is not None and not re.fullmatch(r"apik_[\x21-\x7e]+", self.api_key.get_secret_value()):
            raise ValueError("api_key must start with apik_ and hold no blanks: Swift accepts no other key")
        return self


class ReceiverSettings(BaseModel):
    """The receiver: the orders API over HTTP."""

    host: str = "127.0.0.1"
    """Where it listens. `0.0.0.0` in a container, behind a proxy that has the certificate."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """The port where it listens."""
    address_file: Path | None = None
    """Where the process writes its address. With it, a port that is taken is replaced by the next free one."""
    trusted_proxies: str = ""
    """Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count, separated by commas."""
    database_connections: Annotated[int, Field(ge=1, le=100)] = 8
    """The most ledger connections of one process."""
    rate_per_s: PerSecond = 100.0
    """Requests per second of one producer in one process; above it a request is answered 429."""
    rate_burst: Annotated[int, Field(ge=10, le=100_000)] = 200
    """How many requests may come at once after a rest. A question to carriers counts six times."""
    attempts_per_s: PerSecond = 5.0
    """Unknown tokens and sessions per second of one address that are looked up; above it a request is answered 429."""
    attempts_burst: Annotated[int, Field(ge=1, le=100_000)] = 50
    """How many of them may come at once after a rest."""
    streams_max: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """How many event streams one process serves at the same time."""
    streams_per_caller: Annotated[int, Field(ge=0, le=100_000)] = 200
    """How many of them for one producer or one operator."""
    questions_max: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many questions to carriers one process has under way at the same time."""
    board: bool = True
    """Whether the board is served at `/`."""
    board_idle_s: Annotated[float, Field(ge=60)] = 1800.0
    """After so long without use an operator has to log in again."""
    board_session_s: Annotated[float, Field(ge=60)] = 12 * 3600.0
    """A session ends after this time in any case."""
    board_user_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    """The header in which `trusted_proxies` name the operator. The proxy must remove it from what its clients send."""

    @model_validator(mode="after")
    def _header_comes_from_a_proxy(self) -> Self:
        if self.board_user_header and not self.trusted_proxies:
            raise ValueError("board_user_header needs trusted_proxies: only a proxy's word may be believed")
        return self


class WebhookSettings(BaseModel):
    """Order documents by HTTP: `notify.url`."""

    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    """The longest time for one attempt, from looking the host's name up to the status of the answer."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many documents one worker sends at the same time."""
    per_host: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many all workers together send to one host of one producer at the same time."""
    per_producer: Annotated[int, Field(ge=1, le=10_000)] = 50
    """How many all workers together send to all hosts of one producer at the same time. Keep it below
    `concurrency`, so that no producer takes every place."""
    retry_first_s: Seconds = 5.0
    """The first pause before a document is tried again."""
    retry_max_s: Seconds = 6 * 3600.0
    """The longest interval between attempts: from `retry_first_s`, each is three times as long as the one before."""
    retry_for_s: Seconds = 3 * 24 * 3600.0
    """How long a document is tried before it is given up, with the alarm `notification_given_up`."""
    ports: Annotated[frozenset[Annotated[int, Field(ge=1, le=65535)]], BeforeValidator(_json_object)] = frozenset(
        {443, 8443}
    )
    """The ports that a URL may have, as JSON: `[443, 8443]`."""
    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_json_object)] = ()
    """Networks that documents may be sent to although they are not public, as JSON: `["10.20.0.0/16"]`."""
    allowed_hosts: Annotated[frozenset[str], BeforeValidator(_json_object)] = frozenset()
    """Host names that documents may be sent to whatever their address is, as JSON: `["crm.internal"]`."""
    ca_file: FilePath | None = None
    """Certificates of a certificate authority of your own, in PEM, that are trusted beside the public ones."""

    @field_validator("allowed_hosts")
    @classmethod
    def _as_in_dns(cls, hosts: frozenset[str]) -> frozenset[str]:
        return frozenset(host.rstrip(".").lower() for host in hosts)


class ScheduleSettings(BaseModel):
    """How often beat starts what is to be done again and again. Why each: config/schedule.py."""

    sweep_s: Annotated[float, Field(gt=0, le=60)] = SWEEP_EVERY_S
    """Lanes with due work are woken so often: how late a lost wake-up can make an order."""
    watch_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Orders that block others are looked for so often."""
    subscribe_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """Subscriptions to carriers' notices are looked at so often."""
    forget_s: Annotated[float, Field(gt=0, le=86_400)] = 3600.0
    """Receipts, notices and snapshots past their retention are deleted so often."""
    archive_s: Annotated[float, Field(gt=0, le=86_400)] = 3600.0
    """Ended orders are archived so often, if `archive_after_days` is set."""


class _SecretFiles(EnvSettingsSource):
    """Reads files that are named as variables are, from the directory that `NUMBER_ORDERS_SECRETS_DIR` names.

    So `/run/secrets/NUMBER_ORDERS_DATABASE_URL` sets `database_url`. Other files there are left alone.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        directory = os.environ.get(f"{PREFIX}SECRETS_DIR")
        if not directory:
            return {}
        files = [file for file in Path(directory).iterdir() if file.name.upper().startswith(PREFIX) and file.is_file()]
        found = ((file.name.lower(), file.read_text(encoding="utf-8").strip()) for file in files)
        return {name: text for name, text in found if text}


class Settings(BaseSettings):
    """All settings. The defaults use the embedded PostgreSQL and Valkey."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # so `${NAME:-}` in a compose file or `NAME=` in an .env file sets nothing
        extra="ignore",
        hide_input_in_errors=True,  # a refused address holds a password
    )

    secrets_dir: Path | None = None
    """A directory with one file for each secret, named as its variable: `/run/secrets`. Variables go before files."""
    database_url: SecretStr | None = None
    """libpq URL of the ledger. None: the embedded PostgreSQL under `var_dir`.

    Several hosts (`host1:5432,host2:5432`) need `target_session_attrs=read-write`.
    """
    migration_url: SecretStr | None = None
    """The ledger's URL for `number-orders migrate`: a role that may create tables. None: `database_url`."""
    database_pooler: Literal["none", "transaction"] = "none"
    """`transaction`: a connection pooler (PgBouncer) gives each transaction any of its sessions."""
    database_prepared_statements: bool = True
    """False for a pooler that keeps none: PgBouncer before 1.21, or with `max_prepared_statements=0`."""
    sentinel_master: str | None = None
    """The name under which the sentinels of `sentinel://host1:26379;sentinel://host2:26379/0` know the master."""
    sentinel_kwargs: SecretStr | None = None
    """How to connect to the sentinels themselves, as JSON: `{"password": "…"}`."""
    broker_url: SecretStr | None = None
    """Celery broker: `redis://`, `rediss://`, `sentinel://`, `amqp://` or `amqps://`. None: the embedded Valkey."""
    result_url: SecretStr | None = None
    """Where tickets are stored: Redis, Sentinel, or `postgresql://`. None: the broker itself, unless it is RabbitMQ."""
    queue_type: Literal["classic", "quorum"] = "classic"
    """The type of the queues on RabbitMQ. A queue keeps the type that it was first declared with."""
    var_dir: Path = Path("var")
    """Where `up` keeps the embedded engines, passwords and logs."""
    children: int = Field(default_factory=_children_here, ge=1)
    """Pool children per worker. By default as many as the machine has cores, at least 3 and at most 8."""
    lane_children: Annotated[int, Field(ge=1)] = 2
    """The most pool children that work one lane at the same time. While one child keeps up, it is alone."""
    database_connections: Annotated[int, Field(ge=1)] = 3
    """The most ledger connections per pool child."""
    signed_messages: Literal["off", "accepted", "required"] = "off"
    """Whether queue messages are signed by their producers. `accepted`: a signature that is there must be right."""
    operators_queue: bool = False
    """Whether workers take operators' messages (`orders.park`, `resolve`, `retry`) from their queue."""
    numbers_per_hour: Annotated[int, Field(ge=0)] | Literal["off"] = 1000
    """The most numbers an hour of a producer for whom nobody has set a limit; `off`: as many as it likes."""
    receipts_kept_days: Annotated[int, Field(ge=1)] = 30
    """For so long receipts are kept, and carriers' notices."""
    public_url: PublicUrl | None = None
    """Where the receiver is reached from outside. Carriers are given addresses below it for their notices."""
    notice_secret: LongSecret | None = None
    """What the addresses of single orders are derived from, for carriers that report to such. All processes need it."""
    notice_secret_before: LongSecret | None = None
    """The secret before the present one. Addresses that were derived from it are still valid."""
    notice_asks_every_s: Seconds = 5.0
    """Notices make at most one question about an order due in this time, however many come."""
    notices_per_second: PerSecond = 500.0
    """So many notices of one carrier are taken by one receiver; further ones are answered 429."""
    notice_bytes_max: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """The longest notice that is taken."""
    guard_s: Annotated[float, Field(gt=0)] = 72 * 3600.0
    """How long orders are looked for before they are sent, after the ledger has fallen back in time."""
    reconcile_at: Annotated[str, Field(pattern=rf"^({OFF}|([01][0-9]|2[0-3]):[0-5][0-9])$")] = "02:40"
    """When beat has the numbers of all carriers compared with the ledger: a time of day in UTC, or `off`."""
    coverage_at: Annotated[str, Field(pattern=rf"^({OFF}|([01][0-9]|2[0-3]):[0-5][0-9])$")] = "04:10"
    """When beat has the stock of carriers counted that tell it: a time of day in UTC, or `off`."""
    coverage_kept_days: Annotated[int, Field(ge=1)] = 400
    """For so long coverage snapshots are kept."""
    archive_after_days: Annotated[int, Field(ge=30)] | Literal["off"] = "off"
    """Orders that ended so many days ago leave the table `orders` for the archive; `off`: none does."""
    schedule: ScheduleSettings = ScheduleSettings()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least important lines that are written."""
    log_json: bool = True
    """False: lines for a person instead of JSON."""
    receiver: ReceiverSettings = ReceiverSettings()
    traces_url: PublicUrl | None = None
    """Where OpenTelemetry traces of orders are sent (OTLP over HTTP): `http://collector:4318`. Needs the extra `otel`.

    OpenTelemetry's variables set the rest: `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`.
    """
    metrics_token: LongSecret | None = None
    """What Prometheus must send as `Authorization: Bearer …` for `/metrics` of receivers and workers."""
    metrics_open: bool = False
    """Whether `/metrics` asks for nothing. With neither a token nor this, there are no metrics."""
    metrics_every_s: Seconds = 15.0
    """How old the ledger's figures may be. Reading them costs the more, the more orders are under way."""
    metrics_host: str = "127.0.0.1"
    """Where each worker listens for who reads its own metrics. `0.0.0.0` in a container."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where each worker serves its own metrics; 0: nowhere. Several workers of one machine need a port each."""
    order_events: bool = True
    """Whether Flower is shown the orders. What it is shown says nothing of customers, and losing it costs nothing."""
    flower_host: str = "127.0.0.1"
    """Where Flower listens. `0.0.0.0` in a container, behind a proxy that has the certificate."""
    flower_port: Annotated[int, Field(ge=0, le=65535)] = 5555
    """The port where Flower listens; 0: any free one."""
    flower_address_file: Path | None = None
    """Where Flower writes its address. With it, a port that is taken is replaced by the next free one."""
    flower_password: Annotated[SecretStr, Field(min_length=8)] | None = None
    """What Flower asks for, with the user name `operator`; `up` makes one. Without it `number-orders flower` ends."""
    bandwidth: BandwidthSettings = BandwidthSettings()
    cm: CMSettings = CMSettings()
    swift: SwiftSettings = SwiftSettings()
    webhooks: WebhookSettings = WebhookSettings()

    @model_validator(mode="after")
    def _metrics_have_a_reader(self) -> Self:
        if self.metrics_port and not (self.metrics_token or self.metrics_open):
            raise ValueError("metrics_port needs metrics_token, or metrics_open if whoever reaches it may read them")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings are read, the strongest first: arguments, the environment, files of secrets."""
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @field_validator("database_url", "migration_url")
    @classmethod
    def _database_can_work(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_database_url(url.get_secret_value())
        return url

    @field_validator("sentinel_kwargs")
    @classmethod
    def _sentinel_kwargs_are_an_object(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not isinstance(_parsed(given.get_secret_value()), dict):
            raise ValueError('must be a JSON object, such as {"password": "…"}')
        return given

    @field_validator("broker_url", "result_url")
    @classmethod
    def _broker_can_work(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None:
            check = check_broker_url if info.field_name == "broker_url" else check_result_url
            check(url.get_secret_value(), sentinel_master=info.data.get("sentinel_master"))
        return url

    @property
    def ledger_options(self) -> Mapping[str, Any]:
        """How every connection to the ledger is opened, as `PostgresLedger.at` takes it."""
        return {
            "transaction_pooler": self.database_pooler == "transaction",
            "prepared_statements": self.database_prepared_statements,
        }

    @property
    def sentinel_options(self) -> Mapping[str, Any]:
        """How to connect to the sentinels themselves."""
        given = self.sentinel_kwargs
        return dict(json.loads(given.get_secret_value())) if given else {}

    @property
    def lanes_together(self) -> int:
        """How many pool children may work lanes at the same time; the others are kept for incoming orders.

        One child works all lanes while it keeps up.
        """
        return max(1, self.children - max(1, self.children // 4))

    @property
    def default_numbers_per_hour(self) -> int | None:
        """The limit of producers for whom nobody has set one; None: no limit."""
        return self.numbers_per_hour if isinstance(self.numbers_per_hour, int) else None

    @property
    def archive_after(self) -> timedelta | None:
        """How long after its end an order is archived; None: never."""
        return timedelta(days=self.archive_after_days) if isinstance(self.archive_after_days, int) else None

    @property
    def tickets_url(self) -> str | None:
        """Where tickets are stored; None if the broker cannot store them and `result_url` is not set."""
        if self.result_url:
            return self.result_url.get_secret_value()
        broker = self.broker_url.get_secret_value() if self.broker_url else ""
        return broker if scheme_of(broker) in REDIS else None
