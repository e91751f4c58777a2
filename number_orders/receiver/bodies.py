"""Read a request's body as JSON: its length, time, encoding and shape are checked before its content.

A body may be sent by anybody with a token, so each check costs less than what it guards.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from number_orders.fulfilment.order_reader import ORDER_BYTES_MAX
from number_orders.orders.errors import Fault
from number_orders.receiver.problems import Problem, refused

ORDER_BODY_MAX: Final = ORDER_BYTES_MAX
BATCH_BODY_MAX: Final = 4 * 1024 * 1024
"""As long as a message on the queue may be."""
BODY_WITHIN_S: Final = 30.0


async def read_json(request: Request, *, bytes_max: int) -> Any:
    """Return the body as JSON values.

    Raises:
        Problem: It is too long or too slow, compressed, not JSON, or nested too deep.
    """
    _check_headers(request)
    return parse_json(await read_body(request, bytes_max=bytes_max))


def parse_json(body: bytes) -> Any:
    """Return JSON values.

    Raises:
        Problem: It is not JSON (a field named twice and NaN are none either), or nested a thousand deep.
    """
    try:
        return json.loads(body, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise Problem("malformed-body", "objects and lists are nested too deep") from None
    except ValueError as wrong:
        raise Problem("malformed-body", f"the body must be JSON in UTF-8: {_words(wrong)}") from None


def _check_headers(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        headers = {"Accept-Encoding": "identity"}
        raise Problem("unsupported-media-type", f"a body may not be compressed ({encoding[:40]})", headers=headers)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        words = f"the header Content-Type must be application/json, and is {given[:80] or 'missing'}"
        raise Problem("unsupported-media-type", words)


async def read_body(request: Request, *, bytes_max: int) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: It has, or announces, more than `bytes_max` bytes, and the rest is not read. Or it is too slow, or
            its sender is gone.
    """
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await _read(request, bytes_max)
    except TimeoutError:
        raise Problem("too-slow", f"the body must arrive within {BODY_WITHIN_S:g} s") from None
    except ClientDisconnect:
        raise Problem("malformed-body", "the connection ended before the body did") from None


async def _read(request: Request, bytes_max: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise _too_long(bytes_max)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            raise _too_long(bytes_max)
    return bytes(body)


def _too_long(bytes_max: int) -> Problem:
    # The rest of the body is not read, so the connection cannot serve another request.
    return Problem("too-long", f"the body may have {bytes_max} bytes at most", headers={"Connection": "close"})


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice[:100]!r} stands there twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _words(wrong: Exception) -> str:
    return str(wrong).encode(errors="replace").decode()[:200]


def as_object(body: Any, *, known: frozenset[str]) -> dict[str, Any]:
    """Return the body as an object that has no other fields than these.

    Raises:
        Problem: It is none, or has.
    """
    if not isinstance(body, dict):
        raise refused([Fault("body", "must be a JSON object")])
    if unknown := sorted(body.keys() - known):
        raise refused(
            [Fault(_shown(name), f"is no field here; these are: {', '.join(sorted(known))}") for name in unknown[:20]]
        )
    return body


def _shown(name: str) -> str:
    return name.encode(errors="replace").decode()[:100]
