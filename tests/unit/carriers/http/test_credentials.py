"""Credentials: tokens are fetched once, renewed early, and never shown."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Conversation, Purpose
from number_orders.carriers.http.courier import Courier, CourierSettings, exchanges_of
from number_orders.carriers.http.credentials import (
    ApiKeyHeader,
    Authenticator,
    Basic,
    NoToken,
    OAuth2ClientCredentials,
    StaticBearer,
)
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import NotListed, NotSent
from tests.unit.carriers.http.tiny_carrier import Act, TinyCarrier, drop, reply

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SECRET = "hush-hush-hush"


class TokenServer:
    """Issues numbered tokens, or gives the answers that it was made with."""

    def __init__(self, *answers: CarrierAnswer | NoAnswer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def fetch(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer:
        self.asked.append((method, path, headers, body))
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else token(f"token-{len(self.asked)}")
        if isinstance(answer, NoAnswer):
            raise answer
        return answer


def answer_of(status: int, body: object = b"", **headers: str) -> CarrierAnswer:
    return CarrierAnswer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def token(text: str, lifetime: object = 3600) -> CarrierAnswer:
    return answer_of(200, {"access_token": text, "token_type": "Bearer", "expires_in": lifetime})


def an_oauth(server: TokenServer) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials("client", SECRET, clock=server.clock, now=lambda: NOON)


def bearer(number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer token-{number}"}


def test_fixed_credentials_are_sent_and_never_renewed() -> None:
    async def scene(auth: Authenticator, expected: str) -> None:
        server = TokenServer()
        headers = await auth.headers(server.fetch)
        assert headers == {"Authorization": expected}
        assert await auth.renew(headers, server.fetch) is False
        assert server.asked == []

    asyncio.run(scene(StaticBearer("abc"), "Bearer abc"))
    asyncio.run(scene(Basic("user", "pä:ss"), f"Basic {base64.b64encode('user:pä:ss'.encode()).decode()}"))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "end ", "Schlüssel"])
def test_a_token_that_is_not_allowed_in_a_header_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        StaticBearer(token)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak"])
def test_a_key_that_is_not_allowed_in_a_header_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ApiKeyHeader("X-KEY", key)


def test_a_key_is_sent_in_the_carriers_header_and_never_renewed() -> None:
    async def scene() -> None:
        server = TokenServer()
        auth = ApiKeyHeader("X-KEY", SECRET)
        headers = await auth.headers(server.fetch)
        assert headers == {"X-KEY": SECRET}
        assert await auth.renew(headers, server.fetch) is False
        assert SECRET not in repr(auth)

    asyncio.run(scene())


def test_a_key_is_in_no_receipt_although_the_carrier_echoes_it() -> None:
    def conversation() -> Conversation:
        answer = yield CarrierRequest("POST", "/echo", Purpose.COMMIT, {"k": SECRET}, body=SECRET.encode())
        return NotListed(answer.body.decode())

    async def scene() -> None:
        async with TinyCarrier(reply(200, f"your key {SECRET} is known".encode())) as carrier:
            auth = ApiKeyHeader("X-KEY", SECRET)
            courier = Courier(CourierSettings(carrier.url), auth, now=lambda: NOON)
            result = await courier.converse(conversation(), deadline=float("inf"))
            await courier.aclose()
            assert carrier.heard[0].headers["x-key"] == SECRET
        (kept,) = result.exchanges
        assert (kept.target, kept.request_body, kept.body) == (
            "/echo?k=[secret]",
            b"[secret]",
            b"your key [secret] is known",
        )

    asyncio.run(scene())


def test_a_user_name_with_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="colon"):
        Basic("user:name", "word")


def test_the_token_request_is_as_documented() -> None:
    server = TokenServer()

    assert asyncio.run(_headers(an_oauth(server), server)) == bearer(1)
    ((method, path, headers, body),) = server.asked
    assert (method, path, body) == ("POST", "/api/v1/oauth2/token", b"grant_type=client_credentials")
    assert headers["Authorization"] == f"Basic {base64.b64encode(f'client:{SECRET}'.encode()).decode()}"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


async def _headers(auth: Authenticator, server: TokenServer) -> Mapping[str, str]:
    return await auth.headers(server.fetch)


@pytest.mark.parametrize(
    ("lifetime", "good_for"),
    [(3600, 3540), ("3600", 3540), (90, 45), (1, 0.5), (None, 240), ("soon", 240), (-1, 240), ([], 240), (1e400, 240)],
)
def test_a_token_is_renewed_before_it_expires(lifetime: object, good_for: float) -> None:
    server = TokenServer(token("token-1", lifetime))

    async def scene() -> None:
        auth = an_oauth(server)
        assert await auth.headers(server.fetch) == bearer(1)
        server.now += good_for - 0.01
        assert await auth.headers(server.fetch) == bearer(1)
        server.now += 0.01
        assert await auth.headers(server.fetch) == bearer(2)

    asyncio.run(scene())
    assert len(server.asked) == 2


def test_waiting_requests_share_one_fetch() -> None:
    server = TokenServer()

    async def scene() -> None:
        auth = an_oauth(server)
        all_headers = await asyncio.gather(*(auth.headers(server.fetch) for _ in range(50)))
        assert all(headers == bearer(1) for headers in all_headers)
        renewed = await asyncio.gather(*(auth.renew(bearer(1), server.fetch) for _ in range(50)))
        assert all(renewed)
        assert await auth.headers(server.fetch) == bearer(2)
        assert await auth.renew(bearer(1), server.fetch), "an old refusal does not cost the new token"
        assert await auth.headers(server.fetch) == bearer(2)

    asyncio.run(scene())
    assert len(server.asked) == 2


def test_waiting_requests_share_a_failure_for_a_second() -> None:
    server = TokenServer(NoAnswer("no token: refused"))

    async def scene() -> None:
        auth = an_oauth(server)
        failures = await asyncio.gather(*(auth.headers(server.fetch) for _ in range(20)), return_exceptions=True)
        assert {str(failure) for failure in failures} == {"no token: refused (token endpoint /api/v1/oauth2/token)"}
        assert [isinstance(failure, NoToken) and failure.shared for failure in failures] == [False] + [True] * 19
        assert len(server.asked) == 1
        server.now += 1.0
        assert await auth.headers(server.fetch) == bearer(2)

    asyncio.run(scene())


def test_requests_share_a_failure_that_they_waited_for_however_slow_it_was() -> None:
    server = TokenServer(NoAnswer("no token: no answer within 40 s"))

    async def slow(method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer:
        server.now += 40.0
        return await server.fetch(method, path, headers=headers, body=body)

    async def headers_a_little_later(auth: Authenticator) -> Mapping[str, str]:
        headers = await auth.headers(slow)
        server.now += 5.0
        return headers

    async def scene() -> None:
        auth = an_oauth(server)
        failures = await asyncio.gather(*(headers_a_little_later(auth) for _ in range(5)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [NoToken] * 5
        assert len(server.asked) == 1

    asyncio.run(scene())


def test_a_cancelled_fetch_does_not_block_the_next() -> None:
    server = TokenServer()

    async def scene() -> None:
        auth = an_oauth(server)
        first = asyncio.create_task(_headers(auth, server))
        second = asyncio.create_task(_headers(auth, server))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == bearer(2)
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answer_of(400, {"error": SECRET}), "does not accept the client id and secret"),
        (answer_of(401), "does not accept"),
        (answer_of(403), "does not accept"),
        (answer_of(500, SECRET.encode()), "HTTP 500"),
        (answer_of(302), "HTTP 302"),
        (answer_of(200, SECRET.encode()), "without JSON"),
        (answer_of(200, b"[" * 200_000), "without JSON"),
        (answer_of(200, b"\xff"), "without JSON"),
        (answer_of(200, [SECRET]), "without an access_token"),
        (answer_of(200, {"access_token": None}), "without an access_token"),
        (answer_of(200, {"access_token": f"{SECRET}\r\nX-Evil: 1"}), "without an access_token"),
        (answer_of(200, {"access_token": ""}), "without an access_token"),
    ],
)
def test_a_failed_fetch_says_why_and_no_secret(answer: CarrierAnswer, words: str) -> None:
    server = TokenServer(answer)

    with pytest.raises(NoAnswer, match=words) as caught:
        asyncio.run(_headers(an_oauth(server), server))

    assert caught.value.out_of_reach
    assert caught.value.reason.endswith("(token endpoint /api/v1/oauth2/token)")
    error: BaseException | None = caught.value
    while error:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__


def test_a_429_for_a_token_says_until_when() -> None:
    server = TokenServer(answer_of(429, **{"retry-after": "7"}))

    with pytest.raises(NoAnswer) as caught:
        asyncio.run(_headers(an_oauth(server), server))

    assert caught.value.not_before == NOON + timedelta(seconds=7)


@pytest.mark.parametrize("auth", [StaticBearer(SECRET), Basic("user", SECRET), an_oauth(TokenServer())])
def test_no_secret_is_shown(auth: Authenticator) -> None:
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()

    assert SECRET not in repr(auth)
    assert encoded not in repr(auth)


def test_a_refused_token_is_renewed_over_a_socket() -> None:
    def commit() -> Conversation:
        answer = yield CarrierRequest("POST", "/orders", Purpose.COMMIT, body=b"<Order/>")
        return NotListed(answer.body.decode())

    async def scene() -> None:
        acts = (reply(200, token("one").body), reply(401, b""), reply(200, token("two").body), reply(201, b"made"))
        async with TinyCarrier(*acts) as carrier:
            server = TokenServer()
            courier = Courier(CourierSettings(carrier.url), an_oauth(server), now=lambda: NOON)
            result = await courier.converse(commit(), deadline=float("inf"))
            await courier.aclose()
            assert result.event == NotListed("made")
            assert [heard.target for heard in carrier.heard] == ["/api/v1/oauth2/token", "/orders"] * 2
            assert [heard.headers["authorization"] for heard in carrier.heard[1::2]] == ["Bearer one", "Bearer two"]
            assert [kept.target for kept in result.exchanges] == ["/orders", "/orders"], "tokens are not kept"

    asyncio.run(scene())


@pytest.mark.parametrize(
    "answer", [reply(500, b"oops"), reply(400, b"{}"), reply(401, b""), reply(200, b"<html>"), reply(302, b"")]
)
def test_whatever_the_token_endpoint_says_the_carrier_counts_as_out_of_reach(answer: Act) -> None:
    def asking() -> Conversation:
        yield CarrierRequest("GET", "/orders/1", Purpose.READ)
        return NotListed("unreachable")

    async def scene() -> None:
        async with TinyCarrier(answer) as carrier:
            courier = Courier(CourierSettings(carrier.url), an_oauth(TokenServer()), now=lambda: NOON)
            results = await asyncio.gather(
                *(courier.converse(asking(), deadline=float("inf")) for _ in range(3)), return_exceptions=True
            )
            await courier.aclose()
            assert [heard.target for heard in carrier.heard] == ["/api/v1/oauth2/token"]
        exchanges = [kept for error in results if isinstance(error, NoAnswer) for kept in exchanges_of(error)]
        assert [kept.out_of_reach for kept in exchanges] == [True] * 3
        assert [kept.no_token.shared for kept in exchanges if kept.no_token] == [False, True, True]
        assert {kept.status for kept in exchanges} == {None}

    asyncio.run(scene())


def test_nothing_is_ordered_without_a_token() -> None:
    def commit() -> Conversation:
        yield CarrierRequest("POST", "/orders", Purpose.COMMIT)
        return NotListed("unreachable")

    async def scene() -> None:
        async with TinyCarrier(drop) as carrier:
            courier = Courier(CourierSettings(carrier.url), an_oauth(TokenServer()), now=lambda: NOON)
            result = await courier.converse(commit(), deadline=float("inf"))
            await courier.aclose()
            assert isinstance(result.event, NotSent)
            assert result.event.reason.startswith("no token: no answer: ServerDisconnectedError")
            assert [heard.target for heard in carrier.heard] == ["/api/v1/oauth2/token"]
            (evidence,) = result.exchanges
            assert (evidence.out_of_reach, evidence.trouble) == (True, result.event.reason)
            assert (evidence.request_body, evidence.body) == (b"", b"")

    asyncio.run(scene())
