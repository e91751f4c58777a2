"""Carry out adapters' conversations over HTTP, and state exactly what is known when no answer comes.

Timeouts, size limits, credentials and receipts are handled here, once for all carriers. A request that costs money is
sent once, and once more only after a 401 that new credentials may cure, because a 401 means that nothing was done.
When the carrier answers "too many requests", conversations under way send nothing more that counts against that limit.
Knows HTTP. Does not know any carrier's dialect, the ledger, or when to try again.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from number_orders.carriers.contract import (
    GATEWAY_STATUSES,
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    ConversationOf,
    ConversationStore,
    FindInList,
    Inquiry,
    LimitPause,
    LookUpNumbers,
    Purpose,
    RateLimiter,
    Reply,
    Result,
    SaveProgress,
    Step,
)
from number_orders.carriers.http.credentials import Authenticator, NoToken
from number_orders.carriers.http.retry_after import PAUSE_UNLESS_TOLD, retry_at
from number_orders.carriers.http.transport import (
    SEND_ERRORS,
    CourierSettings,
    HttpTransport,
    SendGuard,
    Transport,
    TransportError,
)
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Event, NotSent

__all__ = ["Courier", "CourierSettings", "Exchange", "Outcome", "boot_clock", "exchanges_of"]

_NEVER: Final = float("inf")


def boot_clock() -> float:
    """Return seconds on a clock that is never set and also counts while the machine sleeps.

    A lease must have run out when a laptop is opened after an hour. Outside Linux there is no such clock, and the
    monotonic one is used.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, safe to store as a receipt: bodies are capped, secrets are removed."""

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
    """The carrier could not be reached, a gateway answered in its place, or there was no token for the request."""
    no_token: NoToken | None = None
    """Why there was no token."""
    begun_at: datetime | None = None
    """On this machine's clock, which may be wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The event that a conversation ended in, and its exchanges."""

    event: Event
    exchanges: tuple[Exchange, ...]


def exchanges_of(error: BaseException) -> tuple[Exchange, ...]:
    """Return the exchanges of a conversation that ended in `error`."""
    exchanges: tuple[Exchange, ...] = vars(error).get("exchanges", ())
    return exchanges


