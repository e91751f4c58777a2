"""The way between a process and a carrier: what leaves may be lost, late or spoiled, and is acted on regardless.

The courier above it is the real one, so what it makes of silence, refusals and limits is tested here as well.
"""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

import httpx
from starlette.applications import Starlette

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.transport import Departure, WireTrouble
from number_orders.orders.model import CarrierName
from number_orders.simulation.clock import true_now
from number_orders.simulation.faults import LATE_MAX_S
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.process import Process
from number_orders.simulation.rates import RateWatch
from number_orders.simulation.trace import Trace

TIMEOUT_S = 30.0
"""The life of one request, as the settings have it."""
_ONE_WAY_S = (0.002, 0.2)
_SLOW_S = (1.0, 25.0)
_SLOWLY = 0.02
_NEARLY_ALL = 0.8


@dataclass(frozen=True, slots=True)
class Letter:
    """One request on its way. What it says of who we are is no part of the trace."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """The request in a line."""
        return f"{self.method} {self.target}"


class Host:
    """A carrier, as it is reached."""

    def __init__(
        self,
        name: CarrierName,
        app: Starlette,
        weather: Incidents,
        trace: Trace,
        acted: Callable[[CarrierName], None],
        watch: RateWatch,
    ) -> None:
        self.name = name
        self._app = app
        self._weather = weather
        self._trace = trace
        self._acted = acted
        self._watch = watch
        self._under_way: set[asyncio.Task[None]] = set()

    def is_away(self) -> bool:
        """Tell whether nobody can connect."""
        return self._weather.lasts("outages", self.name)

    def carry(self, letter: Letter) -> "asyncio.Future[CarrierAnswer]":
        """Let a request travel; whoever sent it may be gone when it arrives."""
        path, now = letter.target.partition("?")[0], asyncio.get_running_loop().time()
        self._watch.left(self.name, letter.method, path, now)
        reply: asyncio.Future[CarrierAnswer] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(_seen)
        journey = asyncio.get_running_loop().create_task(self._travel(letter, reply))
        self._under_way.add(journey)
        journey.add_done_callback(self._under_way.discard)
        return reply

    async def _travel(self, letter: Letter, reply: "asyncio.Future[CarrierAnswer]") -> None:
        weather, faults = self._weather, self._weather.faults
        lost_before, lost_after = weather.strikes(faults.lost_before), weather.strikes(faults.lost_after)
        late, limited = weather.strikes(faults.late), self._is_limited()
        await asyncio.sleep(weather.seconds(*(_SLOW_S if weather.strikes(_SLOWLY) else _ONE_WAY_S)))
        if limited:
            answer = self._too_many()
        elif lost_before:
            return await self._lose(letter, reply, "lost on the way there")
        else:
            if late:
                self._trace.note(self.name, "late", letter.line)
                await asyncio.sleep(weather.seconds(TIMEOUT_S / 2, LATE_MAX_S - _SLOW_S[1]))
            answer = await self._act(letter)
            if lost_after:
                return await self._lose(letter, reply, "lost on the way back")
        await asyncio.sleep(weather.seconds(*_ONE_WAY_S))
        if not reply.done():
            reply.set_result(answer)
        return None

    async def _lose(self, letter: Letter, reply: "asyncio.Future[CarrierAnswer]", where: str) -> None:
        """Lose a request or its answer: the connection breaks, or nothing at all is heard."""
        how = self._weather.pick("broken", "silent")
        self._trace.note(self.name, "lost", f"{letter.line}: {where}, {how}")
        if how == "broken" and not reply.done():
            await asyncio.sleep(self._weather.seconds(*_ONE_WAY_S))
            if not reply.done():
                reply.set_exception(httpx.ReadError("the connection broke"))

    def _is_limited(self) -> bool:
        stormy = self._weather.lasts("limited_storms", self.name)
        return self._weather.strikes(_NEARLY_ALL if stormy else self._weather.faults.limited)

    def _too_many(self) -> CarrierAnswer:
        now, wait_s = true_now(), int(self._weather.seconds(1, 120))
        headers = {
            "epoch": {"x-ratelimit-reset": str(int((now + timedelta(seconds=wait_s)).timestamp()))},
            "past": {"x-ratelimit-reset": str(int(now.timestamp()) - 5)},
            "seconds": {"retry-after": str(wait_s)},
            "date": {"retry-after": format_datetime(now + timedelta(seconds=wait_s), usegmt=True)},
            "nothing": {},
        }
        return CarrierAnswer(429, headers[self._weather.pick(*headers)], b"")

    async def _act(self, letter: Letter) -> CarrierAnswer:
        """Let the carrier act on a request, and return what it says."""
        answer = await asked(self._app, letter)
        self._trace.note(self.name, "acted", f"{letter.line} -> {answer.status}")
        if letter.method != "GET":
            self._acted(self.name)
        return answer


def _seen(reply: "asyncio.Future[CarrierAnswer]") -> None:
    """Look at a reply, since nobody else may: its process can be dead by now."""
    if not reply.cancelled():
        reply.exception()


async def asked(app: Starlette, letter: Letter) -> CarrierAnswer:
    """Put a request to an application in this process."""
    path, _, query = letter.target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": letter.method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in letter.headers.items()],
        "client": ("127.0.0.1", 1), "server": ("carrier.test", 80),
    }  # fmt: skip
    said: list[Mapping[str, object]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": letter.body, "more_body": False}

    async def send(message: Mapping[str, object]) -> None:
        said.append(message)

    await app(scope, receive, send)
    return _answer(said)


def _answer(said: list[Mapping[str, object]]) -> CarrierAnswer:
    start, *rest = said
    headers, status = start["headers"], start["status"]
    assert isinstance(headers, list)
    assert isinstance(status, int)
    bodies = [part["body"] for part in rest]
    told = {name.decode().lower(): value.decode() for name, value in headers}
    return CarrierAnswer(status, told, b"".join(body for body in bodies if isinstance(body, bytes)))


class SimulatedWire:
    """The connections of one process with one carrier."""

    def __init__(self, host: Host, process: Process, weather: Incidents) -> None:
        self._host = host
        self._process = process
        self._weather = weather

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, departure: Departure
    ) -> CarrierAnswer:
        """Send one request under `departure`, and return the answer if one comes in time."""
        process, weather = self._process, self._weather
        async with asyncio.timeout(TIMEOUT_S):
            await process.passes("connecting")
            await asyncio.sleep(weather.seconds(*_ONE_WAY_S))
            if self._host.is_away() or weather.strikes(weather.faults.refused):
                raise ConnectionRefusedError("connection refused")
            await process.passes("about to send")
            departure.leave()
            reply = self._host.carry(Letter(method, target, {**headers, "Host": "carrier.test"}, body))
            await process.passes("sent")
            answer = await reply
            await process.passes("answered")
            return answer

    def words(self, fault: Exception, departure: Departure) -> str:
        """Say for a person what went wrong."""
        what = "no answer" if departure.left else "nothing was sent"
        return f"{what}: {fault}" if isinstance(fault, WireTrouble) else f"{what}: {type(fault).__name__}"

    async def aclose(self) -> None:
        """Nothing is open."""
