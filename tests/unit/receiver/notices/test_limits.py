"""A sender gets its rate, a burst of a second of it, and no more; a body is read up to its limit."""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from number_orders.receiver.notices.limits import BodyTooLong, RateCap, read_body


def test_the_rate_is_kept_over_time() -> None:
    now = [100.0]
    cap = RateCap(10, clock=lambda: now[0])

    assert [cap.admit() for _ in range(12)] == [True] * 10 + [False] * 2
    now[0] += 0.35
    assert [cap.admit() for _ in range(4)] == [True] * 3 + [False]
    now[0] += 3600
    assert sum(cap.admit() for _ in range(100)) == 10


def test_a_rate_below_one_admits_one_now_and_then() -> None:
    now = [0.0]
    cap = RateCap(0.5, clock=lambda: now[0])

    assert [cap.admit(), cap.admit()] == [True, False]
    now[0] += 2
    assert cap.admit()


def read(*chunks: bytes, headers: Mapping[str, str] | None = None, most: int = 10) -> tuple[bytes | None, int]:
    """Return what was read, None if it was too long, and how many chunks were taken."""
    taken = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "method": "POST", "headers": encoded}, receive)
    try:
        return asyncio.run(read_body(request, most)), taken
    except BodyTooLong:
        return None, taken


def test_a_body_within_the_limit_is_read_whole() -> None:
    assert read(b"12345", b"67890") == (b"1234567890", 2)


def test_a_body_that_announces_too_much_is_not_read() -> None:
    assert read(b"1", headers={"content-length": "11"}) == (None, 0)


@pytest.mark.parametrize("length", ["", "5", "-1", "many"])
def test_a_body_that_is_longer_than_it_says_is_not_read_to_its_end(length: str) -> None:
    assert read(b"123456", b"78901", b"more", headers={"content-length": length}) == (None, 2)
