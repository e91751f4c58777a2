"""How Celery, kombu and redis-py reach the broker and the store of tickets.

Turns addresses of the settings into what these libraries take; connects to nothing. Each transport gets its own
options, because it ignores those of the others without a word.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from redis.retry import Retry
from redis.sentinel import Sentinel

from config.addresses import REDIS, TICKET_DATABASE, scheme_of
from config.queues import AMQP_TRANSPORT, BELL_AMQP_TRANSPORT, BELL_TRANSPORT, TRANSPORT
from config.settings import Settings
from tasks.tickets import SentinelTicketStore, TicketStore

_CERT_REQS: Final = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


def broker_url(settings: Settings) -> str:
    """Return the address of the broker. Of `amqps://`, the TLS parameters go to `broker_use_ssl`."""
    if settings.broker_url is None:
        return "memory://"  # never used: `number-orders up` passes its processes the broker that it has started
    url = settings.broker_url.get_secret_value()
    match scheme_of(url):
        case "amqps":
            return ";".join(_without_query(part) for part in url.split(";"))
        case "sentinel":
            return _same_for_all_sentinels(url)
        case _:
            return _verified(url)


def broker_options(settings: Settings, *, is_sender: bool = False) -> dict[str, Any]:
    """Return the Celery settings that depend on the broker; a sender gives up quickly where a worker waits."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    if scheme_of(url) not in REDIS:
        transport = BELL_AMQP_TRANSPORT if is_sender else AMQP_TRANSPORT
        tls = {"broker_use_ssl": _amqp_tls(url)} if scheme_of(url) == "amqps" else {}
        return {
            "broker_transport_options": transport,
            "broker_heartbeat": 30,  # seconds; notices a silent RabbitMQ within two of them
            "worker_disable_prefetch": False,  # Celery knows it for Redis only: workers/flow_control.py does it here
            "task_create_missing_queue_type": settings.queue_type,
            **tls,
        }
    transport = BELL_TRANSPORT if is_sender else TRANSPORT
    options = {**transport, **_sentinel_options(settings, url)}
    return {"broker_transport_options": options, "worker_disable_prefetch": True}


def task_queue(settings: Settings, name: str) -> Queue:
    """Return a queue of the service, as it is declared on this broker."""
    return QuorumQueue(name, routing_key=name) if settings.queue_type == "quorum" else Queue(name, routing_key=name)


class QuorumQueue(Queue):
    """A quorum queue of RabbitMQ; other transports ignore the type.

    The type is added at the declaration, where Celery does not see it: for a queue that it knows as a quorum queue it
    declares 28 delay queues and as many exchanges, which nothing here uses.
    """

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        """Declare it as a quorum queue."""
        self.queue_arguments = {**(self.queue_arguments or {}), "x-queue-type": "quorum"}
        try:
            return super().queue_declare(nowait=nowait, passive=passive, channel=channel)
        finally:
            del self.queue_arguments["x-queue-type"]


def result_backend(settings: Settings) -> str:
    """Return the address of the store of tickets, as Celery takes it."""
    url = settings.tickets_url
    match scheme_of(url or ""):
        case "redis" | "rediss":
            return f"{TicketStore.__module__}:{TicketStore.__name__}+{_verified(str(url))}"
        case "sentinel":
            store = f"{SentinelTicketStore.__module__}:{SentinelTicketStore.__name__}"
            return f"{store}+{_same_for_all_sentinels(str(url))}"
        case scheme if scheme == TICKET_DATABASE:
            return f"db+{TICKET_DATABASE}+psycopg://{str(url).partition('://')[2]}"
        case _:
            return "disabled://"


def result_options(settings: Settings) -> dict[str, Any]:
    """Return the Celery settings that depend on the store of tickets."""
    options = _sentinel_options(settings, settings.tickets_url or "")
    return {"result_backend_transport_options": options} if options else {}


def redis_client(settings: Settings, url: str, *, timeout_s: float, retry: Retry | None = None) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `sentinel://`, which connects when it is used."""
    timeouts: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    timeouts |= {"retry": retry} if retry else {}
    if scheme_of(url) != "sentinel":
        return redis.Redis.from_url(_verified(url), **timeouts)
    sentinels = [urlsplit(part) for part in _same_for_all_sentinels(url).split(";")]
    first = sentinels[0]
    kwargs = {**timeouts, **settings.sentinel_options}
    hosts = [(one.hostname, one.port or 26379) for one in sentinels]
    known = Sentinel(hosts, sentinel_kwargs=kwargs, **timeouts)  # type: ignore[no-untyped-call]  # redis-py's own
    client: redis.Redis = known.master_for(  # type: ignore[no-untyped-call]  # the same
        str(settings.sentinel_master),
        username=first.username or None,
        password=first.password or None,
        db=int(first.path.strip("/") or 0),
    )
    return client


def open_connection(settings: Settings) -> Connection:
    """Return a connection to the broker that gives up quickly; it connects when it is used."""
    options = broker_options(settings, is_sender=True)
    return Connection(
        broker_url(settings),
        transport_options=options["broker_transport_options"],
        ssl=options.get("broker_use_ssl", False),
    )


def broker_fault(settings: Settings, *, within_s: int) -> BaseException | None:
    """Connect to the broker; return why it does not answer, or None if it does."""
    with open_connection(settings) as connection:
        # kombu raises its own error for those of the transport, but not for each of them.
        faults: tuple[type[BaseException], ...] = (
            OperationalError,
            *connection.connection_errors,
            *connection.channel_errors,
        )
        try:
            connection.ensure_connection(max_retries=1, timeout=within_s)
        except faults as trouble:
            return trouble
    return None


def _sentinel_options(settings: Settings, url: str) -> dict[str, Any]:
    if scheme_of(url) != "sentinel":
        return {}
    timeouts = {name: TRANSPORT[name] for name in ("socket_timeout", "socket_connect_timeout")}
    return {
        "master_name": settings.sentinel_master,
        "sentinel_kwargs": {**timeouts, **settings.sentinel_options},
    }


def _same_for_all_sentinels(url: str) -> str:
    """Return the address with database and credentials at every sentinel: kombu and Celery read the first one alone."""
    parts = [urlsplit(part if "://" in part else f"sentinel://{part}") for part in url.split(";")]
    path = next((part.path for part in parts if part.path.strip("/")), "/0")
    user = next((part.netloc.rpartition("@")[0] for part in parts if "@" in part.netloc), "")
    at = "@" if user else ""
    return ";".join(f"sentinel://{user}{at}{part.netloc.rpartition('@')[2]}{path}" for part in parts)


def _verified(url: str) -> str:
    """Return a `rediss://` address that says whether to verify the certificate: without a word kombu does not."""
    if scheme_of(url) != "rediss" or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}ssl_cert_reqs=required"


def _amqp_tls(url: str) -> Mapping[str, Any]:
    """Return py-amqp's TLS options from the parameters that `rediss://` takes too; certificates are verified."""
    first = urlsplit(url.partition(";")[0])
    given = dict(parse_qsl(first.query))
    options: dict[str, Any] = {
        name.removeprefix("ssl_"): given[name]
        for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        if name in given
    }
    options["cert_reqs"] = _CERT_REQS[given.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")]
    if options["cert_reqs"] is not ssl.CERT_NONE:
        options["server_hostname"] = None  # kombu puts the host of the address here; py-amqp checks the name then
    return options


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("ssl_")]
    return urlunsplit(parts._replace(query=urlencode(kept)))
