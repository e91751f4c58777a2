"""Orders carried to the practice carrier by the real courier, and moved by the real lifecycle; a dict is the ledger.

What must be true of every conversation is looked at in every one: it commits at most once, goes only where the
carrier's pages say, ends as the port promises, and leaves no secret in what is kept of it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from number_orders.carriers.contract import Conversation, KnownNumbers, Purpose
from number_orders.carriers.http.courier import Courier, Exchange, boot_clock, exchanges_of
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    CancelAsked,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    NotSent,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.judgements import judge_absence
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import NumberResult, NumberState, Order, OrderId, OrderRequest, State
from number_orders.orders.numbers import E164
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.case import Case, Wish
from tests.contract.fourth_carrier.meridian_settings import SettingsWithMeridian
from workers.bootstrap import policy
from workers.carriers import ConfiguredCarrier
from workers.clock import utc_now

TLS: Final = ssl.create_default_context()
"""Not needed on loopback, and slow to make."""
STEP: Final = timedelta(seconds=90)
"""Longer than anything takes at the practice carriers."""
_ENDS: Final = (Filled, PartlyFilled, FilledWithErrors, Refused)
MAY_END_IN: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "submit": (Acknowledged, NotSent, Deferred, AnswerLost, *_ENDS),
    "ask": (StillOpen, PartSettled, CalledBack, Acknowledged, Parked, *_ENDS),
    "look_for": (Acknowledged, NotListed, ProvenAbsent, FoundTwice),
}
_TURNS_MAX: Final = 40


def set_up(case: Case, url: str) -> ConfiguredCarrier:
    """Set a carrier up as a process would: through its settings and its entry in the registry."""
    settings = SettingsWithMeridian.model_validate({case.entry.name: dict(case.own(url))})
    made = case.entry.configure(settings)
    assert made is not None
    return made


class Counter:
    """Where orders for one carrier are handed in. Its clock is the sandbox's, which can be moved."""

    def __init__(self, case: Case, control: SandboxControl, carrier: ConfiguredCarrier, courier: Courier) -> None:
        self.case = case
        self.control = control
        self.adapter = carrier.adapter
        self.courier = courier
        self.policy = policy(carrier.settings)
        self.errands: list[Errand] = []
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time at the carrier, which stands in for PostgreSQL's."""
        return utc_now() + self._ahead

    def pass_time(self, time: timedelta) -> None:
        """Let time pass, at the carrier too."""
        self.control.advance(time.total_seconds())
        self._ahead += time

    async def begin(self, wish: Wish | OrderRequest) -> "Errand":
        """Take an order in; what it needs is bought first."""
        if isinstance(wish, OrderRequest):
            return self._taken(wish)
        bought: tuple[E164, ...] = ()
        if wish.first:
            first = self._taken(wish.first)
            await first.to_the_end()
            bought = first.having(NumberState.ACQUIRED, NumberState.USABLE)
            assert len(bought) == wish.first.wanted
        return self._taken(wish.make(bought))

    def report(self) -> list[dict[str, Any]]:
        """Return every order that the carrier has."""
        orders = self.control.report()["orders"]
        return [order for order in orders if order["carrier"] == self.case.entry.name]

    def _taken(self, request: OrderRequest) -> "Errand":
        assert self.adapter.check(request) == ()
        errand = Errand(self, Order(OrderId(uuid4()), request, self.now()))
        self.errands.append(errand)
        return errand


