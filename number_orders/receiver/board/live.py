"""Keeps an open page up to date: a stream (Server-Sent Events) that says when to load the page's parts again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from number_orders.orders.errors import FulfilmentError
from number_orders.receiver.attempts import TooManyAttempts
from number_orders.receiver.board.service import Board, StreamPlaces
from number_orders.receiver.board.visitors import Visitor, find_visitor
from number_orders.receiver.parts import receiver_of

Pulse = Callable[[], Awaitable[str]]
"""Returns the version of what a page shows (`version_of`)."""

_STREAM_S: Final = 900.0
"""How long one stream lasts. The page connects again by itself."""
_SILENCE_S: Final = 15.0
"""After so long without a change the page is loaded again all the same: what it shows grows older."""
_SESSION_EVERY_S: Final = 10.0
"""How often a stream looks whether its session is over."""
_RETRY_MS: Final = 3000
_VERSION_DIGITS: Final = 16


def version_of(shown: object) -> str:
    """Return a word that changes whenever what is shown does; the same in every process."""
    return sha256(repr(shown).encode()).hexdigest()[:_VERSION_DIGITS]


class _Stream(StreamingResponse):
    """A stream that gives its place back at its end, also when its reader was gone before the first message."""

    def __init__(self, messages: AsyncIterator[str], places: StreamPlaces, operator: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(messages, media_type="text/event-stream", headers=headers)
        self._places = places
        self._operator = operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._places.give_back(self._operator)


def live_response(request: Request, board: Board, watcher: Visitor, pulse: Pulse, *, every_s: float) -> Response:
    """Return a stream that says `changed` when `pulse` returns something else, and `over` when the session is over.

    The query's `seen` is the version that the page shows, so that nothing is missed between the page and its stream.

    Its place is taken here, before anything is awaited, so many requests at once do not pass the limit together.
    """
    if not board.places.take(watcher.name):
        return Response("too many pages are open; this one asks by itself", 503, headers={"Retry-After": "30"})
    return _Stream(_messages(request, pulse, every_s), board.places, watcher.name)


async def _messages(request: Request, pulse: Pulse, every_s: float) -> AsyncIterator[str]:
    stopping = receiver_of(request).stopping
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        began = said = checked = time.monotonic()
        before = request.query_params.get("seen") or await pulse()
        while not stopping.is_set() and time.monotonic() - began < _STREAM_S:
            now = time.monotonic()
            if now - checked >= _SESSION_EVERY_S:
                checked = now
                if await find_visitor(request, touches=False) is None:
                    yield "event: over\ndata: the session is over\n\n"
                    return
            current = await pulse()
            if current != before or now - said >= _SILENCE_S:
                before, said = current, now
                yield "event: changed\ndata: load again\n\n"
            await _wait(stopping, every_s)
    except (FulfilmentError, TooManyAttempts):
        return  # the page connects again


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
