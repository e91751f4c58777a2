"""Credentials: OAuth2 client credentials, a fixed bearer token, basic authentication.

They are made up, published in docs/sandbox.md, and valid only here.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Any, ClassVar
from urllib.parse import parse_qs

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The only account. `sites` maps each site to its default peer, or to an empty string if it has none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    account_id: str = "9900000"
    sites: dict[str, str] = field(default_factory=lambda: {"743": "500017", "744": ""})
    peers: frozenset[str] = frozenset({"500017", "500018"})
    client: tuple[str, str] = ("sandbox-client", "sandbox-secret")
    user: tuple[str, str] = ("sandbox-user", "sandbox-password")
    bearer: str = "sandbox-token"
    bearer_without_ordering: str = "sandbox-reader-token"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with valid credentials."""

    may_order: bool


class Access:
    """Issues tokens and authenticates callers."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._issued: dict[str, datetime] = {}  # token: its expiry

    def issue(self, authorization: str, now: datetime, lifetime_s: int) -> str | None:
        """Issue a token to a client with valid credentials; return None for any other."""
        if _basic(authorization) != self.account.client:
            return None
        token = ".".join((_segment({"alg": "none"}), _segment(self._claims()), token_urlsafe(24)))
        self._forget_expired(now)
        self._issued[token] = now + timedelta(seconds=lifetime_s)
        return token

    def recognise(self, authorization: str, now: datetime) -> Caller | None:
        """Return the caller that the Authorization header authenticates, or None."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "basic":
            return Caller(may_order=True) if _basic(authorization) == self.account.user else None
        if scheme.lower() != "bearer":
            return None
        if token == self.account.bearer_without_ordering:
            return Caller(may_order=False)
        alive = token == self.account.bearer or self._issued.get(token, now) > now
        return Caller(may_order=True) if alive else None

    def revoke(self, token: str | None) -> int:
        """Revoke one issued token, or all; the fixed token stays valid. Return how many were valid."""
        doomed = list(self._issued) if token is None else [token]
        return sum(self._issued.pop(each, None) is not None for each in doomed)

    def _claims(self) -> dict[str, Any]:
        return {"accounts": [self.account.account_id], "roles": ["Ordering"]}

    def _forget_expired(self, now: datetime) -> None:
        self._issued = {token: ends for token, ends in self._issued.items() if ends > now}


def asks_for_client_credentials(form: bytes) -> bool:
    """Return whether a token request names the client credentials grant, the only one supported."""
    return parse_qs(form.decode("ascii", "replace")).get("grant_type") == ["client_credentials"]


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret


def _segment(claims: Mapping[str, Any]) -> str:
    """Encode one part of a token that looks like a JWT, as Bandwidth's do; the signature is not checked."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
