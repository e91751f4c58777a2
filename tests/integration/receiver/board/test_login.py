"""Who gets in, for how long, and what a foreign page cannot do."""

from datetime import timedelta

import httpx
import pytest

from number_orders.receiver.board.policy import BoardPolicy
from tests.integration.fulfilment.practice import Practice, an_order
from tests.integration.receiver.board.conftest import SAME_ORIGIN, form_token, make_token, running_board, take_in
from tests.integration.receiver.conftest import Running

COOKIE = "board"


@pytest.mark.parametrize(
    "path", ["/", "/orders", "/search?q=x", "/live", "/orders/01a200ff-5849-7019-8b02-d36a8282df6c"]
)
def test_nothing_is_shown_without_a_session(board: Running, path: str) -> None:
    with board.client() as stranger:
        answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


def test_operator_logs_in_and_out(board: Running, token: str) -> None:
    with board.client(**SAME_ORIGIN) as client:
        answer = client.post("/login", data={"token": token, "next": "/orders?state=PARKED"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/orders?state=PARKED")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie  # over http a browser would not send it back
        assert token not in cookie
        assert "ada" in client.get("/").text
        kept = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        assert client.post("/logout", data={"form_token": form_token(client)}).headers["location"] == "/login"
        assert client.get("/", headers=kept).status_code == 303, "the session is over, whoever has kept its cookie"


def test_only_operators_get_in(board: Running, ledger_url: str) -> None:
    producer = make_token(ledger_url, "crm", "producer")
    with board.client(**SAME_ORIGIN) as client:
        for wrong in (producer, "no_such", "", "x" * 5000):
            answer = client.post("/login", data={"token": wrong})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
            assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_forms_of_other_pages_do_nothing(board: Running, token: str, headers: dict[str, str]) -> None:
    with board.client(**headers) as client:
        answer = client.post("/login", data={"token": token})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_origin_is_enough_where_browsers_say_nothing_else(board: Running, token: str) -> None:
    with board.client(Origin=board.url) as client:
        assert client.post("/login", data={"token": token}).status_code == 303


def test_revoked_token_ends_its_sessions(board: Running, ada: httpx.Client) -> None:
    assert ada.get("/").status_code == 200
    board.practice.db.execute("UPDATE tokens SET revoked_at = now(), revoked_by = 'test'")
    assert ada.get("/").status_code == 303


def test_session_that_nobody_uses_is_over(board: Running, ada: httpx.Client) -> None:
    """What the page loads by itself is no use; what a person loads is."""
    db = board.practice.db
    db.execute("UPDATE board_sessions SET seen_at = now() - interval '29 min'")
    assert ada.get("/").status_code == 200
    db.execute("UPDATE board_sessions SET seen_at = seen_at - interval '2 min'")
    assert ada.get("/").status_code == 200

    db.execute("UPDATE board_sessions SET seen_at = now() - interval '29 min'")
    assert ada.get("/", headers={"X-Board-Live": "1"}).status_code == 200
    db.execute("UPDATE board_sessions SET seen_at = seen_at - interval '2 min'")
    assert ada.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/live", "/orders/{order_id}/live"])
def test_open_page_does_not_keep_its_session_alive(board: Running, ada: httpx.Client, path: str) -> None:
    """The browser asks for the stream by itself, and cannot say so in a header."""
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    board.practice.db.execute("UPDATE board_sessions SET seen_at = now() - interval '29 min'")
    with ada.stream("GET", path.format(order_id=order_id)) as answer:
        assert next(answer.iter_lines()) == "retry: 3000"
    (session,) = board.practice.rows("SELECT now() - seen_at AS idle FROM board_sessions")
    assert session["idle"] > timedelta(minutes=28)
    board.practice.db.execute("UPDATE board_sessions SET seen_at = now() - interval '31 min'")
    assert ada.get(path.format(order_id=order_id)).status_code == 303


def test_open_page_opens_no_session(practice: Practice) -> None:
    """Not even for an operator whom the proxy names: the page is loaded again, and that does."""
    policy = BoardPolicy(user_header="X-Forwarded-User", proxies="127.0.0.1")
    with running_board(practice, policy) as board, board.client(**{"X-Forwarded-User": "grace"}) as client:
        assert client.get("/live").status_code == 303
        assert practice.rows("SELECT FROM board_sessions") == []


def test_every_session_ends(board: Running, ada: httpx.Client) -> None:
    board.practice.db.execute("UPDATE board_sessions SET began_at = now() - interval '13 h'")
    assert ada.get("/").status_code == 303


def test_proxy_names_the_operator(practice: Practice) -> None:
    policy = BoardPolicy(user_header="X-Forwarded-User", proxies="127.0.0.1")
    with running_board(practice, policy, "127.0.0.1") as board:
        proxied = {"X-Forwarded-User": "grace", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        with board.client(**SAME_ORIGIN) as client:
            answer = client.get("/", headers=proxied)
            assert "grace" in answer.text
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-board=")
            assert "Secure" in cookie
            secret = cookie.partition("=")[2].partition(";")[0]
            kept = {"Cookie": f"__Host-board={secret}"}
            assert "set-cookie" not in client.get("/", headers={**proxied, **kept}).headers
            without = {name: value for name, value in proxied.items() if name != "X-Forwarded-User"}
            assert client.get("/", headers={**without, **kept}).status_code == 303, "the proxy names nobody now"
            other = client.get("/", headers={**proxied, **kept, "X-Forwarded-User": "ada"})
            assert "grace" not in other.text


@pytest.mark.parametrize("given", [["mallory", "grace"], ["mallory, grace"]])
def test_proxy_that_leaves_its_clients_header_is_refused(practice: Practice, given: list[str]) -> None:
    """Which of two names is the client's own cannot be known."""
    policy = BoardPolicy(user_header="X-Forwarded-User", proxies="127.0.0.1")
    headers = [("X-Forwarded-User", name) for name in given]
    with running_board(practice, policy) as board, board.client() as client:
        answer = client.get("/", headers=headers)
        assert answer.status_code == 400
        assert "must remove the header" in answer.text
        assert practice.rows("SELECT FROM board_sessions") == []


def test_nobody_else_names_an_operator(practice: Practice) -> None:
    """The header counts only from a trusted proxy, and only when it is set."""
    for policy, trusted in (
        (BoardPolicy(user_header="X-Forwarded-User", proxies="192.0.2.1"), "192.0.2.1"),
        (BoardPolicy(), "127.0.0.1"),
    ):
        with running_board(practice, policy, trusted) as board, board.client() as client:
            answer = client.get("/", headers={"X-Forwarded-User": "grace", "X-Forwarded-For": "192.0.2.1"})
            assert answer.status_code == 303


def test_headers_keep_foreign_code_out(board: Running, ada: httpx.Client) -> None:
    for path in ("/", "/orders", "/search?q=x", "/login", "/orders/none"):
        headers = ada.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_pages_have_nothing_inline_and_nothing_from_elsewhere(board: Running, ada: httpx.Client) -> None:
    text = ada.get("/").text
    assert "style=" not in text
    assert "<style" not in text
    assert " onclick" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text
    for name in ("board.css", "board.js", "icon.svg"):
        answer = ada.get(f"/static/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert ada.get("/static/none.js").status_code == 404
