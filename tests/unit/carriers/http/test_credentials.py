"""OutboxMessage carriers who we are: tokens are had once, renewed early, and never shown."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Conversation, Purpose
from number_orders.carriers.http.courier import Courier, CourierSettings
from number_orders.carriers.http.credentials import (
    ApiKeyHeader,
    Authenticator,
    Basic,
    OAuth2ClientCredentials,
    StaticBearer,
)
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import NotListed, NotSent
from tests.unit.carriers.http.tiny_carrier import TinyCarrier, drop, reply

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SECRET = "hush-hush-hush"


class TokenDesk:
    """Gives out numbered tokens, or whatever else it was told to."""

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


def an_oauth(desk: TokenDesk) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials("client", SECRET, clock=desk.clock, now=lambda: NOON)


def bearer(number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer token-{number}"}


def test_fixed_credentials_are_sent_and_never_renewed() -> None:
    async def scene(auth: Authenticator, expected: str) -> None:
        desk = TokenDesk()
        headers = await auth.headers(desk.fetch)
        assert headers == {"Authorization": expected}
        assert await auth.renew(headers, desk.fetch) is False
        assert desk.asked == []

    asyncio.run(scene(StaticBearer("abc"), "Bearer abc"))
    asyncio.run(scene(Basic("user", "pä:ss"), f"Basic {base64.b64encode('user:pä:ss'.encode()).decode()}"))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "end ", "Schlüssel"])
def test_a_token_that_no_header_can_hold_is_refused_at_once(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        StaticBearer(token)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak"])
def test_a_key_that_no_header_can_hold_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ApiKeyHeader("X-KEY", key)


def test_a_key_goes_in_the_carriers_own_header_and_is_never_renewed() -> None:
    async def scene() -> None:
        desk = TokenDesk()
        auth = ApiKeyHeader("X-KEY", SECRET)
        headers = await auth.headers(desk.fetch)
        assert headers == {"X-KEY": SECRET}
        assert await auth.renew(headers, desk.fetch) is False
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
            told = await courier.converse(conversation(), deadline=float("inf"))
            await courier.aclose()
            assert carrier.heard[0].headers["x-key"] == SECRET
        (kept,) = told.exchanges
        assert (kept.target, kept.request_body, kept.body) == (
            "/echo?k=[secret]",
            b"[secret]",
            b"your key [secret] is known",
        )

    asyncio.run(scene())


def test_a_user_name_with_a_colon_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="colon"):
        Basic("user:name", "word")


def test_a_token_is_asked_for_as_the_carrier_wants_it() -> None:
    desk = TokenDesk()

    assert asyncio.run(_headers(an_oauth(desk), desk)) == bearer(1)
    ((method, path, headers, body),) = desk.asked
    assert (method, path, body) == ("POST", "/api/v1/oauth2/token", b"grant_type=client_credentials")
    assert headers["Authorization"] == f"Basic {base64.b64encode(f'client:{SECRET}'.encode()).decode()}"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


async def _headers(auth: Authenticator, desk: TokenDesk) -> Mapping[str, str]:
    return await auth.headers(desk.fetch)


@pytest.mark.parametrize(
    ("lifetime", "good_for"),
    [(3600, 3540), ("3600", 3540), (90, 45), (1, 0.5), (None, 240), ("soon", 240), (-1, 240), ([], 240), (1e400, 240)],
)
def test_a_token_is_renewed_before_it_ends(lifetime: object, good_for: float) -> None:
    desk = TokenDesk(token("token-1", lifetime))

    async def scene() -> None:
        auth = an_oauth(desk)
        assert await auth.headers(desk.fetch) == bearer(1)
        desk.now += good_for - 0.01
        assert await auth.headers(desk.fetch) == bearer(1)
        desk.now += 0.01
        assert await auth.headers(desk.fetch) == bearer(2)

    asyncio.run(scene())
    assert len(desk.asked) == 2


def test_everybody_who_waits_shares_one_fetch() -> None:
    desk = TokenDesk()

    async def scene() -> None:
        auth = an_oauth(desk)
        all_headers = await asyncio.gather(*(auth.headers(desk.fetch) for _ in range(50)))
        assert all(headers == bearer(1) for headers in all_headers)
        renewed = await asyncio.gather(*(auth.renew(bearer(1), desk.fetch) for _ in range(50)))
        assert all(renewed)
        assert await auth.headers(desk.fetch) == bearer(2)
        assert await auth.renew(bearer(1), desk.fetch), "an old refusal does not cost the new token"
        assert await auth.headers(desk.fetch) == bearer(2)

    asyncio.run(scene())
    assert len(desk.asked) == 2


def test_a_failure_is_shared_by_those_who_wait_and_forgotten_soon() -> None:
    desk = TokenDesk(NoAnswer("no token: refused"))

    async def scene() -> None:
        auth = an_oauth(desk)
        failures = await asyncio.gather(*(auth.headers(desk.fetch) for _ in range(20)), return_exceptions=True)
        assert [str(failure) for failure in failures] == ["no token: refused"] * 20
        assert len(desk.asked) == 1
        desk.now += 1.0
        assert await auth.headers(desk.fetch) == bearer(2)

    asyncio.run(scene())


def test_a_cancelled_fetch_leaves_the_way_free() -> None:
    desk = TokenDesk()

    async def scene() -> None:
        auth = an_oauth(desk)
        first = asyncio.create_task(_headers(auth, desk))
        second = asyncio.create_task(_headers(auth, desk))
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
def test_a_token_that_cannot_be_had_says_why_and_no_secret(answer: CarrierAnswer, words: str) -> None:
    desk = TokenDesk(answer)

    with pytest.raises(NoAnswer, match=words) as caught:
        asyncio.run(_headers(an_oauth(desk), desk))

    error: BaseException | None = caught.value
    while error:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__


def test_a_limited_token_desk_says_when_to_come_back() -> None:
    desk = TokenDesk(answer_of(429, **{"retry-after": "7"}))

    with pytest.raises(NoAnswer) as caught:
        asyncio.run(_headers(an_oauth(desk), desk))

    assert caught.value.not_before == NOON + timedelta(seconds=7)


@pytest.mark.parametrize("auth", [StaticBearer(SECRET), Basic("user", SECRET), an_oauth(TokenDesk())])
def test_no_secret_is_shown(auth: Authenticator) -> None:
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()

    assert SECRET not in repr(auth)
    assert encoded not in repr(auth)


def test_a_token_is_fetched_refused_and_renewed_on_the_wire() -> None:
    def commit() -> Conversation:
        answer = yield CarrierRequest("POST", "/orders", Purpose.COMMIT, body=b"<Order/>")
        return NotListed(answer.body.decode())

    async def scene() -> None:
        acts = (reply(200, token("one").body), reply(401, b""), reply(200, token("two").body), reply(201, b"made"))
        async with TinyCarrier(*acts) as carrier:
            desk = TokenDesk()
            courier = Courier(CourierSettings(carrier.url), an_oauth(desk), now=lambda: NOON)
            told = await courier.converse(commit(), deadline=float("inf"))
            await courier.aclose()
            assert told.event == NotListed("made")
            assert [heard.target for heard in carrier.heard] == ["/api/v1/oauth2/token", "/orders"] * 2
            assert [heard.headers["authorization"] for heard in carrier.heard[1::2]] == ["Bearer one", "Bearer two"]
            assert [kept.target for kept in told.exchanges] == ["/orders", "/orders"], "tokens are not kept"

    asyncio.run(scene())


def test_no_money_is_spent_without_a_token() -> None:
    def commit() -> Conversation:
        yield CarrierRequest("POST", "/orders", Purpose.COMMIT)
        return NotListed("unreachable")

    async def scene() -> None:
        async with TinyCarrier(drop) as carrier:
            courier = Courier(CourierSettings(carrier.url), an_oauth(TokenDesk()), now=lambda: NOON)
            told = await courier.converse(commit(), deadline=float("inf"))
            await courier.aclose()
            assert isinstance(told.event, NotSent)
            assert told.event.reason.startswith("no token: no answer: ServerDisconnectedError")
            assert [heard.target for heard in carrier.heard] == ["/api/v1/oauth2/token"]
            (evidence,) = told.exchanges
            assert (evidence.out_of_reach, evidence.trouble) == (True, told.event.reason)
            assert (evidence.request_body, evidence.body) == (b"", b"")

    asyncio.run(scene())
