"""What a sender of notices may cost us: requests a second, and bytes a request."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request


class BodyTooLong(Exception):
    """A body has more bytes than are taken."""


@dataclass(slots=True)
class RateCap:
    """So many requests a second, and as many at once (a token bucket)."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(init=False)
    _counted_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._counted_at = self._most, self.clock()

    @property
    def _most(self) -> float:
        return max(1.0, self.per_second)

    def admit(self) -> bool:
        """Count a request; return whether it is within the cap."""
        now = self.clock()
        self._tokens = min(self._most, self._tokens + (now - self._counted_at) * self.per_second)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return the body of a request.

    Raises:
        BodyTooLong: It has, or announces, more than `bytes_max` bytes. The rest is not read.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise BodyTooLong
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise BodyTooLong
    return bytes(body)
