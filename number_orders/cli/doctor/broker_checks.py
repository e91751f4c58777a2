"""Checks of the broker: it takes writes, drops nothing, belongs to this ledger, and its keys hold our data."""

from collections.abc import Iterator
from typing import Any, Final

import redis

from config.addresses import REDIS, scheme_of
from config.queues import ALL, BELLS, OUR_KEYS, TRANSPORT
from config.settings import PREFIX, Settings
from number_orders.cli.discovery import NOTHING_RUNS, START_HINT
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.ledger.identity import read_identity
from number_orders.orders.errors import LedgerUnavailable
from workers import broker_owner
from workers.brokers import open_connection, redis_client
from workers.carriers import CARRIERS

_WITHIN_S: Final = 3
_NO_EVICTION: Final = "noeviction"
_PRIORITIES: Final = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""What kombu appends to the name of a queue for messages with a priority."""
_TRIAL_KEY: Final = f"{OUR_KEYS}doctor"
_FOR_EVER: Final = -1  # PTTL


def check_broker(settings: Settings) -> Check:
    """Connect to the broker, and check that it takes writes and drops no message when memory is short."""
    if settings.broker_url is None:
        return Check("broker", Verdict.WRONG, NOTHING_RUNS, START_HINT)
    url = settings.broker_url.get_secret_value()
    try:
        return _check_redis(settings, url) if scheme_of(url) in REDIS else _check_other_broker(settings, url)
    except Exception as trouble:  # noqa: BLE001  every transport has errors of its own
        why = scrubbed(str(trouble) or type(trouble).__name__, url)
        remedy = f"start the broker, or correct {PREFIX}BROKER_URL: without it, orders are accepted and not sent"
        return Check("broker", Verdict.WRONG, f"{masked(url)}: {why}", remedy)


def check_broker_content(settings: Settings) -> Iterator[Check]:
    """Check whose broker it is, and that each key of ours is of the type that we use. Needs a broker that answers."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    if scheme_of(url) not in REDIS:
        return
    try:
        with redis_client(settings, url, timeout_s=_WITHIN_S) as client:
            yield from _check_owner(client, settings)
            yield from _check_keys(client)
    except redis.RedisError as trouble:
        yield Check("broker", Verdict.WRONG, f"{masked(url)}: {scrubbed(str(trouble), url)}", None)


def _check_redis(settings: Settings, url: str) -> Check:
    with redis_client(settings, url, timeout_s=_WITHIN_S) as client:
        client.ping()
        try:
            info: dict[str, Any] = client.info()
        except redis.exceptions.NoPermissionError:
            remedy = "allow INFO to this user (+info), or see to it that maxmemory-policy is noeviction"
            return Check("broker", Verdict.LOOK, f"{masked(url)} does not show its maxmemory-policy", remedy)
        server = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
        policy = info.get("maxmemory_policy", _NO_EVICTION)
        where = f"{masked(url)}, {server}, {policy}"
        try:
            client.set(_TRIAL_KEY, "", px=1)
        except redis.ResponseError as refusal:
            remedy = "see its role (`INFO replication`) and its memory and disk: no order can be sent or answered"
            return Check("broker", Verdict.WRONG, f"{where}, takes no writes: {clean(refusal)}", remedy)
    if policy == _NO_EVICTION:
        return Check("broker", Verdict.GOOD, where)
    remedy = f"set maxmemory-policy {_NO_EVICTION}: any other drops messages when memory runs short"
    return Check("broker", Verdict.WRONG, where, remedy)


def _check_other_broker(settings: Settings, url: str) -> Check:
    with open_connection(settings) as connection:
        connection.ensure_connection(max_retries=1, timeout=_WITHIN_S)
        server = connection.connection.server_properties
    where = f"{masked(url)}, {server.get('product', 'AMQP')} {server.get('version', '')}".rstrip()
    return Check("broker", Verdict.GOOD, f"{where}, {settings.queue_type} queues")


def _check_owner(client: redis.Redis, settings: Settings) -> Iterator[Check]:
    """Compare the ledger that the broker belongs to with this one. Says nothing if either is not known."""
    try:
        owner = broker_owner.owner(client)
        own = read_identity(settings.database_url.get_secret_value()) if settings.database_url else None
    except (redis.ResponseError, LedgerUnavailable):
        return  # `_check_keys` or `check_database` names it
    if own is None or owner is None:
        return
    if owner.ledger_id == own.ledger_id:
        yield Check("owner", Verdict.GOOD, "the broker belongs to this ledger")
        return
    remedy = (
        f"correct {PREFIX}BROKER_URL or {PREFIX}DATABASE_URL: workers serve no other ledger's broker. If this ledger"
        " has replaced that one, run `number-orders take-broker`"
    )
    says = (
        f"the broker belongs to another ledger: {clean(owner.database)} ({clean(owner.ledger_id)});"
        f" this one is {clean(own.database)} ({own.ledger_id})"
    )
    yield Check("owner", Verdict.WRONG, says, remedy)


def _check_keys(client: redis.Redis) -> Iterator[Check]:
    """Report the keys that hold something else than we keep there, and marks that would never expire."""
    expected = _expected_types()
    with client.pipeline(transaction=False) as pipe:
        for key in expected:
            pipe.type(key)
            pipe.pttl(key)
        answers = pipe.execute()
    wrong = []
    for key, kind, left_ms in zip(expected, answers[::2], answers[1::2], strict=True):
        found = kind.decode()
        if found not in {"none", expected[key]}:
            wrong.append(f"{_shown(key)} holds a {found}, not a {expected[key]}")
        elif found != "none" and _is_mark(key) and left_ms == _FOR_EVER:
            wrong.append(f"{_shown(key)} never expires, so it is not ours")
    if wrong:
        remedy = "find out who wrote it (give other applications a database of their own), then delete the key"
        yield Check("keys", Verdict.WRONG, "; ".join(wrong), remedy)
    else:
        yield Check("keys", Verdict.GOOD, "each of our keys holds what we keep there")


def _expected_types() -> dict[str, str]:
    """Return the keys that we use at a Redis, each with its type."""
    types = {f"{queue}{priority}": "list" for queue in ALL for priority in _PRIORITIES}
    types |= {
        TRANSPORT["unacked_key"]: "hash",
        TRANSPORT["unacked_index_key"]: "zset",
        broker_owner.KEY: "string",
        "_kombu.binding_deadlines": "zset",
    }
    types |= {f"{OUR_KEYS}rung:{entry.name}:{lane}": "string" for entry in CARRIERS for lane in BELLS}
    types |= dict.fromkeys(
        (
            "_kombu.binding.celery.pidbox",
            "_kombu.binding_permanent.celery.pidbox",
            "_kombu.binding.reply.celery.pidbox",
        ),
        "set",
    )
    return types


def _is_mark(key: str) -> bool:
    return key.startswith(f"{OUR_KEYS}rung:")


def _shown(key: str) -> str:
    name, _, priority = key.partition("\x06\x16")
    return f"{name} (priority {priority})" if priority else name
