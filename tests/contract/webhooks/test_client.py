"""The client of producers' URLs against a real HTTPS server that means no good."""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.fulfilment.webhooks.client import Answer, NotDelivered, WebhookClient, webhook_tls
from tests.hook_receiver import (
    CA,
    CLOSES,
    DRIPS_BODY,
    DRIPS_STATUS,
    HANGS,
    HUGE,
    OK,
    HookReceiver,
    Reply,
    running_receiver,
    status,
)

LOOPBACK: Final = AddressRules(networks=(ipaddress.ip_network("127.0.0.0/8"),))
PROMISES_GIGABYTES: Final = Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n",))
BODY: Final = b'{"state":"COMPLETED"}'


class Names(AbstractResolver):
    """Leads each name to the addresses of its turn: the last ones stay."""

    def __init__(self, **turns: list[list[str]]) -> None:
        self.turns = {name.replace("_", "."): found for name, found in turns.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        turns = self.turns[host]
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with running_receiver() as running:
        yield running


def with_client(work: Callable[[WebhookClient], Awaitable[Any]], rules: AddressRules = LOOPBACK, **options: Any) -> Any:
    """Run `work` with a client that trusts the tests' certificate authority."""

    async def run() -> Any:
        client = WebhookClient(rules, tls=webhook_tls(CA), **options)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def post(url: str, *, rules: AddressRules = LOOPBACK, headers: Mapping[str, str] = {}, **options: Any) -> Answer:
    """Send one document."""
    answer: Answer = with_client(lambda client: client.post(url, headers, BODY), rules, **options)
    return answer


def test_document_arrives_with_its_headers(receiver: HookReceiver) -> None:
    answer = post(receiver.url("/hooks"), headers={"webhook-id": "msg_1"})
    assert answer.status == 200
    (request,) = receiver.received
    assert (request.path, request.body) == ("/hooks", BODY)
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["user-agent"] == "number-orders"
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/a/../b//c;d", "/a/../b//c;d"),
        ("/hooks?sig=a%2Fb%3D&x=+&y=a/b", "/hooks?sig=a%2Fb%3D&x=+&y=a/b"),
        ("/bücher?q=ü", "/b%C3%BCcher?q=%C3%BC"),
        ('/{a}"', "/%7Ba%7D%22"),
    ],
)
def test_path_and_query_are_asked_as_given(receiver: HookReceiver, given: str, asked: str) -> None:
    """A query may hold the receiver's own token, in which every character counts."""
    post(receiver.url(given))
    assert [request.path for request in receiver.received] == [asked]


def test_connection_is_used_again(receiver: HookReceiver) -> None:
    """A short answer is read to its end."""

    async def twice(client: WebhookClient) -> None:
        for _ in range(3):
            await client.post(receiver.url(), {}, BODY)

    with_client(twice)
    assert len(receiver.received) == 3
    assert receiver.connections == 1


