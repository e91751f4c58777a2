"""The courier on a real socket: above all, was a request that costs money sent?"""

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from number_orders.carriers.contract import CarrierRequest, Conversation, Inquiry, Purpose
from number_orders.carriers.http.courier import Courier, CourierSettings, Outcome, boot_clock, exchanges_of
from number_orders.carriers.http.credentials import Basic, Fetch, StaticBearer
from number_orders.fulfilment.lanes.rate import Pauses, Unpaced
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotListed, NotSent
from number_orders.orders.model import CarrierOrderId
from tests.unit.carriers.http.tiny_carrier import Act, TinyCarrier, after, drop, hang_up_after, raw, reply, silence

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TOKEN = "top-secret-token"
FOREVER = float("inf")

POST = CarrierRequest(
    "POST", "/orders", Purpose.COMMIT, body=b"<Order/>", content_type="application/xml", accept="application/xml"
)
GET = CarrierRequest("GET", "/tns/%2B1919", Purpose.READ, {"page": "1", "ref": "a+b c"})


def commit() -> Conversation:
    answer = yield POST
    return Acknowledged(CarrierOrderId(answer.body.decode()), str(answer.status))


def read() -> Conversation:
    answer = yield GET
    return NotListed(f"{answer.status} {answer.body.decode()}")


