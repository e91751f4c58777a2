"""A body is read up to its limit."""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from number_orders.receiver.bodies import read_body
from number_orders.receiver.problems import Problem


def read(*chunks: bytes, headers: Mapping[str, str] | None = None, most: int = 10) -> tuple[bytes | str, int]:
    """Return what was read, or the name of the problem, and how many chunks were taken."""
    taken = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "method": "POST", "headers": encoded}, receive)
    try:
        return asyncio.run(read_body(request, bytes_max=most)), taken
    except Problem as problem:
        return problem.name, taken


def test_a_body_within_the_limit_is_read_whole() -> None:
    assert read(b"12345", b"67890") == (b"1234567890", 2)


def test_a_body_that_announces_too_much_is_not_read() -> None:
    assert read(b"1", headers={"content-length": "11"}) == ("too-long", 0)


@pytest.mark.parametrize("length", ["", "5", "-1", "many"])
def test_a_body_that_is_longer_than_it_says_is_not_read_to_its_end(length: str) -> None:
    assert read(b"123456", b"78901", b"more", headers={"content-length": length}) == ("too-long", 2)
