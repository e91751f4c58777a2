"""Whatever is wrong with a request is answered as a problem that says so, and costs little."""

import gzip
import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.routes import board_router
from number_orders.receiver.bodies import BATCH_BODY_MAX, ORDER_BODY_MAX
from number_orders.receiver.parts import Limits
from number_orders.receiver.rate import RequestRate
from tests.integration.fulfilment.practice import Practice, an_order
from tests.integration.receiver.conftest import ADA, CRM, SHOP, Running, running_receiver
from tests.integration.receiver.test_orders import names, submit

JSON = {"Content-Type": "application/json"}


def test_address_that_tries_many_tokens_is_held_back_and_one_with_a_valid_token_is_not(practice: Practice) -> None:
    """Without an address in `X-Forwarded-For` that anybody may choose; on the board's login page too."""
    limits = Limits(attempts=RequestRate(per_s=0.01, burst=3))
    routers = [board_router(BoardPolicy())]
    with (
        running_receiver(practice, limits, routers=routers) as receiver,
        receiver.client(**CRM) as crm,
        receiver.client() as stranger,
    ):
        assert crm.get("/v1/orders").status_code == 200
        answers = [_guess(stranger, f"no_{index}") for index in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 3
        assert names(answers[-1]) == "too-many-requests"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert _guess(stranger, "no_0").status_code == 401, "it is known to be unknown"
        form = {"Sec-Fetch-Site": "same-origin"}
        assert stranger.post("/login", data={"token": "no_7"}, headers=form).status_code == 429
        assert stranger.get("/", headers={"Cookie": "board=guessed"}).status_code == 429
        assert crm.get("/v1/orders").status_code == 200
        shop = stranger.get("/v1/orders", headers=SHOP)
        assert shop.status_code == 429, "its token is not known yet; it waits"


def _guess(client: httpx.Client, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"198.51.100.{token[-1]}"}
    return client.get("/v1/orders", headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"key": NaN}',
        b'{"key": "a", "key": "b"}',
        b'{"key": "\xff"}',
        b"[" * 100_000,
        b'{"quantity": ' + b"9" * 5000 + b"}",
    ],
)
def test_body_that_is_no_json(crm: httpx.Client, body: bytes) -> None:
    answer = crm.post("/v1/orders", content=body, headers=JSON)
    assert (answer.status_code, names(answer)) == (400, "malformed-body")


@pytest.mark.parametrize(
    "body", ["[]", "5", "null", '"order"', '{"key": "\\ud800"}', '{"key": "\\u0000"}', "[" * 900 + "]" * 900]
)
def test_json_that_is_no_order(crm: httpx.Client, body: str) -> None:
    answer = crm.post("/v1/orders", content=body, headers=JSON)
    assert (answer.status_code, names(answer)) == (422, "order-refused")


def test_long_bodies_are_not_read(crm: httpx.Client) -> None:
    """One that announces its length, and one that does not."""
    for path, bytes_max in (("/v1/orders", ORDER_BODY_MAX), ("/v1/orders:batch", BATCH_BODY_MAX)):
        announced = crm.post(path, content=b" " * (bytes_max + 1), headers=JSON)
        assert (announced.status_code, names(announced)) == (413, "too-long")
        parts = (b" " * 65536 for _ in range(bytes_max // 65536 + 2))
        try:
            chunked = crm.post(path, content=parts, headers=JSON)
        except httpx.WriteError:
            continue  # the connection was closed before all was sent
        assert (chunked.status_code, names(chunked)) == (413, "too-long")


def test_compressed_bodies_are_refused(crm: httpx.Client) -> None:
    body = gzip.compress(json.dumps(an_order()).encode())
    answer = crm.post("/v1/orders", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, names(answer)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_body_must_say_that_it_is_json(crm: httpx.Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = crm.post("/v1/orders", content=json.dumps(an_order()), headers=headers)
    assert (answer.status_code, names(answer)) == (415, "unsupported-media-type")
    assert "application/json" in answer.json()["detail"]


def test_unknown_paths_and_methods(crm: httpx.Client) -> None:
    for path in ("/", "/v1", "/v1/orders/", "/v1/nothing", "/docs/"):
        answer = crm.get(path)
        assert (answer.status_code, names(answer)) == (404, "unknown-path"), path
    answer = crm.delete("/v1/orders")
    assert (answer.status_code, names(answer)) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) >= {"POST"}
    answer = crm.get("/v1/orders/not-an-id")
    assert (answer.status_code, names(answer)) == (422, "bad-request")
    answer = crm.get("/v1/orders/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, names(answer)) == (404, "unknown-order")


def test_producer_over_its_rate_waits(practice: Practice) -> None:
    """Others, and operators, do not."""
    rate = RequestRate(per_s=0.05, burst=10)
    with running_receiver(practice, Limits(rate=rate)) as receiver, receiver.client() as client:
        answers = [client.get("/v1/orders", headers=CRM) for _ in range(14)]
        over = [answer for answer in answers if answer.status_code == 429]
        assert len(over) >= 3
        assert names(over[0]) == "too-many-requests"
        assert 1 <= int(over[0].headers["retry-after"]) <= 20
        assert client.get("/v1/orders", headers=SHOP).status_code == 200
        assert client.get("/v1/orders", headers=ADA).status_code == 200


def test_ledger_away_is_503(crm: httpx.Client, receiver: Running) -> None:
    """And sending the same order again when it is back is safe."""
    submit(crm, "crm-1")
    practice = receiver.practice
    practice.db.execute("ALTER TABLE orders RENAME TO moved_orders")
    for answer in (crm.post("/v1/orders", json=an_order("crm-1")), crm.get("/v1/orders")):
        assert (answer.status_code, names(answer)) == (503, "ledger-unavailable")
        assert int(answer.headers["retry-after"]) > 0
    practice.db.execute("ALTER TABLE moved_orders RENAME TO orders")
    assert submit(crm, "crm-1")["new"] is False


def test_bug_is_answered_as_a_problem(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its words, which may hold anything; the server logs them."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr("number_orders.receiver.api.orders.visible_order", fail)
    with receiver.client(**CRM) as client:
        answer = client.get("/v1/orders/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, names(answer)) == (500, "internal-error")
    assert "secret" not in answer.text


def test_request_that_is_no_http_harms_nobody(crm: httpx.Client, receiver: Running) -> None:
    address = urlsplit(receiver.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as raw:
        raw.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"400" in raw.recv(1000)
    assert crm.get("/v1/orders").status_code == 200