@dataclass(slots=True, eq=False)
class Errand:
    """One order on its way."""

    counter: Counter
    order: Order
    numbers: dict[E164, NumberResult] = field(default_factory=dict)
    since: dict[E164, datetime] = field(default_factory=dict)
    """When we came to hold each."""
    said: list[Exchange] = field(default_factory=list)
    not_before: datetime | None = None

    async def send(self) -> Event:
        """Send it when its time has come, as the submit lane does."""
        event: Event = Deferred("not begun", self.counter.now())
        while isinstance(event, Deferred):
            self.counter.pass_time(max(timedelta(), (self.not_before or self.counter.now()) - self.counter.now()))
            self._hear(SubmissionBegun())
            event = await self._talk("submit", self.counter.adapter.submit(self.order))
        return event

    async def ask(self) -> Event:
        """Ask how it stands."""
        return await self._talk("ask", self.counter.adapter.ask(self.order))

    async def look(self) -> Event:
        """Look for it, and weigh that it is not there."""
        return await self._talk("look_for", self.counter.adapter.look_for(self.order))

    def call_back(self) -> None:
        """Somebody wants it no more."""
        self._hear(CancelAsked(by="contract"))

    async def to_the_end(self) -> None:
        """Do what is due and let time pass, until nothing is due any more."""
        for _ in range(_TURNS_MAX):
            match self.order.state:
                case State.ACCEPTED:
                    await self.send()
                case State.OPEN:
                    await self.ask()
                case State.IN_DOUBT:
                    await self.look()
                case _:
                    return
            self.counter.pass_time(STEP)
        raise AssertionError(f"no end: {self.order}")

    @property
    def commits(self) -> int:
        """Count how often money was at stake."""
        return len(_commits(self.said))

    def having(self, *states: NumberState) -> tuple[E164, ...]:
        """Return the numbers in one of these states."""
        return tuple(sorted(e164 for e164, result in self.numbers.items() if result.state in states))

    def theirs(self) -> list[dict[str, Any]]:
        """Return what the carrier has of it, by our reference."""
        return [order for order in self.counter.report() if order["customer_order_id"] == str(self.order.order_id)]

    def untrue(self) -> list[str]:
        """Compare with what the carrier really did, once and number by number."""
        found = self.theirs()
        if len(found) != 1:
            return [f"{len(found)} orders with our reference"]
        (theirs,) = found
        ours = {
            "order_id": self.order.carrier_order_id,
            "got": [*self.having(NumberState.ACQUIRED, NumberState.USABLE)],
            "gave up": [*self.having(NumberState.RELEASED)],
            "failed": [*self.having(NumberState.FAILED)] if self.order.request.numbers else [],
        }
        truth = {
            "order_id": theirs["order_id"],
            "got": sorted([*theirs["bought"], *theirs.get("added", ())]),
            "gave up": sorted([*theirs.get("released", ()), *theirs.get("removed", ())]),
            "failed": sorted(theirs["failed"]) if self.order.request.numbers else [],
        }
        return [f"{name}: {ours[name]}, but truly {truth[name]}" for name in ours if ours[name] != truth[name]]

    async def save_progress(self, progress: Mapping[str, object]) -> None:
        """Remember the steps done; the port's `ConversationStore`."""
        self.order = replace(self.order, progress=progress)

    async def look_up_numbers(self, numbers: tuple[E164, ...]) -> KnownNumbers:
        """Say what our orders know of these numbers; the port's `ConversationStore`."""
        errands = self.counter.errands
        others = [errand for errand in errands if errand is not self]
        held = {e164: moment for errand in errands for e164, moment in errand.since.items()}
        named = {e164 for other in others for e164 in (*other.order.request.numbers, *other.since)}
        open_still = {
            e164 for other in others if not other.order.state.is_final for e164 in other.order.request.numbers
        }
        asked = frozenset(numbers)
        return KnownNumbers(
            self.counter.now(),
            {e164: held[e164] for e164 in asked & held.keys()},
            of_other_orders=asked & named,
            awaited=(asked & open_still) - held.keys(),
        )

    async def _talk(self, what: str, conversation: Conversation) -> Event:
        try:
            outcome = await self.counter.courier.converse(conversation, deadline=boot_clock() + 60, store=self)
        except (NoAnswer, UnreadableAnswer) as error:
            self._look_over(exchanges_of(error))
            if what == "submit":  # nothing was paid for yet
                return self._hear(NotSent(str(error)), attempt_number=self.order.sends)
            raise
        self._look_over(outcome.exchanges)
        assert isinstance(outcome.event, MAY_END_IN[what]), f"{what} ended in {outcome.event}"
        return self._hear(outcome.event, attempt_number=self.order.sends if what == "submit" else None)

    def _hear(self, event: Event, *, attempt_number: int | None = None) -> Event:
        counter, now = self.counter, self.counter.now()
        heard: Event = event
        if isinstance(event, NotListed) and self.order.state is State.IN_DOUBT:
            heard = judge_absence(self.order, event, now=now, policy=counter.policy)
        self.order = advance(self.order, heard, now=now, policy=counter.policy, attempt_number=attempt_number).order
        self.not_before = getattr(event, "not_before", None)
        for result in getattr(event, "numbers", ()):
            self.numbers[result.e164] = result
            if result.state in {NumberState.ACQUIRED, NumberState.USABLE}:
                self.since.setdefault(result.e164, now)
        return event

    def _look_over(self, exchanges: tuple[Exchange, ...]) -> None:
        """Judge what was said in one conversation."""
        case = self.counter.case
        assert len(_commits(exchanges)) <= 1, exchanges
        for one in exchanges:
            path = urlsplit(one.target).path
            assert case.documents(one.method, path), f"no page of {case.entry.title} has {one.method} {path}"
            kept = one.target.encode() + one.request_body + one.body
            assert not [secret for secret in case.secrets if secret.encode() in kept]
        self.said += exchanges


def _commits(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return what cost money. A refusal for its credentials alone did nothing, and may be repeated with better ones."""
    return [one for one in exchanges if one.purpose is Purpose.COMMIT and one.status != 401]


@asynccontextmanager
async def counter(case: Case, control: SandboxControl) -> AsyncIterator[Counter]:
    """Open a counter at a carrier, with a courier of its own."""
    carrier = set_up(case, control.url)
    courier = carrier.courier(tls=TLS)
    try:
        yield Counter(case, control, carrier, courier)
    finally:
        await courier.aclose()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run one test's work; it may take its time, but not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(90):
            await work

    asyncio.run(bounded())
