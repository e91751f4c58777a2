"""Where a login leads, whose word about an operator is believed, and what a session remembers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Request

from number_orders.receiver.board import visitors
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.visitors import Unwanted, Visitor, read_form, safe_path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("path", ["/", "/orders?state=PARKED&carrier=cm", "/orders/01a2#numbers"])
def test_login_leads_to_a_page_of_this_host(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "\n/x",
    ],
)
def test_login_leads_to_no_other_host(path: str) -> None:
    assert safe_path(path) == "/"


@pytest.mark.parametrize(
    ("proxies", "peer", "is_proxy"),
    [
        ("10.0.0.0/8, 127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8, 127.0.0.1", "10.2.3.4", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("*", "11.0.0.1", True),
        ("", "127.0.0.1", False),
        ("proxy.internal", "127.0.0.1", False),
    ],
)
def test_only_proxies_name_operators(proxies: str, peer: str, *, is_proxy: bool) -> None:
    assert BoardPolicy(user_header="X-User", proxies=proxies).is_proxy(peer) is is_proxy
    assert not BoardPolicy(proxies=proxies).is_proxy(peer), "no header is set"


def test_form_token_belongs_to_one_session() -> None:
    assert Visitor("ada", "one").form_token == Visitor("ada", "one").form_token
    assert Visitor("ada", "one").form_token != Visitor("ada", "two").form_token
    assert "one" not in Visitor("ada", "one").form_token


def test_page_knows_what_its_session_has_done() -> None:
    """Only for that subject, for a minute, and from no link that somebody else has made."""
    ada, grace = Visitor("ada", "one"), Visitor("grace", "two")
    note = ada.note("close", "order-1", NOW)
    assert ada.remembered(note, "order-1", NOW + timedelta(seconds=30)) == "close"
    assert ada.remembered(note, "order-1", NOW + timedelta(minutes=2)) is None
    assert ada.remembered(note, "order-2", NOW) is None
    assert grace.remembered(note, "order-1", NOW) is None
    assert ada.remembered(note.replace("close", "park"), "order-1", NOW) is None
    for forged in ("", "close", "close.1.2", "close..", "..", note.upper(), "é.1.ü"):
        assert ada.remembered(forged, "order-1", NOW) is None


def test_slow_form_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login needs no session, so anybody may begin to send its form."""
    monkeypatch.setattr(visitors, "_FORM_WITHIN_S", 0.01)
    headers = [(b"sec-fetch-site", b"same-origin"), (b"content-type", b"application/x-www-form-urlencoded")]

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def read() -> None:
        with pytest.raises(Unwanted) as refused:
            await read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive))
        assert refused.value.status == 408

    asyncio.run(asyncio.wait_for(read(), 60))
