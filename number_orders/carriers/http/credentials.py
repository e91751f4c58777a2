"""How we tell a carrier who we are.

Each way gives the headers to send, and renews them when the carrier refuses them, if they can be
renewed. Opens no socket: whatever must be fetched goes through the courier's client. No secret is ever
part of a message or a representation.
"""

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, Protocol

from number_orders.carriers.contract import GATEWAYS, CarrierAnswer
from number_orders.carriers.http.retry_after import come_back_at
from number_orders.orders.errors import NoAnswer

_EARLY_S: Final = 60.0
_LIFETIME_S: Final = 300.0
"""Assumed when the carrier does not say how long a token lives."""
_PAUSE_S: Final = 1.0
"""After a failure, requests that wait for the same token share it for this long."""
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Fetch(Protocol):
    """Carries one harmless request to the carrier.

    Raises:
        NoAnswer: No answer came.
    """

    async def __call__(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer: ...


class Authenticator(Protocol):
    """One way of telling a carrier who we are."""

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return the headers that say who we are.

        Raises:
            NoAnswer: They cannot be had now.
        """
        ...

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Get new headers in place of those the carrier `refused`; False when there can be none.

        Raises:
            NoAnswer: They cannot be had now.
        """
        ...


class _Fixed:
    """A header that never changes."""

    def __init__(self, value: str, *, name: str = "Authorization") -> None:
        self._headers = {name: value}

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return the same headers always."""
        return self._headers

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Say that there is nothing to renew."""
        return False


class StaticBearer(_Fixed):
    """A token that somebody else looks after."""

    def __init__(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("the token is empty, or holds blanks or characters that no header can hold")
        super().__init__(f"Bearer {token}")


class ApiKeyHeader(_Fixed):
    """A key in a header of the carrier's own."""

    def __init__(self, name: str, key: str) -> None:
        if not _TOKEN.fullmatch(key):
            raise ValueError("the key is empty, or holds blanks or characters that no header can hold")
        super().__init__(key, name=name)


class Basic(_Fixed):
    """A user name and a password."""

    def __init__(self, username: str, password: str) -> None:
        if ":" in username:
            raise ValueError("the user name holds a colon, which ends it on the wire")
        super().__init__(_basic(username, password))


@dataclass(frozen=True, slots=True)
class _Token:
    headers: Mapping[str, str]
    renew_at: float


class OAuth2ClientCredentials:
    """OAuth 2 client credentials: a token fetched with an id and a secret, and renewed before it ends.

    One fetch serves everybody who waits for it. Every official client of Bandwidth's renews 60 seconds
    early, and so does this one.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        path: str = "/api/v1/oauth2/token",
    ) -> None:
        """Keep the credentials.

        Args:
            client_id: As the carrier gave it.
            client_secret: As the carrier gave it; leaves this object in requests for tokens only.
            clock: Seconds on a clock that is never set; also counts the time asleep.
            now: The present in UTC, to understand a carrier that asks for patience.
            path: Where tokens are had, on the carrier's base URL.
        """
        self._basic = _basic(client_id, client_secret)
        self._clock = clock
        self._now = now
        self._path = path
        self._one_at_a_time = asyncio.Lock()
        self._token: _Token | None = None
        self._failure: NoAnswer | None = None
        self._failed_at = 0.0

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return headers with a token that is good for a while yet."""
        if self._token and self._clock() < self._token.renew_at:
            return self._token.headers
        return (await self._renewed(self._token, fetch)).headers

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Get another token than the refused one, unless somebody has already."""
        if self._token and self._token.headers == refused:
            await self._renewed(self._token, fetch)
        return True

    async def _renewed(self, stale: _Token | None, fetch: Fetch) -> _Token:
        async with self._one_at_a_time:
            if self._token and self._token is not stale:
                return self._token  # somebody was quicker
            if self._failure and self._clock() - self._failed_at < _PAUSE_S:
                shared = self._failure
                raise NoAnswer(shared.reason, not_before=shared.not_before, out_of_reach=shared.out_of_reach)
            try:
                self._token = await self._fetched(fetch)
            except NoAnswer as failure:
                self._failure, self._failed_at = failure, self._clock()
                raise
            self._failure = None
            return self._token

    async def _fetched(self, fetch: Fetch) -> _Token:
        asked_at = self._clock()
        headers = {
            "Authorization": self._basic,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        answer = await fetch("POST", self._path, headers=headers, body=b"grant_type=client_credentials")
        text, lifetime_s = _read_token(answer, self._now())
        early_s = min(_EARLY_S, lifetime_s / 2)
        return _Token({"Authorization": f"Bearer {text}"}, asked_at + lifetime_s - early_s)


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _read_token(answer: CarrierAnswer, now: datetime) -> tuple[str, float]:
    """Return the token and its lifetime in seconds. Messages never quote the answer."""
    if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise NoAnswer(f"no token: HTTP {answer.status}, the carrier does not accept the client id and secret")
    if answer.status != HTTPStatus.OK:
        until, away = come_back_at(answer.headers, now), answer.status in GATEWAYS
        raise NoAnswer(f"no token: HTTP {answer.status}", not_before=until, out_of_reach=away)
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise NoAnswer("no token: HTTP 200 without JSON") from None  # the cause would quote the answer
    token, lifetime = (told.get("access_token"), told.get("expires_in")) if isinstance(told, dict) else (None, None)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NoAnswer("no token: HTTP 200 without an access_token")
    return token, _lifetime_s(lifetime)


def _lifetime_s(told: object) -> float:
    """Return how long a token lives, from a number or one written as text."""
    try:
        seconds = float(told) if isinstance(told, str | int | float) else _LIFETIME_S
    except (ValueError, OverflowError):
        return _LIFETIME_S
    return seconds if 0 < seconds < float("inf") else _LIFETIME_S
