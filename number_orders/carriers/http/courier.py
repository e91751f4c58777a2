"""Carries an adapter's conversation out, and is exact about what is known when no answer comes.

Timeouts, limits, credentials and receipts live here once, for every carrier. Nothing is sent twice,
but for one repetition after a 401 that new credentials may cure: a 401 means that nothing was done.
Knows HTTP; knows nothing of any carrier's dialect, of the ledger, or of when to try again.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

from number_orders.carriers.contract import (
    GATEWAYS,
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    Inquiry,
    Keep,
    Memory,
    Pace,
    Purpose,
    Recall,
    Recollection,
    Talk,
)
from number_orders.carriers.http.credentials import Authenticator
from number_orders.carriers.http.retry_after import come_back_at
from number_orders.carriers.http.transport import FAULTS, Carries, CourierSettings, Departure, Wire, WireTrouble
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Event, NotSent

__all__ = ["Courier", "CourierSettings", "Exchange", "Outcome", "boot_clock", "exchanges_of"]

_NEVER: Final = float("inf")

Told = TypeVar("Told")


def boot_clock() -> float:
    """Return seconds on a clock that is never set and goes on while the machine sleeps.

    A laptop closed for an hour must not find its leases fresh. Where there is no such clock, the
    monotonic one serves.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it, fit to be kept: capped, and without secrets."""

    method: str
    target: str
    purpose: Purpose
    request_body: bytes
    status: int | None
    body: bytes
    elapsed: timedelta
    trouble: str | None = None
    """Why there is no answer."""
    out_of_reach: bool = False
    """The carrier could not be reached, or a gateway answered in its place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a conversation came to, and everything that was said."""

    event: Event
    exchanges: tuple[Exchange, ...]


def exchanges_of(error: BaseException) -> tuple[Exchange, ...]:
    """Return what was said in a conversation that ended in `error`."""
    said: tuple[Exchange, ...] = vars(error).get("exchanges", ())
    return said


class _Unanswered(Exception):
    """A request without a readable answer, and whether it may have arrived."""

    def __init__(self, reason: str, *, left: bool, not_before: datetime | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.left = left
        self.not_before = not_before


class _MissedPlace(_Unanswered):
    """A request that could have left, but not in its place; nothing left."""


class Courier:
    """Carries conversations with one carrier, many at once, over one pool of connections.

    Made and used on one event loop. Opens no connection before the first request.
    """

    def __init__(
        self,
        settings: CourierSettings,
        auth: Authenticator,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = boot_clock,
        tls: ssl.SSLContext | None = None,
        wire: Carries | None = None,
    ) -> None:
        """Prepare the connections.

        Args:
            settings: Where the carrier is, and how long to wait for it.
            auth: How to tell it who we are.
            now: The present in UTC; turns "in 30 seconds" into a moment.
            clock: The clock that deadlines are measured on.
            tls: Which certificates to trust, when not the usual ones.
            wire: The connections, when not those over the network.
        """
        self._receipt_bytes_max = settings.receipt_bytes_max
        self._auth = auth
        self._now = now
        self._clock = clock
        self._wire = wire or Wire(settings, tls)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()

    async def inquire(self, inquiry: Inquiry[Told], *, pace: Pace | None = None) -> Told:
        """Put a question that concerns no order, at the carrier's pace if it has one.

        Raises:
            NoAnswer: It stayed unanswered.
            UnreadableAnswer: The adapter could not read an answer.
        """
        try:
            told = await self._converse(inquiry, _NEVER, [], None, pace)
        finally:
            inquiry.close()
        if isinstance(told, NotSent | AnswerLost):
            raise Mistake("a question does not commit to anything")
        return told

    async def hold(
        self, conversation: Conversation, *, deadline: float, memory: Memory | None = None, pace: Pace | None = None
    ) -> Outcome:
        """Carry a conversation out to its end.

        Args:
            conversation: As an adapter began it.
            memory: The ledger, for conversations that keep or recall something; what it raises ends them.
            deadline: On `clock`; after it nothing leaves any more, because the lease has run out.
                An answer to what has left is still waited for.
            pace: When requests may leave, for carriers that take only so many.

        Returns:
            The event, and the exchanges for the receipts.

        Raises:
            NoAnswer: A question stayed unanswered. If the conversation was to submit an order, the
                request that costs money has not left.
            UnreadableAnswer: The adapter could not read an answer, and no money was at stake.

        Whatever is raised, also a bug's exception or a cancellation, `exchanges_of` it tells what was
        said before. A request with money in it that is cancelled on its way ends in no event at all.
        """
        exchanges: list[Exchange] = []
        try:
            event = await self._converse(conversation, deadline, exchanges, memory, pace)
        except BaseException as error:
            vars(error)["exchanges"] = tuple(exchanges)
            raise
        finally:
            conversation.close()
        return Outcome(event, tuple(exchanges))

    async def _converse(
        self,
        conversation: Talk[Told],
        deadline: float,
        exchanges: list[Exchange],
        memory: Memory | None,
        pace: Pace | None,
    ) -> Told | NotSent | AnswerLost:
        answer: CarrierAnswer | Recollection | None = None
        committed = False
        while True:
            try:
                turn = _next_turn(conversation, answer)
            except (NoAnswer, UnreadableAnswer) as fault:
                if committed:
                    return AnswerLost(str(fault))
                raise
            if isinstance(turn, Keep | Recall):
                answer = await _remembered(turn, memory)
                continue
            if not isinstance(turn, CarrierRequest):
                return turn
            if committed and turn.purpose is Purpose.COMMIT:
                raise Mistake(f"a conversation commits once, and wants {turn.method} {turn.path} as well")
            committed = committed or turn.purpose is Purpose.COMMIT
            try:
                answer = await self._answered(turn, deadline, exchanges, pace)
            except _Unanswered as silence:
                return _meaning(silence, turn.purpose, committed=committed)

    async def _answered(
        self, request: CarrierRequest, deadline: float, exchanges: list[Exchange], pace: Pace | None
    ) -> CarrierAnswer:
        """Return the answer to a request, made with good credentials."""
        try:
            headers = await self._auth.headers(self._fetch)
            answer = await self._in_its_place(request, headers, deadline, exchanges, pace)
            # A 401 means that nothing was done, so this repetition cannot double anything.
            if answer.status == HTTPStatus.UNAUTHORIZED and await self._auth.renew(headers, self._fetch):
                headers = await self._auth.headers(self._fetch)
                answer = await self._in_its_place(request, headers, deadline, exchanges, pace)
        except NoAnswer as failure:
            if failure.out_of_reach:
                exchanges.append(_credentials_unfetched(failure.reason))
            raise _Unanswered(failure.reason, left=False, not_before=failure.not_before) from failure
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            pause_until = come_back_at(answer.headers, self._now())
            raise _Unanswered("HTTP 429: too many requests", left=False, not_before=pause_until)
        return answer

    async def _in_its_place(
        self,
        request: CarrierRequest,
        headers: Mapping[str, str],
        deadline: float,
        exchanges: list[Exchange],
        pace: Pace | None,
    ) -> CarrierAnswer:
        """Send one request once, when the carrier's rate has a place for it. One that missed its place has not left."""
        while True:
            place_until = await pace.wait() if pace else _NEVER
            try:
                return await self._exchanged(request, headers, deadline, exchanges, place_until=place_until)
            except _MissedPlace:
                continue

    async def _exchanged(
        self,
        request: CarrierRequest,
        headers: Mapping[str, str],
        deadline: float,
        exchanges: list[Exchange],
        *,
        place_until: float = _NEVER,
    ) -> CarrierAnswer:
        """Send one request once, and keep what came of it."""
        departure = Departure(self._clock, deadline, request.purpose is Purpose.COMMIT, place_until)
        target = _target(request)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer: CarrierAnswer | None = None
        trouble, out_of_reach = "it was given up on the way", False
        try:
            answer = await self._wire.send(
                request.method,
                target,
                headers={**headers, "Accept": request.accept, **_content_type(request)},
                body=request.body,
                departure=departure,
            )
        except FAULTS as fault:
            trouble, out_of_reach = self._wire.words(fault, departure), not isinstance(fault, WireTrouble)
            raise (_MissedPlace if departure.missed else _Unanswered)(trouble, left=departure.left) from fault
        finally:
            elapsed = timedelta(seconds=loop.time() - begun)
            if not departure.missed:
                exchanges.append(self._kept(request, target, headers, answer, elapsed, trouble, out_of_reach))
        return answer

    async def _fetch(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer:
        """Carry an authenticator's own request. It is not kept: both ways it is made of secrets."""
        departure = Departure(self._clock, _NEVER, once=False)
        try:
            return await self._wire.send(method, path, headers=headers, body=body, departure=departure)
        except FAULTS as fault:
            why, away = f"no token: {self._wire.words(fault, departure)}", not isinstance(fault, WireTrouble)
            raise NoAnswer(why, out_of_reach=away) from fault

    def _kept(
        self,
        request: CarrierRequest,
        target: str,
        headers: Mapping[str, str],
        answer: CarrierAnswer | None,
        elapsed: timedelta,
        trouble: str,
        out_of_reach: bool,
    ) -> Exchange:
        return Exchange(
            method=request.method,
            target=self._clean(target.encode(), headers).decode(errors="replace"),
            purpose=request.purpose,
            request_body=self._clean(request.body, headers),
            status=answer.status if answer else None,
            body=self._clean(answer.body, headers) if answer else b"",
            elapsed=elapsed,
            trouble=None if answer else trouble,
            out_of_reach=answer.status in GATEWAYS if answer else out_of_reach,
        )

    def _clean(self, said: bytes, headers: Mapping[str, str]) -> bytes:
        """Return the beginning of what was said, without any credential that an answer may echo."""
        for value in headers.values():
            if secret := value.rpartition(" ")[2].encode():
                said = said.replace(secret, b"[secret]")
        return said[: self._receipt_bytes_max]


def _next_turn(
    conversation: Talk[Told], answer: CarrierAnswer | Recollection | None
) -> CarrierRequest | Keep | Recall | Told:
    """Return what the adapter says next: another turn, or what it has come to."""
    try:
        return conversation.send(answer)
    except StopIteration as end:
        told: Told = end.value
        return told


async def _remembered(turn: Keep | Recall, memory: Memory | None) -> Recollection | None:
    if memory is None:
        raise Mistake("a conversation wants to keep or recall something, and has no memory")
    if isinstance(turn, Keep):
        await memory.keep(turn.progress)
        return None
    return await memory.recall(turn.numbers)


def _credentials_unfetched(why: str) -> Exchange:
    """Return what stands for a request that never was, since there were no credentials for it."""
    return Exchange("-", "credentials", Purpose.READ, b"", None, b"", timedelta(), why, out_of_reach=True)


def _target(request: CarrierRequest) -> str:
    """Return path and query. A plus sign in a value is written out: carriers read a bare one as a blank."""
    return f"{request.path}?{urlencode(request.query, doseq=True, quote_via=quote)}" if request.query else request.path


def _content_type(request: CarrierRequest) -> Mapping[str, str]:
    return {"Content-Type": request.content_type} if request.content_type else {}


def _meaning(silence: _Unanswered, purpose: Purpose, *, committed: bool) -> NotSent | AnswerLost:
    """Say what a missing answer means: for a question nothing, for money everything.

    Raises:
        NoAnswer: It was a question, and no money was at stake.
    """
    if purpose is Purpose.COMMIT and not silence.left:
        return NotSent(silence.reason, silence.not_before)
    if committed:
        return AnswerLost(silence.reason)
    raise NoAnswer(silence.reason, not_before=silence.not_before) from silence
