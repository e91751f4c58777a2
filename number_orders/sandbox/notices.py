"""Notices of the sandbox carriers: a POST to the customer for every change, as a behaviour has it sent.

They can be dropped, doubled, delayed (and so reordered) and forged. Nobody's answer changes anything at the carrier.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final

import httpx

from number_orders.sandbox.behaviour import Behaviour, random_duration
from number_orders.sandbox.clock import SandboxClock, iso

_TIMEOUT_S: Final = 5
_SENT_KEPT: Final = 5_000
_TRY_AGAIN_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice, as it is to be sent."""

    carrier: str
    url: str
    order_id: str
    customer_order_id: str
    status: str
    body: bytes
    content_type: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """Of HTTP basic authentication; sent after a challenge, never before."""
    times: int = 1
    on_answer: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """Called with the status line of the answer, such as `200 OK`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One notice that was sent; `answer` is its HTTP status, or None if nobody answered."""

    carrier: str
    at: datetime
    url: str
    order_id: str
    customer_order_id: str
    status: str
    answer: int | None
    forged: bool = False


Make = Callable[[], list[Notice]]
"""Returns the notices of a change when it is due: none, if it was prevented or nobody subscribes."""
Forge = Callable[[Notice, Random], Notice]
"""Returns a notice that says something else."""


def open_client() -> httpx.AsyncClient:
    """Return the client that notices are sent with."""
    return httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S)


class NoticeSender:
    """Sends what is due, for all carriers."""

    def __init__(self, clock: SandboxClock, behaviour: Callable[[], Behaviour]) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._sequence = count()
        self.open_client: Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]] = open_client
        self.reset()

    def reset(self) -> None:
        """Forget what is scheduled and what was sent."""
        self.sent: deque[Sent] = deque(maxlen=_SENT_KEPT)
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._outbox: list[tuple[Notice, bool, int]] = []
        self._dice = Random(f"{self._behaviour().seed}/notices")
        self._clock.wake()

    def schedule(self, at: datetime, make: Make, forge: Forge) -> None:
        """Send the notices of a change at `at`, or as late as the behaviour delays each."""
        self._later(at, lambda: self._spread(make(), forge))

    async def run(self) -> None:
        """Send notices until cancelled."""
        async with self.open_client() as http, asyncio.TaskGroup() as sending:
            while True:
                await self._clock.until(self._due[0][0] if self._due else None)
                while self._due and self._due[0][0] <= self._clock():
                    heapq.heappop(self._due)[2]()
                for notice, forged, tries_left in self._outbox:
                    sending.create_task(self._send(http, notice, tries_left, forged=forged))
                self._outbox.clear()

    def as_json(self, carrier: str, since: datetime | None) -> list[dict[str, Any]]:
        """Return the notices that a carrier has sent since then."""
        sent = [each for each in self.sent if each.carrier == carrier and (since is None or each.at >= since)]
        return [{**asdict(each), "at": iso(each.at)} for each in sent]

    def _later(self, at: datetime, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._sequence), do))
        self._clock.wake()

    def _spread(self, notices: list[Notice], forge: Forge) -> None:
        """Drop, double, delay and forge notices as the behaviour says."""
        behaviour, dice = self._behaviour(), self._dice
        for notice in notices:
            times = notice.times if dice.random() >= behaviour.notice_drop else 0
            times += bool(times) and dice.random() < behaviour.notice_double
            for _ in range(times):
                self._post_later(notice, forged=False)
            if dice.random() < behaviour.notice_forge:
                self._post_later(forge(notice, dice), forged=True)

    def _post_later(self, notice: Notice, *, forged: bool) -> None:
        delay = random_duration(self._behaviour().notice_delay_s, self._dice)
        entry = (notice, forged, self._behaviour().notice_tries)
        if delay:
            self._later(self._clock() + delay, lambda: self._outbox.append(entry))
        else:
            self._outbox.append(entry)

    async def _send(self, http: httpx.AsyncClient, notice: Notice, tries_left: int, *, forged: bool) -> None:
        at, answer = self._clock(), await _post(http, notice)
        about = {name: getattr(notice, name) for name in ("carrier", "url", "order_id", "customer_order_id", "status")}
        self.sent.append(Sent(at=at, answer=answer.status_code if answer else None, forged=forged, **about))
        if notice.on_answer:
            notice.on_answer(f"{answer.status_code} {answer.reason_phrase}" if answer else "no answer")
        if tries_left > 1 and not (answer and answer.is_success):
            again = (notice, forged, tries_left - 1)
            self._later(at + timedelta(seconds=_TRY_AGAIN_S), lambda: self._outbox.append(again))


async def _post(http: httpx.AsyncClient, notice: Notice) -> httpx.Response | None:
    """Send a notice without credentials, and again with them if they are asked for; return None without an answer."""
    headers = {"Content-Type": notice.content_type}
    try:
        answer = await http.post(notice.url, content=notice.body, headers=headers)
        challenged = answer.status_code == httpx.codes.UNAUTHORIZED and "www-authenticate" in answer.headers
        if challenged and notice.credentials:
            answer = await http.post(
                notice.url, content=notice.body, headers=headers, auth=httpx.BasicAuth(*notice.credentials)
            )
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return answer