def a_courier(url: str, auth: Any = None, *, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> Courier:
    waits = dict.fromkeys(("connect_timeout_s", "read_timeout_s", "pool_timeout_s", "total_timeout_s"), 60.0)
    return Courier(
        CourierSettings(base_url=url, **{**waits, **settings}),
        auth or StaticBearer(TOKEN),
        now=lambda: NOON,
        clock=clock,
    )


Scene = Callable[[TinyCarrier, Courier], Awaitable[None]]


def play(scene: Scene, *acts: Act, auth: Any = None, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> None:
    """Run a scene with a carrier and a courier on one event loop."""

    async def stage() -> None:
        async with TinyCarrier(*acts) as carrier:
            courier = a_courier(carrier.url, auth, clock=clock, **settings)
            try:
                await scene(carrier, courier)
            finally:
                await courier.aclose()

    asyncio.run(stage())


def outcome(*acts: Act, posts: int = 1, **more: Any) -> Outcome:
    """Return the outcome of a single commit, and check how many POSTs arrived."""
    kept: list[Outcome] = []

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        kept.append(await courier.converse(commit(), deadline=FOREVER))
        await carrier.called.wait()  # what was sent arrives, also after the courier has given up
        assert [heard.method for heard in carrier.heard].count("POST") == posts

    play(scene, *acts, **more)
    return kept[0]


async def turns() -> None:
    """Let the event loop do everything that can be done now, however slow it is."""
    for _ in range(20):
        await asyncio.sleep(0.002)


def event(*acts: Act, posts: int = 1, **more: Any) -> Event:
    return outcome(*acts, posts=posts, **more).event


def no_answer_to(*acts: Act, **more: Any) -> NoAnswer:
    """Return the error that a single read raises."""
    kept: list[NoAnswer] = []

    async def scene(_: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(NoAnswer) as caught:
            await courier.converse(read(), deadline=FOREVER)
        kept.append(caught.value)

    play(scene, *acts, **more)
    return kept[0]


# --- ordinary exchanges -----------------------------------------------------------------------------


def test_a_request_arrives_as_the_adapter_wrote_it() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(commit(), deadline=FOREVER)
        asked = await courier.converse(read(), deadline=FOREVER)

        assert result.event == Acknowledged(CarrierOrderId("id-1"), "201")
        assert asked.event == NotListed("200 yes")
        post, get = carrier.heard
        assert (post.method, post.target, post.body) == ("POST", "/orders", b"<Order/>")
        assert (get.method, get.target, get.body) == ("GET", "/tns/%2B1919?page=1&ref=a%2Bb%20c", b"")
        assert post.headers["content-type"] == "application/xml"
        assert {heard.headers["accept"] for heard in carrier.heard} == {"application/xml"}
        assert {heard.headers["accept-encoding"] for heard in carrier.heard} == {"gzip"}
        assert {heard.headers["authorization"] for heard in carrier.heard} == {f"Bearer {TOKEN}"}
        assert {heard.headers["user-agent"] for heard in carrier.heard} == {"orders/1"}
        assert all("cookie" not in heard.headers for heard in carrier.heard), "a carrier's cookies are left out"
        assert carrier.connections == 1

    play(scene, reply(201, b"id-1", Set_Cookie="session=1; Path=/"), reply(), user_agent="orders/1")


def test_an_answer_is_whole_with_lower_case_headers() -> None:
    def conversation() -> Conversation:
        answer = yield GET
        assert answer.headers["x-what"] == "a, b"
        assert answer.elapsed > timedelta()
        return NotListed(answer.body.decode())

    async def scene(_: TinyCarrier, courier: Courier) -> None:
        assert (await courier.converse(conversation(), deadline=FOREVER)).event == NotListed("packed")

    packed = gzip.compress(b"packed")
    head = (
        f"HTTP/1.1 200 X\r\nX-What: a\r\nX-WHAT: b\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    play(scene, raw(head.encode() + packed))


def test_an_exchange_has_request_and_answer_without_secrets() -> None:
    result = outcome(reply(200, f"your Bearer {TOKEN} is known".encode()))

    (kept,) = result.exchanges
    assert (kept.method, kept.target, kept.purpose, kept.status) == ("POST", "/orders", Purpose.COMMIT, 200)
    assert kept.request_body == b"<Order/>"
    assert kept.body == b"your Bearer [secret] is known"
    assert kept.trouble is None
    assert timedelta() < kept.elapsed < timedelta(seconds=60)
    assert TOKEN not in repr(result.exchanges)


def test_a_receipt_is_capped_and_the_answer_is_not() -> None:
    result = outcome(reply(200, b"x" * 1000), receipt_bytes_max=10)

    assert result.exchanges[0].body == b"x" * 10
    assert result.event == Acknowledged(CarrierOrderId("x" * 1000), "200")


def test_many_conversations_share_the_connections() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await asyncio.gather(*(courier.converse(read(), deadline=FOREVER) for _ in range(40)))
        assert {one.event for one in result} == {NotListed("200 yes")}
        assert carrier.connections <= 4

    play(scene, *[reply()] * 40, connections_max=4)


# --- nothing was sent ---------------------------------------------------------------------------------


def nobody_home() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_refused_connection_sends_nothing() -> None:
    async def scene(_: TinyCarrier, __: Courier) -> None:
        courier = a_courier(nobody_home())
        result = await courier.converse(commit(), deadline=FOREVER)
        assert isinstance(result.event, NotSent)
        assert result.event.reason.startswith("nothing was sent: ClientConnectorError")
        assert result.exchanges[0].trouble == result.event.reason
        with pytest.raises(NoAnswer, match="nothing was sent") as caught:
            await courier.converse(read(), deadline=FOREVER)
        assert len(exchanges_of(caught.value)) == 1
        await courier.aclose()

    play(scene)


@pytest.mark.parametrize("first", [drop, silence, raw(b"HTTP/1.1 400 no TLS here\r\n\r\n")])
def test_a_failed_handshake_sends_nothing(first: Act) -> None:
    async def scene(carrier: TinyCarrier, _: Courier) -> None:
        courier = a_courier(carrier.url.replace("http:", "https:"), connect_timeout_s=0.2)
        result = await courier.converse(commit(), deadline=FOREVER)
        assert isinstance(result.event, NotSent), result
        assert carrier.heard == []
        await courier.aclose()

    play(scene, first)


def test_no_free_connection_sends_nothing() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        first = asyncio.create_task(courier.converse(read(), deadline=FOREVER))
        await carrier.called.wait()
        result = await courier.converse(commit(), deadline=FOREVER)
        assert isinstance(result.event, NotSent)
        assert [heard.method for heard in carrier.heard] == ["GET"]
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    play(scene, silence, connections_max=1, pool_timeout_s=0.05, connect_timeout_s=0.5)


def test_total_time_spent_connecting_sends_nothing() -> None:
    async def scene(carrier: TinyCarrier, _: Courier) -> None:
        courier = a_courier(carrier.url.replace("http:", "https:"), total_timeout_s=0.2)
        result = await courier.converse(commit(), deadline=FOREVER)
        assert result.event == NotSent("nothing was sent within 0.2 s")
        await courier.aclose()

    play(scene, silence)


def test_nothing_is_sent_after_the_deadline() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(commit(), deadline=100.0)
        assert result.event == NotSent("nothing was sent: too late, the deadline had passed")
        with pytest.raises(NoAnswer, match="too late"):
            await courier.converse(read(), deadline=99.0)
        assert carrier.heard == []

        in_time = await courier.converse(commit(), deadline=100.001)
        assert in_time.event == Acknowledged(CarrierOrderId("yes"), "200")
        assert carrier.connections == 1, "the refused connection went back to the pool"

    play(scene, reply(), clock=lambda: 100.0)


class SlowToken:
    """Credentials that take a minute of a clock of their own."""

    def __init__(self) -> None:
        self.time = 0.0

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        self.time += 60.0
        return {"Authorization": "Bearer slow"}

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        return False


def test_nothing_is_sent_after_waiting_too_long_for_a_token() -> None:
    auth = SlowToken()

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        assert isinstance((await courier.converse(commit(), deadline=59.0)).event, NotSent)
        assert carrier.heard == []

    play(scene, auth=auth, clock=lambda: auth.time)


def test_nothing_is_sent_after_waiting_too_long_for_a_connection() -> None:
    moments = [0.0]

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        first = asyncio.create_task(courier.converse(read(), deadline=FOREVER))
        await carrier.called.wait()
        second = asyncio.create_task(courier.converse(commit(), deadline=10.0))
        await turns()  # until it waits for the connection
        moments[0] = 11.0
        go.set()
        await first
        assert isinstance((await second).event, NotSent)
        assert [heard.method for heard in carrier.heard] == ["GET"]

    go = asyncio.Event()
    play(scene, after(go, reply()), connections_max=1, clock=lambda: moments[0])


def test_the_boot_clock_goes_forward() -> None:
    earlier = boot_clock()

    assert boot_clock() >= earlier > 0


# --- something was sent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        drop,
        silence,
        raw(b"HTTP/1.1 201 Cre"),
        raw(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf of i"),
        raw(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf of i", hang_up=False),
        raw(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        raw(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\nhello\r\n"),
        raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        raw(b"\x00" * 200),
        raw(b"HTTP/1.1 abc\r\n\r\n"),
        raw(b"HTTP/1.1 201 Created\r\nContent-Length: x\r\n\r\n"),
        raw(b"HTTP/1.1 201 X\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(2000)) + b"\r\n"),
        raw(b"HTTP/1.1 201 X\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
        reply(201, b"not gzip", Content_Encoding="gzip"),
        reply(201, gzip.compress(b"whole" * 100)[:-10], Content_Encoding="gzip"),
        reply(201, b"x", Content_Encoding="br"),
        reply(201, b"x" * 5001),
        reply(201, gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip"),
    ],
)
def test_a_commit_with_a_broken_answer_is_lost_and_not_repeated(act: Act) -> None:
    result = outcome(act, read_timeout_s=0.2, answer_bytes_max=5000)

    assert isinstance(result.event, AnswerLost), result.event
    assert result.event.reason.startswith("no answer: ")
    assert [kept.trouble for kept in result.exchanges] == [result.event.reason]


def test_a_slow_answer_is_cut_off_in_total() -> None:
    async def drip(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 201 X\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)
        return False

    assert event(drip, total_timeout_s=0.5) == AnswerLost("no answer within 0.5 s")


def test_a_closed_keep_alive_connection_does_not_repeat_a_commit() -> None:
    """The carrier hangs up just as the POST arrives. aiohttp calls that a lost connection, httpx a ConnectTimeout."""

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        await courier.converse(read(), deadline=FOREVER)
        result = await courier.converse(commit(), deadline=FOREVER)

        assert isinstance(result.event, AnswerLost)
        assert "ServerDisconnectedError" in result.event.reason
        assert [heard.method for heard in carrier.heard] == ["GET", "POST"]
        assert carrier.connections == 1

    play(scene, reply(), drop, reply())


def test_a_connection_seen_closed_is_not_used_again() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        await courier.converse(read(), deadline=FOREVER)
        await turns()  # until the client has seen it
        result = await courier.converse(commit(), deadline=FOREVER)
        assert result.event == Acknowledged(CarrierOrderId("yes"), "200")
        assert carrier.connections == 2

    play(scene, hang_up_after(reply()), reply())


def test_a_commit_is_not_repeated_whatever_its_method() -> None:
    """aiohttp repeats a PUT by itself on a new connection; the guard refuses that."""

    def put() -> Conversation:
        yield CarrierRequest("PUT", "/checkout", Purpose.COMMIT)
        return NotListed("unreachable")

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(put(), deadline=FOREVER)
        assert isinstance(result.event, AnswerLost)
        assert [heard.method for heard in carrier.heard] == ["PUT"]

    play(scene, drop, reply())


def test_a_read_may_be_repeated_on_a_new_connection() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(read(), deadline=FOREVER)
        assert result.event == NotListed("200 yes")
        assert carrier.connections == 2

    play(scene, drop, reply())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_answers_and_are_not_followed(status: int) -> None:
    assert event(reply(status, b"there", Location="/elsewhere")) == Acknowledged(CarrierOrderId("there"), str(status))


def test_a_read_with_a_broken_answer_is_no_answer() -> None:
    assert "longer than 10 bytes" in no_answer_to(reply(200, b"x" * 11), answer_bytes_max=10).reason
    assert "SocketTimeoutError" in no_answer_to(silence, read_timeout_s=0.1).reason


def test_an_answer_of_exactly_the_size_allowed_is_read() -> None:
    assert event(reply(200, b"x" * 10), answer_bytes_max=10) == Acknowledged(CarrierOrderId("x" * 10), "200")


# --- too many requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "moment"),
    [
        ({"X_RateLimit_Reset": str(int(NOON.timestamp()) + 30)}, NOON + timedelta(seconds=30)),
        ({"Retry_After": "5"}, NOON + timedelta(seconds=5)),
        ({"Retry_After": "Fri, 02 Jan 2026 12:00:09 GMT"}, NOON + timedelta(seconds=9)),
        ({}, None),
    ],
)
def test_a_429_means_not_sent_and_says_until_when(headers: dict[str, str], moment: datetime | None) -> None:
    assert event(reply(429, b"", **headers)) == NotSent("HTTP 429: too many requests", moment)
    failure = no_answer_to(reply(429, b"slow down", **headers))
    assert (failure.reason, failure.not_before) == ("HTTP 429: too many requests", moment)


def test_conversations_under_way_mind_a_429() -> None:
    """Nothing of that limit leaves until the moment that the carrier named; other limits go on."""
    now = [0.0]
    pauses = Pauses()
    history, orders = (
        Unpaced(group="HISTORY", pauses=pauses, claimed_at=0.0),
        Unpaced(group="ORDER", pauses=pauses, claimed_at=0.0),
    )

    def two_reads() -> Conversation:
        yield GET
        yield GET
        return NotListed("unreachable")

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(NoAnswer):
            await courier.converse(two_reads(), deadline=FOREVER, rate_limiter=history)
        now[0] = 29.9
        for _ in range(2):
            with pytest.raises(NoAnswer, match="wants no HISTORY requests now") as caught:
                await courier.converse(two_reads(), deadline=FOREVER, rate_limiter=history)
            assert caught.value.not_before == NOON + timedelta(seconds=30)
            assert exchanges_of(caught.value) == ()
        held = await courier.converse(commit(), deadline=FOREVER, rate_limiter=history)
        assert held.event == NotSent(
            "the carrier wants no HISTORY requests now: HTTP 429 to an earlier one", NOON + timedelta(seconds=30)
        )
        assert len(carrier.heard) == 2
        other = await courier.converse(commit(), deadline=FOREVER, rate_limiter=orders)
        assert isinstance(other.event, Acknowledged)
        now[0] = 30.0
        resumed = await courier.converse(read(), deadline=FOREVER, rate_limiter=history)
        assert isinstance(resumed.event, NotListed)

    limited = reply(429, b"", X_RateLimit_Reset=str(int(NOON.timestamp()) + 30))
    play(scene, reply(), limited, reply(), reply(), clock=lambda: now[0])


def test_what_is_claimed_after_the_ledger_knew_of_a_429_may_be_sent() -> None:
    """The ledger gives out nothing of a paused limit, so the pause is over, or somebody has lifted it."""
    pauses = Pauses()

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        early = Unpaced(group="ORDER", pauses=pauses, claimed_at=0.0)
        assert isinstance((await courier.converse(commit(), deadline=FOREVER, rate_limiter=early)).event, NotSent)
        pauses.record("ORDER", 1.0)
        assert isinstance((await courier.converse(commit(), deadline=FOREVER, rate_limiter=early)).event, NotSent)
        later = Unpaced(group="ORDER", pauses=pauses, claimed_at=2.0)
        sent = await courier.converse(commit(), deadline=FOREVER, rate_limiter=later)
        assert isinstance(sent.event, Acknowledged)

    play(scene, reply(429, b""), reply())


def test_a_request_that_waits_for_a_connection_minds_a_429() -> None:
    """Two requests, one connection: the second has its turn when the first is answered with 429."""
    pauses = Pauses()

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        both = await asyncio.gather(
            *(
                courier.converse(
                    commit(), deadline=FOREVER, rate_limiter=Unpaced(group="ORDER", pauses=pauses, claimed_at=0.0)
                )
                for _ in range(2)
            )
        )
        assert [type(each.event) for each in both] == [NotSent, NotSent]
        assert len(carrier.heard) == 1

    play(scene, reply(429, b""), reply(), connections_max=1)


def test_a_429_with_a_broken_body_is_a_429() -> None:
    assert isinstance(event(raw(b"HTTP/1.1 429 X\r\nContent-Length: 50\r\n\r\nha")), NotSent)


# --- credentials ----------------------------------------------------------------------------------


class Renewable:
    """A numbered token that is renewed when it is refused."""

    def __init__(self, *, fails: bool = False) -> None:
        self.number = 1
        self.fails = fails

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        if self.fails and self.number > 1:
            raise NoAnswer("no token: HTTP 503", not_before=NOON)
        return {"Authorization": f"Bearer t{self.number}"}

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> bool:
        self.number += 1
        return True


def test_a_401_is_repeated_once_with_a_new_token() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(commit(), deadline=FOREVER)
        assert result.event == Acknowledged(CarrierOrderId("yes"), "200")
        assert [heard.headers["authorization"] for heard in carrier.heard] == ["Bearer t1", "Bearer t2"]
        assert [kept.status for kept in result.exchanges] == [401, 200]

    play(scene, reply(401, b""), reply(), auth=Renewable())


def test_a_second_401_is_the_answer() -> None:
    assert event(reply(401, b"a"), reply(401, b"b"), auth=Renewable(), posts=2) == Acknowledged(
        CarrierOrderId("b"), "401"
    )


def test_a_repetition_without_an_answer_is_a_lost_answer() -> None:
    assert isinstance(event(reply(401, b""), drop, auth=Renewable(), posts=2), AnswerLost)


def test_without_a_token_nothing_is_sent() -> None:
    result = event(reply(401, b""), auth=Renewable(fails=True))

    assert result == NotSent("no token: HTTP 503", NOON)


@pytest.mark.parametrize("auth", [StaticBearer("t"), Basic("user", "word")])
def test_a_401_with_fixed_credentials_is_not_repeated(auth: StaticBearer | Basic) -> None:
    assert event(reply(401, b"no"), auth=auth) == Acknowledged(CarrierOrderId("no"), "401")


# --- conversations --------------------------------------------------------------------------------


def unreadable(*requests: CarrierRequest) -> Conversation:
    for request in requests:
        assert (yield request).body == b"yes"
    raise UnreadableAnswer("tiny", "not an order", b"?")


def test_an_unreadable_answer_after_a_commit_is_lost() -> None:
    async def scene(_: TinyCarrier, courier: Courier) -> None:
        assert (await courier.converse(unreadable(POST), deadline=FOREVER)).event == AnswerLost("tiny: not an order")
        assert (await courier.converse(unreadable(GET, POST), deadline=FOREVER)).event == AnswerLost(
            "tiny: not an order"
        )
        with pytest.raises(UnreadableAnswer) as caught:
            await courier.converse(unreadable(GET), deadline=FOREVER)
        assert [kept.body for kept in exchanges_of(caught.value)] == [b"yes"]

    play(scene, *[reply()] * 4)


def test_an_unanswered_read_after_a_commit_is_a_lost_answer() -> None:
    def conversation() -> Conversation:
        yield POST
        yield GET
        return NotListed("unreachable")

    async def scene(_: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(conversation(), deadline=FOREVER)
        assert isinstance(result.event, AnswerLost)
        assert [kept.status for kept in result.exchanges] == [200, 429]

    play(scene, reply(), reply(429))


@pytest.mark.parametrize("path", ["/or ders", "/orders\r\nX: 1", "/orders#1", "/ord\u00e9rs", "orders", "/orders\\1"])
def test_an_address_that_is_not_well_formed_is_not_sent(path: str) -> None:
    """What is not quoted could make it another request."""

    def conversation() -> Conversation:
        yield CarrierRequest("POST", path, Purpose.COMMIT, body=b"<Order/>")
        return NotListed("unreachable")

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        result = await courier.converse(conversation(), deadline=FOREVER)
        assert isinstance(result.event, NotSent)
        assert result.event.reason.startswith("nothing was sent: the address is not well formed")
        assert carrier.heard == []

    play(scene, reply())


def test_an_unanswered_request_before_the_commit_is_no_answer() -> None:
    def conversation() -> Conversation:
        yield CarrierRequest("POST", "/carts", Purpose.PREPARE)
        yield POST
        return NotListed("unreachable")

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(NoAnswer):
            await courier.converse(conversation(), deadline=FOREVER)
        assert [heard.target for heard in carrier.heard] == ["/carts"]

    play(scene, drop)


def test_a_conversation_commits_once() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(Mistake, match="commits once"):
            await courier.converse(unreadable(POST, POST), deadline=FOREVER)
        assert len(carrier.heard) == 1

    play(scene, reply())


def test_an_exception_has_the_exchanges() -> None:
    def broken() -> Conversation:
        answer = yield POST
        raise KeyError(answer.status)

    async def scene(_: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(KeyError) as caught:
            await courier.converse(broken(), deadline=FOREVER)
        assert [kept.status for kept in exchanges_of(caught.value)] == [200]

    play(scene, reply())
    assert exchanges_of(ValueError()) == ()


def test_a_cancelled_commit_ends_in_no_event() -> None:
    closed: list[str] = []

    def watched() -> Conversation:
        try:
            return (yield from commit())
        finally:
            closed.append("closed")

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        task = asyncio.create_task(courier.converse(watched(), deadline=FOREVER))
        await carrier.called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert [kept.trouble for kept in exchanges_of(caught.value)] == ["cancelled before the answer came"]
        assert closed == ["closed"]

    play(scene, silence)


def test_an_inquiry_repeats_a_parameter_with_several_values() -> None:
    def counting() -> Inquiry[str]:
        query: dict[str, str | tuple[str, ...]] = {
            "number_type": "tendlc",
            "group_by[]": ("npa", "rate_center"),
            "city": "a+b c",
        }
        answer = yield CarrierRequest("GET", "/coverage", Purpose.READ, query)
        return answer.body.decode()

    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        assert await courier.inquire(counting()) == "yes"
        (heard,) = carrier.heard
        asked = "number_type=tendlc&group_by%5B%5D=npa&group_by%5B%5D=rate_center&city=a%2Bb%20c"
        assert heard.target == f"/coverage?{asked}"

    play(scene, reply())


def test_an_unanswered_inquiry_raises_no_answer() -> None:
    async def scene(carrier: TinyCarrier, courier: Courier) -> None:
        with pytest.raises(NoAnswer):
            await courier.inquire(reading())

    def reading() -> Inquiry[int]:
        answer = yield GET
        return answer.status

    play(scene, drop, drop)  # a read is repeated once
