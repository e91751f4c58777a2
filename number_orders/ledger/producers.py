"""Producers and operators: their tokens, their signing keys, and whose an order is.

A token is 256 random bits, shown once. The ledger keeps its SHA-256: with nothing to guess, a slow hash as for
passwords would only cost time at each request. A signing key is kept as it is, because checking a signature takes the
key itself: who reads the ledger can sign as any producer.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from number_orders.ledger.connection import Database
from number_orders.orders.model import OrderId
from number_orders.orders.removal_right import RemovalRight

TOKEN_PREFIX: Final = "no_"  # noqa: S105  how a token begins, and no token
"""How every token begins, so that people and programs recognise one in a text."""
_KEY_PREFIX: Final = "whsec_"
"""How the keys of Standard Webhooks begin."""
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ProducerRow:
    """A producer or operator."""

    producer: str
    role: str
    added_at: datetime
    added_by: str
    removals: RemovalRight = RemovalRight.OWN
    signing_keys: int = 0
    """How many of its signing keys are valid."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without its text."""

    token_id: UUID
    producer: str
    label: str | None
    made_at: datetime
    made_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None
    """Within a minute."""
    now: datetime

    @property
    def is_valid(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > self.now)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. Its text is stored nowhere."""

    token_id: UUID
    text: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who has a valid token."""

    producer: str
    role: str
    token_id: UUID
    valid_for_s: float | None
    """None: until it is revoked."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A producer or operator and its valid signing keys, newest first."""

    role: str
    secrets: tuple[str, ...]


class Producers:
    """Keeps producers, their tokens and their signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, producer: str, role: str, *, by: str) -> bool:
        """Add a producer or operator; return False if the name is taken."""
        return bool(await self._database.run("add_producer", {"producer": producer, "role": role, "by": by}))

    async def find(self, producer: str) -> ProducerRow | None:
        """Return a producer or operator by name."""
        found = await self._database.run("find_producer", {"producer": producer})
        return _producer(found[0]) if found else None

    async def all(self) -> list[ProducerRow]:
        """Return every producer and operator, by name."""
        return [_producer(row) for row in await self._database.run("list_producers", {})]

    async def set_removals(self, producer: str, right: RemovalRight) -> bool:
        """Set which numbers a producer may remove; return False if there is no such producer."""
        return bool(await self._database.run("set_removals", {"producer": producer, "removals": right.value}))

    async def tokens(self) -> list[TokenRow]:
        """Return every token, by producer and age."""
        return [TokenRow(**row) for row in await self._database.run("list_tokens", {})]

    async def make_token(
        self, producer: str, *, by: str, lasts: timedelta | None = None, label: str | None = None
    ) -> NewToken | None:
        """Make a token, valid for so long or until it is revoked; return None if there is no such producer."""
        text = TOKEN_PREFIX + secrets.token_urlsafe(_BYTES)
        params = {"token_id": uuid7(), "producer": producer, "digest": token_digest(text), "label": label}
        made = await self._database.run("add_token", params | {"by": by, "lasts": lasts})
        return NewToken(made[0]["token_id"], text, made[0]["expires_at"]) if made else None

    async def revoke_token(self, token_id: UUID, *, by: str) -> str | None:
        """Revoke a token; return whose it was, or None if there is no valid one with this id."""
        revoked = await self._database.run("revoke_token", {"token_id": token_id, "by": by})
        return str(revoked[0]["producer"]) if revoked else None

    async def find_token(self, digest: bytes) -> TokenHolder | None:
        """Return who has the token with this digest, if it is valid, and note that it was used."""
        found = await self._database.run("find_token", {"digest": digest})
        return TokenHolder(**found[0]) if found else None

    async def make_signing_key(self, producer: str, *, by: str) -> str | None:
        """Make a signing key; return None if there is no such producer.

        The newest one before it stays valid beside it. Older ones are retired.
        """
        secret = _KEY_PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()
        params = {"key_id": uuid7(), "producer": producer, "secret": secret, "by": by}
        return secret if await self._database.run("add_signing_key", params) else None

    async def retire_signing_keys(self, producer: str) -> int:
        """Retire all signing keys of a producer but the newest; return how many."""
        return len(await self._database.run("retire_signing_keys", {"producer": producer}))

    async def signers(self, producers: Sequence[str]) -> dict[str, Signer]:
        """Return those of these producers and operators that have valid signing keys."""
        found = await self._database.run("signing_keys_of", {"producers": list(producers)})
        return {name: _signer([row for row in found if row["producer"] == name]) for name in _names(found)}

    async def owners(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]:
        """Return whose these orders are; unknown ids are left out."""
        found = await self._database.run("owners_of", {"order_ids": list(order_ids)})
        return {row["order_id"]: row["producer"] for row in found}


def token_digest(token: str) -> bytes:
    """Return the SHA-256 under which a token is stored."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _producer(row: Mapping[str, Any]) -> ProducerRow:
    return ProducerRow(**{**row, "removals": RemovalRight(row["removals"])})


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["producer"] for row in rows))


def _signer(rows: Sequence[Mapping[str, Any]]) -> Signer:
    return Signer(rows[0]["role"], tuple(row["secret"] for row in rows))