@pytest.mark.parametrize("code", [200, 204, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_status_and_headers_are_the_answer(receiver: HookReceiver, code: int) -> None:
    """A redirect is an answer like any other: it is not followed, wherever it leads."""
    receiver.answer = lambda _: status(code, f"Location: {receiver.url('/elsewhere')}", "Retry-After: 7")
    answer = post(receiver.url("/hooks"))
    assert (answer.status, answer.headers["retry-after"]) == (code, "7")
    assert [request.path for request in receiver.received] == ["/hooks"]


def test_cookies_are_not_kept(receiver: HookReceiver) -> None:
    receiver.answer = lambda _: status(200, "Set-Cookie: session=1; Path=/")

    async def twice(client: WebhookClient) -> None:
        for _ in range(2):
            await client.post(receiver.url(), {}, BODY)

    with_client(twice)
    assert not any("cookie" in request.headers for request in receiver.received)


def test_proxy_and_netrc_of_the_environment_are_not_used(
    receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ana password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url()).status == 200
    assert "authorization" not in receiver.received[0].headers


def test_host_is_connected_under_its_name(receiver: HookReceiver) -> None:
    """At the address that was looked up and checked, with the name in the handshake and in the certificate."""
    names = Names(hooks_test=[["127.0.0.1"]])
    assert post(receiver.url(host="hooks.test"), resolver=names).status == 200
    (request,) = receiver.received
    assert request.server_name == "hooks.test"
    assert request.headers["host"] == f"hooks.test:{receiver.port}"


def test_international_name_is_looked_up_as_dns_writes_it(receiver: HookReceiver) -> None:
    names = Names(**{"xn--bcher-kva_test": [["127.0.0.1"]]})
    assert post(receiver.url(host="bücher.test"), resolver=names).status == 200
    assert receiver.received[0].server_name == "xn--bcher-kva.test"


def test_certificate_of_another_host_is_refused(receiver: HookReceiver) -> None:
    """Nothing is sent."""
    with pytest.raises(NotDelivered, match=r"(?i)certificate"):
        post(receiver.url(host="other.test"), resolver=Names(other_test=[["127.0.0.1"]]))
    assert receiver.received == []


def test_unknown_certificate_authority_is_refused(receiver: HookReceiver) -> None:
    async def run() -> None:
        client = WebhookClient(LOOPBACK, tls=webhook_tls(None))
        try:
            await client.post(receiver.url(), {}, BODY)
        finally:
            await client.aclose()

    with pytest.raises(NotDelivered, match=r"(?i)certificate"):
        asyncio.run(run())
    assert receiver.received == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254"])
def test_address_that_is_not_public_is_not_connected(receiver: HookReceiver, address: str) -> None:
    """Neither by name nor as it is. The port is open: only the check keeps the client away."""
    by_name = receiver.url(host="hooks.test")
    with pytest.raises(NotDelivered, match="is no public address"):
        post(by_name, rules=AddressRules(), resolver=Names(hooks_test=[[address]]))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(NotDelivered, match="is no public address"):
        post(receiver.url(host=host), rules=AddressRules())
    assert receiver.connections == 0


def test_name_that_changes_between_check_and_connection_leads_nowhere(receiver: HookReceiver) -> None:
    """DNS rebinding: the name is public when somebody looks, and loopback when it is connected."""
    names = Names(hooks_test=[["93.184.216.34"], ["127.0.0.1"]])

    async def twice(client: WebhookClient) -> list[str]:
        troubles = []
        for _ in range(2):
            try:
                await client.post(receiver.url(host="hooks.test"), {}, BODY)
            except NotDelivered as trouble:
                troubles.append(str(trouble))
            client._session._connector.clear_dns_cache()  # type: ignore[union-attr]  # as after ten seconds
            client._timeout_s = 60  # only the first time is spent waiting
        return troubles

    first, second = with_client(twice, AddressRules(), resolver=names, timeout_s=1)
    assert "public" not in first  # it was tried: nothing answers there
    assert second == "127.0.0.1 is no public address"
    assert receiver.connections == 0


def test_connection_goes_to_an_address_that_was_checked(receiver: HookReceiver) -> None:
    """The name is looked up once for a connection; whatever it leads to a moment later is not asked."""
    names = Names(hooks_test=[["127.0.0.1"], ["127.0.0.2"]])
    post(receiver.url(host="hooks.test"), resolver=names)
    assert names.asked == ["hooks.test"]
    assert len(receiver.received) == 1


def test_of_several_addresses_only_the_allowed_are_connected(receiver: HookReceiver) -> None:
    rules = AddressRules(networks=(ipaddress.ip_network("127.0.0.1/32"),))
    names = Names(hooks_test=[["10.0.0.1", "169.254.169.254", "127.0.0.1"]])
    assert post(receiver.url(host="hooks.test"), rules=rules, resolver=names).status == 200


def test_named_host_may_have_any_address(receiver: HookReceiver) -> None:
    """And only that one, also while both are asked at the same time."""
    rules = AddressRules(hosts=frozenset({"hooks.test"}))
    names = Names(hooks_test=[["127.0.0.1"]], a_hooks_test=[["127.0.0.1"]])

    async def both(client: WebhookClient) -> list[Any]:
        urls = [receiver.url(host=host) for host in ("hooks.test", "a.hooks.test") * 5]
        return await asyncio.gather(*(client.post(url, {}, BODY) for url in urls), return_exceptions=True)

    found = with_client(both, rules, resolver=names)
    assert [isinstance(one, Answer) for one in found] == [True, False] * 5
    assert {request.server_name for request in receiver.received} == {"hooks.test"}


def test_numbers_that_a_resolver_would_read_as_an_address_are_refused(receiver: HookReceiver) -> None:
    for host in ("2130706433", "127.1", "0x7f.1"):
        with pytest.raises(NotDelivered):
            post(receiver.url(host=host), rules=AddressRules())
    assert receiver.connections == 0


def timed(url: str, **options: Any) -> tuple[Answer | None, float]:
    """Return the answer, if there was one, and how long it took."""
    began = time.monotonic()
    answer: Answer | None = None
    with suppress(NotDelivered):
        answer = post(url, **options)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("reply", [HANGS, DRIPS_STATUS])
def test_answer_that_never_comes_is_given_up(receiver: HookReceiver, reply: Reply) -> None:
    """However many bytes come: the time is for the whole attempt. The drip would last 100 seconds."""
    receiver.answer = lambda _: reply
    answer, took_s = timed(receiver.url(), timeout_s=0.5)
    assert answer is None
    assert took_s < 20


@pytest.mark.parametrize("reply", [DRIPS_BODY, HUGE, PROMISES_GIGABYTES])
def test_body_is_not_waited_for(receiver: HookReceiver, reply: Reply) -> None:
    """The status says everything. The drip would last ten minutes, and the long body have 300 MB."""
    receiver.answer = lambda _: reply
    answer, took_s = timed(receiver.url())
    assert answer is not None
    assert answer.status == 200
    assert took_s < 30
    assert receiver.bytes_written < 50_000_000


def test_body_that_was_not_read_spoils_no_later_answer(receiver: HookReceiver) -> None:
    """Its connection is closed."""
    replies = iter([DRIPS_BODY, status(503)])
    receiver.answer = lambda _: next(replies)

    async def twice(client: WebhookClient) -> list[int]:
        return [(await client.post(receiver.url(), {}, BODY)).status for _ in range(2)]

    assert with_client(twice) == [200, 503]
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_answer_that_is_no_http_is_none(receiver: HookReceiver, raw: bytes) -> None:
    receiver.answer = lambda _: Reply((raw,))
    with pytest.raises(NotDelivered):
        post(receiver.url(), timeout_s=2)


def test_compressed_body_is_not_unpacked(receiver: HookReceiver) -> None:
    """A bomb of some kilobytes: it is not looked at."""
    receiver.answer = lambda _: status(200, "Content-Encoding: gzip", body=b"\x1f\x8b" + b"\x00" * 3000)
    assert post(receiver.url()).status == 200
    assert receiver.received[0].headers["accept-encoding"] == "identity"


def test_connection_that_the_host_has_closed_meanwhile_costs_nothing(receiver: HookReceiver) -> None:
    """The document is sent once more at once, on a new connection."""
    receiver.answer = lambda _: CLOSES if len(receiver.received) == 2 else OK

    async def twice(client: WebhookClient) -> list[int]:
        return [(await client.post(receiver.url(), {}, BODY)).status for _ in range(2)]

    assert with_client(twice) == [200, 200]
    assert [request.connection for request in receiver.received] == [1, 1, 2]


def test_host_that_always_hangs_up_gets_it_twice(receiver: HookReceiver) -> None:
    """And not for ever."""
    receiver.answer = lambda _: CLOSES
    with pytest.raises(NotDelivered):
        post(receiver.url())
    assert len(receiver.received) == 2


def test_nobody_listens(receiver: HookReceiver) -> None:
    """The reason is in words."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotDelivered, match="Connect call failed"):
            post(f"https://127.0.0.1:{taken.getsockname()[1]}/")


def test_name_that_leads_nowhere() -> None:
    with pytest.raises(NotDelivered, match=r"(?i)name|address|resolution"):
        post("https://no-such-host.invalid/", timeout_s=30)


def test_dead_name_server_holds_up_nobody_else(receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are looked up in threads of their own: those of the process stay free for the others."""
    looked_up = threading.Event()
    asked: list[str] = []

    def dead(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        looked_up.wait(100)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", dead)

    async def many(client: WebhookClient) -> str:
        slow = [asyncio.create_task(client.post(f"https://h{i}.example/", {}, BODY)) for i in range(40)]
        while not asked:  # noqa: ASYNC110  what is waited for happens in threads
            await asyncio.sleep(0.01)
        name = await asyncio.wait_for(asyncio.to_thread(lambda: threading.current_thread().name), timeout=50)
        results = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(result, NotDelivered) for result in results)
        client._timeout_s = 60
        assert (await client.post(receiver.url(), {}, BODY)).status == 200  # an address needs no look-up
        return name

    try:
        assert "webhook" not in with_client(many, timeout_s=0.5)
    finally:
        looked_up.set()