class _Unanswered(Exception):
    """A request has no readable answer. `may_have_acted` says whether the carrier may have acted on it."""

    def __init__(self, reason: str, *, may_have_acted: bool, not_before: datetime | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_acted = may_have_acted
        self.not_before = not_before


class _SlotMissed(_Unanswered):
    """A request was not sent because its slot in the carrier's rate limit had ended."""


@dataclass(frozen=True, slots=True)
class _Context:
    """What the requests of one running conversation have in common, and their exchanges so far."""

    deadline: float = _NEVER
    store: ConversationStore | None = None
    rate_limiter: RateLimiter | None = None
    exchanges: list[Exchange] = field(default_factory=list)


class Courier:
    """Carries out conversations with one carrier, many at the same time, over one connection pool.

    Create and use it on one event loop. It opens no connection before the first request.
    """

    def __init__(
        self,
        settings: CourierSettings,
        auth: Authenticator,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = boot_clock,
        tls: ssl.SSLContext | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare the connections.

        Args:
            settings: The carrier's address, timeouts and limits.
            auth: Gives the headers that authenticate us.
            now: Returns the present in UTC; turns "in 30 seconds" into a moment.
            clock: The clock of all deadlines, in seconds.
            tls: Which certificates to trust; None for the default ones.
            transport: Replaces the connections over the network.
        """
        self._receipt_bytes_max = settings.receipt_bytes_max
        self._auth = auth
        self._now = now
        self._clock = clock
        self._transport = transport or HttpTransport(settings, tls)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def inquire(self, inquiry: Inquiry[Result], *, rate_limiter: RateLimiter | None = None) -> Result:
        """Ask a question that is about no order, and return the result.

        Raises:
            NoAnswer: The carrier did not answer.
            UnreadableAnswer: The adapter could not read the answer.

        `exchanges_of` returns the exchanges of every error raised here.
        """
        context = _Context(rate_limiter=rate_limiter)
        try:
            result = await self._carry_out(inquiry, context)
        except BaseException as error:
            vars(error)["exchanges"] = tuple(context.exchanges)
            raise
        finally:
            inquiry.close()
        if isinstance(result, NotSent | AnswerLost):
            raise Mistake("an inquiry sent a request that costs money")
        return result

    async def converse(
        self,
        conversation: Conversation,
        *,
        deadline: float,
        store: ConversationStore | None = None,
        rate_limiter: RateLimiter | None = None,
    ) -> Outcome:
        """Carry out a conversation to its end.

        Args:
            conversation: As the adapter returned it.
            deadline: In seconds on `clock`. After it nothing is sent any more, because the lease has run out. The
                answer to a request that was sent before is still awaited.
            store: The ledger, for a conversation that saves or looks up something. An error that it raises ends the
                conversation.
            rate_limiter: Says which of the carrier's limits counts the requests, and when one may be sent.

        Returns:
            The event, and the exchanges for the receipts.

        Raises:
            NoAnswer: A request that costs nothing was not answered. If the conversation was to submit an order, the
                request that costs money was not sent.
            UnreadableAnswer: The adapter could not read an answer, and no request that costs money was sent.

        `exchanges_of` returns the exchanges of every error raised here, including cancellation and bugs. If the
        conversation is cancelled while a request that costs money is out, there is no event at all.
        """
        context = _Context(deadline, store, rate_limiter)
        try:
            event = await self._carry_out(conversation, context)
        except BaseException as error:
            vars(error)["exchanges"] = tuple(context.exchanges)
            raise
        finally:
            conversation.close()
        return Outcome(event, tuple(context.exchanges))

    async def _carry_out(
        self, conversation: ConversationOf[Result], context: _Context
    ) -> Result | NotSent | AnswerLost:
        """Answer the conversation's steps, one by one, until it returns or a request stays unanswered."""
        reply: Reply = None
        committed = False  # a request that costs money was handed to the transport
        while True:
            try:
                step = _next_step(conversation, reply)
            except (NoAnswer, UnreadableAnswer) as error:
                if committed:
                    return AnswerLost(str(error))
                raise
            if isinstance(step, SaveProgress | LookUpNumbers | FindInList):
                reply = await _reply_from_store(step, context.store)
                continue
            if not isinstance(step, CarrierRequest):
                return step
            if committed and step.purpose is Purpose.COMMIT:
                raise Mistake(f"a conversation commits once, and wants {step.method} {step.path} as well")
            committed = committed or step.purpose is Purpose.COMMIT
            try:
                reply = await self._answer_to(step, context)
            except _Unanswered as unanswered:
                return _event_without_answer(unanswered, step.purpose, committed=committed)

    async def _answer_to(self, request: CarrierRequest, context: _Context) -> CarrierAnswer:
        """Send a request with valid credentials, and return the answer.

        Raises:
            _Unanswered: There is no answer, no credentials, or the answer is a 429.
        """
        try:
            headers = await self._auth.headers(self._fetch)
            answer = await self._send_in_slot(request, headers, context)
            # A 401 means that nothing was done, so sending it again cannot order twice.
            if answer.status == HTTPStatus.UNAUTHORIZED and await self._auth.renew(headers, self._fetch):
                headers = await self._auth.headers(self._fetch)
                answer = await self._send_in_slot(request, headers, context)
        except NoAnswer as error:
            if isinstance(error, NoToken):
                context.exchanges.append(_exchange_without_token(error))
            raise _Unanswered(error.reason, may_have_acted=False, not_before=error.not_before) from error
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            not_before = retry_at(answer.headers, self._now())
            self._note_pause(context.rate_limiter, not_before)
            raise _Unanswered("HTTP 429: too many requests", may_have_acted=False, not_before=not_before)
        return answer

    def _note_pause(self, rate_limiter: RateLimiter | None, until: datetime | None) -> None:
        if rate_limiter is None:
            return
        now = self._now()
        until = until or now + PAUSE_UNLESS_TOLD
        rate_limiter.note_pause(LimitPause(self._clock() + (until - now).total_seconds(), until))

    async def _send_in_slot(
        self, request: CarrierRequest, headers: Mapping[str, str], context: _Context
    ) -> CarrierAnswer:
        """Send a request in a slot of the carrier's rate limit. If it misses the slot, wait for another."""
        while True:
            slot_ends_at = await context.rate_limiter.wait() if context.rate_limiter else _NEVER
            try:
                return await self._send(request, headers, context, slot_ends_at)
            except _SlotMissed:
                continue

    async def _send(
        self, request: CarrierRequest, headers: Mapping[str, str], context: _Context, slot_ends_at: float
    ) -> CarrierAnswer:
        """Send a request and record the exchange."""
        guard = SendGuard(
            self._clock,
            context.deadline,
            request.purpose is Purpose.COMMIT,
            slot_ends_at,
            paused_until=lambda: _paused_until(context.rate_limiter),
        )
        target = _target(request)
        loop = asyncio.get_running_loop()
        started, begun_at = loop.time(), self._now()
        answer: CarrierAnswer | None = None
        trouble, out_of_reach = "cancelled before the answer came", False
        try:
            answer = await self._transport.send(
                request.method,
                target,
                headers={**headers, "Accept": request.accept, **_content_type(request)},
                body=request.body,
                guard=guard,
            )
        except SEND_ERRORS as error:
            trouble, out_of_reach = self._transport.describe_failure(error, guard), _is_network_error(error)
            if guard.paused and context.rate_limiter and (pause := context.rate_limiter.current_pause()):
                reason = f"the carrier wants no {context.rate_limiter.group} requests now: HTTP 429 to an earlier one"
                raise _Unanswered(reason, may_have_acted=False, not_before=pause.until) from error
            raise (_SlotMissed if guard.slot_missed else _Unanswered)(trouble, may_have_acted=guard.sent) from error
        finally:
            elapsed = timedelta(seconds=loop.time() - started)
            if not (guard.slot_missed or guard.paused):
                context.exchanges.append(
                    self._exchange(request, target, headers, answer, begun_at, elapsed, trouble, out_of_reach)
                )
        return answer

    async def _fetch(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> CarrierAnswer:
        """Send an authenticator's own request. There is no exchange of it: request and answer are secrets."""
        guard = SendGuard(self._clock, _NEVER, once=False)
        try:
            return await self._transport.send(method, path, headers=headers, body=body, guard=guard)
        except SEND_ERRORS as error:
            reason = f"no token: {self._transport.describe_failure(error, guard)}"
            raise NoAnswer(reason, out_of_reach=_is_network_error(error)) from error

    def _exchange(
        self,
        request: CarrierRequest,
        target: str,
        headers: Mapping[str, str],
        answer: CarrierAnswer | None,
        begun_at: datetime,
        elapsed: timedelta,
        trouble: str,
        out_of_reach: bool,
    ) -> Exchange:
        return Exchange(
            method=request.method,
            target=self._redacted(target.encode(), headers).decode(errors="replace"),
            purpose=request.purpose,
            request_body=self._redacted(request.body, headers),
            status=answer.status if answer else None,
            body=self._redacted(answer.body, headers) if answer else b"",
            elapsed=elapsed,
            trouble=None if answer else trouble,
            out_of_reach=answer.status in GATEWAY_STATUSES if answer else out_of_reach,
            begun_at=begun_at,
        )

    def _redacted(self, text: bytes, headers: Mapping[str, str]) -> bytes:
        """Return the beginning of a text, without the credentials in `headers`, which an answer may echo."""
        for value in headers.values():
            if secret := value.rpartition(" ")[2].encode():
                text = text.replace(secret, b"[secret]")
        return text[: self._receipt_bytes_max]


def _next_step(conversation: ConversationOf[Result], reply: Reply) -> Step | Result:
    """Send the conversation a reply, and return its next step or its result."""
    try:
        return conversation.send(reply)
    except StopIteration as end:
        result: Result = end.value
        return result


async def _reply_from_store(step: SaveProgress | LookUpNumbers | FindInList, store: ConversationStore | None) -> Reply:
    if store is None:
        raise Mistake("a conversation wants to save or look up something, and was given no store")
    if isinstance(step, SaveProgress):
        await store.save_progress(step.progress)
        return None
    if isinstance(step, FindInList):
        return await store.find_in_list(step)
    return await store.look_up_numbers(step)


def _paused_until(rate_limiter: RateLimiter | None) -> float:
    """Return until when the carrier wants none of these requests, on the courier's clock."""
    pause = rate_limiter.current_pause() if rate_limiter else None
    return pause.ends_at if pause else -_NEVER


def _is_network_error(error: Exception) -> bool:
    """Return whether the network failed. A `TransportError` is a decision of ours, or a broken answer."""
    return not isinstance(error, TransportError)


def _exchange_without_token(error: NoToken) -> Exchange:
    """Return the exchange of a request that was never sent because no token could be fetched."""
    return Exchange(
        "-", "credentials", Purpose.READ, b"", None, b"", timedelta(), error.reason, out_of_reach=True, no_token=error
    )


def _target(request: CarrierRequest) -> str:
    """Return path and query. A plus sign in a value is quoted, because carriers read a bare one as a blank."""
    return f"{request.path}?{urlencode(request.query, doseq=True, quote_via=quote)}" if request.query else request.path


def _content_type(request: CarrierRequest) -> Mapping[str, str]:
    return {"Content-Type": request.content_type} if request.content_type else {}


def _event_without_answer(unanswered: _Unanswered, purpose: Purpose, *, committed: bool) -> NotSent | AnswerLost:
    """Return the event for a request that was not answered, if money was at stake.

    Args:
        unanswered: Why there is no answer, and whether the carrier may have acted on the request.
        purpose: The purpose of that request.
        committed: Whether it, or a request before it, costs money.

    Raises:
        NoAnswer: No request so far costs money.
    """
    if purpose is Purpose.COMMIT and not unanswered.may_have_acted:
        return NotSent(unanswered.reason, unanswered.not_before)
    if committed:
        return AnswerLost(unanswered.reason)
    raise NoAnswer(unanswered.reason, not_before=unanswered.not_before) from unanswered
