"""Whose messages a Redis broker has: the first worker leaves its ledger's id there, and others compare.

Two installations that are given one broker by mistake would take each other's orders, and a producer would find its
order in one ledger and ask the other. A worker that finds another ledger's id serves nothing.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import redis
import structlog
from kombu.transport import redis as kombu_redis

from config.queues import OUR_KEYS
from number_orders.ledger.identity import LedgerIdentity
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

KEY: Final = f"{OUR_KEYS}ledger"
EXIT_CODE: Final = 78
"""EX_CONFIG: only a person can repair it, but a supervisor may try again."""
_CLAIM: Final = """
local owner = redis.call('GET', KEYS[1])
if not owner then
  owner = ARGV[1]
  redis.call('SET', KEYS[1], owner)
end
return owner
"""

_WAITS_TO_PAUSES: Final = 5
"""A ledger that did not answer is left alone for so many times as long as it was waited for."""


def owner(client: Any, prefix: str = "") -> LedgerIdentity | None:
    """Return the ledger that a broker belongs to, or None if nobody has said so.

    Raises:
        redis.RedisError: The broker does not answer, or the key holds something else.
    """
    return _identity(client.execute_command("GET", prefix + KEY))


def claim(client: Any, identity: LedgerIdentity, prefix: str = "") -> LedgerIdentity:
    """Leave a ledger's id at a broker unless one is there; return the ledger that it belongs to.

    Raises:
        redis.RedisError: The broker does not answer, or the key holds something else.
    """
    return _identity(client.eval(_CLAIM, 1, prefix + KEY, _text(identity))) or identity


def take_over(client: Any, identity: LedgerIdentity) -> None:
    """Say that a broker belongs to this ledger from now on. Workers of another stop within seconds.

    Raises:
        redis.RedisError: The broker does not answer.
    """
    client.set(KEY, _text(identity))


class OwnerCheck:
    """Finds out whether the broker of a worker belongs to the worker's ledger."""

    def __init__(self, read_identity: Callable[[], LedgerIdentity]) -> None:
        self._read_identity = read_identity
        self._identity: LedgerIdentity | None = None
        self._trouble = ""
        self._next_try_at = 0.0
        self.is_ours = False
        """Whether messages may be taken. Not before the ledger has said who it is."""

    def check(self, channel: Any) -> LedgerIdentity | None:
        """Compare; return the other ledger if the broker belongs to another. Never raises what is only a refusal.

        Raises:
            One of the transport's connection errors.
        """
        if not isinstance(channel, kombu_redis.Channel):
            self.is_ours = True  # other brokers keep no such key: give each installation a virtual host of its own
            return None
        try:
            identity = self._own_identity()
            if identity is None:
                return None
            with channel.conn_or_acquire() as client:
                found = claim(client, identity, channel.global_keyprefix)
        except (LedgerUnavailable, redis.ResponseError) as trouble:
            self._refuse(str(trouble))
            return None
        self.is_ours = found.ledger_id == identity.ledger_id
        if self.is_ours:
            self._trouble = ""
            return None
        log.error(
            "broker_of_another_ledger",
            belongs_to=asdict(found),
            this_ledger=asdict(identity),
            remedy="correct NUMBER_ORDERS_BROKER_URL or NUMBER_ORDERS_DATABASE_URL; if this ledger has replaced that"
            " one, run `number-orders take-broker`",
        )
        return found

    def _own_identity(self) -> LedgerIdentity | None:
        """Ask the ledger who it is, until it has answered once; None if it was asked in vain just now.

        The worker's main process does nothing else while it waits for a machine that does not answer.
        """
        if self._identity is None and (began := time.monotonic()) >= self._next_try_at:
            try:
                self._identity = self._read_identity()
            finally:
                self._next_try_at = time.monotonic() + _WAITS_TO_PAUSES * (time.monotonic() - began)
        return self._identity

    def _refuse(self, trouble: str) -> None:
        self.is_ours = False
        if trouble != self._trouble:
            log.warning("broker_not_served", trouble=trouble)
        self._trouble = trouble


def _text(identity: LedgerIdentity) -> str:
    return json.dumps(asdict(identity))


def _identity(stored: Any) -> LedgerIdentity | None:
    """Return the ledger that was stored; one that cannot be read is another's."""
    if stored is None:
        return None
    text = stored.decode(errors="replace") if isinstance(stored, bytes) else str(stored)
    try:
        return LedgerIdentity(**json.loads(text))
    except (ValueError, TypeError):
        return LedgerIdentity(text[:100], "unknown")
