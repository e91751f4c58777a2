"""Who may do what: OAuth2 client credentials, a fixed bearer token, basic authentication.

The credentials are made up and published in docs/sandbox.md; they open nothing but this sandbox.
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

from pydantic import ConfigDict, TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The one account there is. `sites` gives each site its default peer, empty if it has none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    account_id: str = "9900000"
    sites: dict[str, str] = field(default_factory=lambda: {"743": "500017", "744": ""})
    peers: frozenset[str] = frozenset({"500017", "500018"})
    client: tuple[str, str] = ("sandbox-client", "sandbox-secret")
    user: tuple[str, str] = ("sandbox-user", "sandbox-password")
    bearer: str = "sandbox-token"
    bearer_without_ordering: str = "sandbox-reader-token"


_READER: TypeAdapter[Account] = TypeAdapter(Account)


def read_account(given: Mapping[str, Any]) -> Account:
    """Read an account from JSON.

    Raises:
        pydantic.ValidationError: an unknown field, or a value of the wrong type.
    """
    return _READER.validate_python(dict(given))


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone whose credentials are good."""

    may_order: bool


class Access:
    """Issues tokens and recognises callers."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._issued: dict[str, datetime] = {}  # token: the moment it stops working

    def issue(self, authorization: str, now: datetime, lifetime_s: int) -> str | None:
        """Give a client its token, or None to a stranger."""
        if _basic(authorization) != self.account.client:
            return None
        token = ".".join((_segment({"alg": "none"}), _segment(self._claims()), token_urlsafe(24)))
        self._forget_expired(now)
        self._issued[token] = now + timedelta(seconds=lifetime_s)
        return token

    def recognise(self, authorization: str, now: datetime) -> Caller | None:
        """Tell who is calling by the Authorization header, or None if nobody is known by it."""
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
        """Take back one issued token, or all of them; the fixed one stays good."""
        doomed = list(self._issued) if token is None else [token]
        return sum(self._issued.pop(each, None) is not None for each in doomed)

    def _claims(self) -> dict[str, Any]:
        return {"accounts": [self.account.account_id], "roles": ["Ordering"]}

    def _forget_expired(self, now: datetime) -> None:
        self._issued = {token: ends for token, ends in self._issued.items() if ends > now}


def asks_for_client_credentials(form: bytes) -> bool:
    """Tell whether a token request names the one grant there is."""
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
    """Write one part of a token that looks like a JWT, as Bandwidth's does; nobody checks its signature."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
