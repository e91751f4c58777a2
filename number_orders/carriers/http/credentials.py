"""Authenticate us to a carrier.

Each class gives the headers to send, and renews them when the carrier refuses them, if they can be renewed. Opens no
socket: a token is fetched by a function that the courier passes in. No secret is ever part of a message or a `repr`.
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

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.retry_after import retry_at
from number_orders.orders.errors import NoAnswer

_RENEW_EARLY_S: Final = 60.0
_LIFETIME_S: Final = 300.0
"""Assumed when the carrier does not say how long a token is valid."""
_SHARE_FAILURE_S: Final = 1.0
"""For this long after a failed fetch, all requests that need the token get the same error."""
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class NoToken(NoAnswer):
    """No access token can be fetched now, so nothing can be asked or sent. The carrier counts as out of reach.

    `refused` is set if the carrier does not accept the client id and secret; `shared`, if another request made the
    fetch that failed: one failed fetch is one fault, however many requests wait for the token.
    """

    def __init__(self, reason: str, *, not_before: datetime | None, refused: bool, shared: bool = False) -> None:
        super().__init__(reason, not_before=not_before, out_of_reach=True)
        self.refused = refused
        self.shared = shared


class Fetch(Protocol):
    """Sends one request of an authenticator to the carrier, and returns the answer.

    Raises:
        NoAnswer: No answer came.
    """

    async def __call__(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer: ...


class Authenticator(Protocol):
    """One way to authenticate us to a carrier."""

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return the headers that authenticate us.

        Raises:
            NoAnswer: They cannot be fetched now.
        """
        ...

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Replace the headers that the carrier refused. Return False if they cannot be replaced.

        Raises:
            NoAnswer: New ones cannot be fetched now.
        """
        ...


class _FixedHeader:
    """A header that never changes."""

    def __init__(self, value: str, *, name: str = "Authorization") -> None:
        self._headers = {name: value}

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return the header."""
        return self._headers

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Return False: it cannot be replaced."""
        return False


class StaticBearer(_FixedHeader):
    """A bearer token that does not expire, or that somebody else renews."""

    def __init__(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("the token is empty, or has blanks or characters that are not allowed in a header")
        super().__init__(f"Bearer {token}")


class ApiKeyHeader(_FixedHeader):
    """A key in a header that the carrier names."""

    def __init__(self, name: str, key: str) -> None:
        if not _TOKEN.fullmatch(key):
            raise ValueError("the key is empty, or has blanks or characters that are not allowed in a header")
        super().__init__(key, name=name)


class Basic(_FixedHeader):
    """HTTP Basic: a user name and a password."""

    def __init__(self, username: str, password: str) -> None:
        if ":" in username:
            raise ValueError("the user name has a colon, which would end it in the header")
        super().__init__(_basic(username, password))


@dataclass(frozen=True, slots=True)
class _Token:
    headers: Mapping[str, str]
    renew_at: float


class OAuth2ClientCredentials:
    """OAuth 2 client credentials: a token that is fetched with an id and a secret, and renewed before it expires.

    Requests that need a token at the same time share one fetch. Bandwidth's official clients all renew a token
    60 seconds before it expires, and so does this class.
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
            client_secret: As the carrier gave it. Sent in requests for tokens only.
            clock: Returns seconds on a clock that is never set and also counts while the machine sleeps.
            now: Returns the present in UTC; turns a Retry-After into a moment.
            path: The path for tokens, after the carrier's base URL.
        """
        self._basic = _basic(client_id, client_secret)
        self._clock = clock
        self._now = now
        self._path = path
        self._lock = asyncio.Lock()
        self._token: _Token | None = None
        self._failure: NoToken | None = None
        self._failed_at = 0.0

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Return headers with a token that is valid for a while yet."""
        if self._token and self._clock() < self._token.renew_at:
            return self._token.headers
        return (await self._replaced(self._token, fetch)).headers

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        """Replace the refused token, unless another request has replaced it already."""
        if self._token and self._token.headers == refused:
            await self._replaced(self._token, fetch)
        return True

    async def _replaced(self, stale: _Token | None, fetch: Fetch) -> _Token:
        asked_at = self._clock()
        async with self._lock:
            if self._token and self._token is not stale:
                return self._token  # another request has replaced it
            waited = asked_at < self._failed_at
            if self._failure and (waited or self._clock() - self._failed_at < _SHARE_FAILURE_S):
                failure = self._failure
                raise NoToken(failure.reason, not_before=failure.not_before, refused=failure.refused, shared=True)
            try:
                self._token = await self._fetch_token(fetch)
            except NoAnswer as error:
                reason = f"{error.reason} (token endpoint {self._path})"
                refused = isinstance(error, NoToken) and error.refused
                self._failure = NoToken(reason, not_before=error.not_before, refused=refused)
                self._failed_at = self._clock()
                raise self._failure from error
            self._failure = None
            return self._token

    async def _fetch_token(self, fetch: Fetch) -> _Token:
        asked_at = self._clock()
        headers = {
            "Authorization": self._basic,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        answer = await fetch("POST", self._path, headers=headers, body=b"grant_type=client_credentials")
        text, lifetime_s = _read_token(answer, self._now())
        early_s = min(_RENEW_EARLY_S, lifetime_s / 2)
        return _Token({"Authorization": f"Bearer {text}"}, asked_at + lifetime_s - early_s)


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _read_token(answer: CarrierAnswer, now: datetime) -> tuple[str, float]:
    """Return the token and its lifetime in seconds. Error messages never quote the answer, which may hold secrets."""
    if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        reason = f"no token: HTTP {answer.status}, the carrier does not accept the client id and secret"
        raise NoToken(reason, not_before=None, refused=True)
    if answer.status != HTTPStatus.OK:
        raise NoAnswer(f"no token: HTTP {answer.status}", not_before=retry_at(answer.headers, now))
    try:
        shown = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise NoAnswer("no token: HTTP 200 without JSON") from None  # the cause would quote the answer
    token, lifetime = (shown.get("access_token"), shown.get("expires_in")) if isinstance(shown, dict) else (None, None)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NoAnswer("no token: HTTP 200 without an access_token")
    return token, _lifetime_s(lifetime)


def _lifetime_s(expires_in: object) -> float:
    """Return how long a token is valid. `expires_in` may be a number or text; anything else counts as missing."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, str | int | float) else _LIFETIME_S
    except (ValueError, OverflowError):
        return _LIFETIME_S
    return seconds if 0 < seconds < float("inf") else _LIFETIME_S
