"""Hands the broker to this ledger: its workers serve it from then on, and those of another ledger stop."""

import redis

from config.settings import PREFIX, Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.ledger.identity import read_identity
from number_orders.orders.errors import LedgerUnavailable
from workers import broker_owner

_WITHIN_S = 5


def take_broker(settings: Settings) -> str:
    """Write this ledger's id to the broker, and return a line that says whose it was.

    Raises:
        Stop: The ledger or the broker does not answer, or the broker keeps no such id.
    """
    assert settings.database_url is not None, "commands that need a ledger ask find_settings"
    database, broker = settings.database_url.get_secret_value(), ""
    if settings.broker_url is not None:
        broker = settings.broker_url.get_secret_value()
    if not broker.startswith(("redis://", "rediss://")):
        raise Stop(
            ExitCode.USAGE,
            f"{PREFIX}BROKER_URL names no Redis or Valkey: only those keep whose broker they are",
            hint="give each ledger a virtual host of its own on RabbitMQ",
        )
    try:
        own = read_identity(database)
        with redis.Redis.from_url(broker, socket_timeout=_WITHIN_S, socket_connect_timeout=_WITHIN_S) as client:
            before = _owner(client)
            broker_owner.take_over(client, own)
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], database)
        raise Stop(ExitCode.OUT_OF_REACH, f"the ledger at {masked(database)} does not answer: {why}") from None
    except redis.RedisError as trouble:
        why = scrubbed(str(trouble), broker)
        raise Stop(ExitCode.OUT_OF_REACH, f"the broker at {masked(broker)} cannot be written: {why}") from None
    now = f"the broker at {masked(broker)} belongs to the ledger {own.database} ({own.ledger_id})"
    return f"{now}; before: {before}"


def _owner(client: redis.Redis) -> str:
    try:
        owner = broker_owner.owner(client)
    except redis.ResponseError:
        return "a key of another type"
    return "nobody" if owner is None else f"{clean(owner.database)} ({clean(owner.ledger_id)})"
