"""Sends orders to the sandbox carrier with the real courier, and moves them with the real lifecycle.

What must be true of every conversation is checked in each: it commits at most once, uses only requests that the
carrier's pages document, ends as the port promises, and leaves no secret in its exchanges.
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

from number_orders.carriers.contract import (
    Conversation,
    FindInList,
    KnownNumbers,
    ListedNumbers,
    LookUpNumbers,
    Purpose,
    ReadsLists,
)
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
from tests.contract.adapters.case import Case, OrderPlan
from tests.contract.fourth_carrier.settings import SettingsWithMeridian
from workers.bootstrap import policy
from workers.carriers import ConfiguredCarrier
from workers.clock import utc_now

TLS: Final = ssl.create_default_context()
"""Not used on loopback, and slow to create."""
STEP: Final = timedelta(seconds=90)
"""Longer than anything takes at the sandbox carriers."""
_ENDS: Final = (Filled, PartlyFilled, FilledWithErrors, Refused)
MAY_END_IN: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "submit": (Acknowledged, NotSent, Deferred, AnswerLost, *_ENDS),
    "ask": (StillOpen, PartSettled, CalledBack, Acknowledged, Parked, *_ENDS),
    "look_for": (Acknowledged, NotListed, ProvenAbsent, FoundTwice),
}
_ROUNDS_MAX: Final = 40


def set_up(case: Case, url: str) -> ConfiguredCarrier:
    """Set a carrier up as a process would: from its settings and its entry in the registry."""
    settings = SettingsWithMeridian.model_validate({case.entry.name: dict(case.own(url))})
    made = case.entry.configure(settings)
    assert made is not None
    return made


class Harness:
    """One carrier under test. Its clock is the sandbox's, which can be advanced."""

    def __init__(self, case: Case, control: SandboxControl, carrier: ConfiguredCarrier, courier: Courier) -> None:
        self.case = case
        self.control = control
        self.adapter = carrier.adapter
        self.courier = courier
        self.policy = policy(carrier.settings)
        self.placed_orders: list[PlacedOrder] = []
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the carrier's time, which stands in for PostgreSQL's."""
        return utc_now() + self._ahead

    def pass_time(self, time: timedelta) -> None:
        """Advance the clock, at the carrier too."""
        self.control.advance(time.total_seconds())
        self._ahead += time

    async def begin(self, plan: OrderPlan | OrderRequest) -> "PlacedOrder":
        """Accept an order. What it needs is bought first."""
        if isinstance(plan, OrderRequest):
            return self._accept(plan)
        bought: tuple[E164, ...] = ()
        if plan.first:
            first = self._accept(plan.first)
            await first.run_to_end()
            bought = first.numbers_in(NumberState.ACQUIRED, NumberState.USABLE)
            assert len(bought) == plan.first.wanted
        return self._accept(plan.make(bought))

    def report(self) -> list[dict[str, Any]]:
        """Return every order that the carrier has."""
        orders = self.control.report()["orders"]
        return [order for order in orders if order["carrier"] == self.case.entry.name]

    def _accept(self, request: OrderRequest) -> "PlacedOrder":
        assert self.adapter.check(request) == ()
        placed = PlacedOrder(self, Order(OrderId(uuid4()), request, self.now()))
        self.placed_orders.append(placed)
        return placed


@dataclass(slots=True, eq=False)
class PlacedOrder:
    """One order under test."""

    harness: Harness
    order: Order
    numbers: dict[E164, NumberResult] = field(default_factory=dict)
    since: dict[E164, datetime] = field(default_factory=dict)
    """When we came to hold each number."""
    exchanges: list[Exchange] = field(default_factory=list)
    not_before: datetime | None = None

    async def send(self) -> Event:
        """Send it when it may be sent, as the submit lane does."""
        event: Event = Deferred("not begun", self.harness.now())
        while isinstance(event, Deferred):
            self.harness.pass_time(max(timedelta(), (self.not_before or self.harness.now()) - self.harness.now()))
            self._record(SubmissionBegun())
            event = await self._converse("submit", self.harness.adapter.submit(self.order))
        return event

    async def ask(self) -> Event:
        """Ask for its status."""
        return await self._converse("ask", self.harness.adapter.ask(self.order))

    async def look_for(self) -> Event:
        """Look for it, and judge if it is absent."""
        return await self._converse("look_for", self.harness.adapter.look_for(self.order))

    def cancel(self) -> None:
        """Cancel it."""
        self._record(CancelAsked(by="contract"))

    async def run_to_end(self) -> None:
        """Do what is due and let time pass, until nothing is due any more."""
        for _ in range(_ROUNDS_MAX):
            match self.order.state:
                case State.ACCEPTED:
                    await self.send()
                case State.OPEN:
                    await self.ask()
                case State.IN_DOUBT:
                    await self.look_for()
                case _:
                    return
            self.harness.pass_time(STEP)
        raise AssertionError(f"no end: {self.order}")

    @property
    def commits(self) -> int:
        """Return how many requests that cost money were sent."""
        return len(_commits(self.exchanges))

    def numbers_in(self, *states: NumberState) -> tuple[E164, ...]:
        """Return the numbers in one of these states."""
        return tuple(sorted(e164 for e164, result in self.numbers.items() if result.state in states))

    def carrier_orders(self) -> list[dict[str, Any]]:
        """Return what the carrier has with our reference."""
        return [order for order in self.harness.report() if order["customer_order_id"] == str(self.order.order_id)]

    def differences(self) -> list[str]:
        """Return how it differs from what the carrier really did, number by number."""
        found = self.carrier_orders()
        if len(found) != 1:
            return [f"{len(found)} orders with our reference"]
        (theirs,) = found
        ours = {
            "order_id": self.order.carrier_order_id,
            "got": [*self.numbers_in(NumberState.ACQUIRED, NumberState.USABLE)],
            "gave up": [*self.numbers_in(NumberState.RELEASED)],
            "failed": [*self.numbers_in(NumberState.FAILED)] if self.order.request.numbers else [],
        }
        truth = {
            "order_id": theirs["order_id"],
            "got": sorted([*theirs["bought"], *theirs.get("added", ())]),
            "gave up": sorted([*theirs.get("released", ()), *theirs.get("removed", ())]),
            "failed": sorted(theirs["failed"]) if self.order.request.numbers else [],
        }
        return [f"{name}: {ours[name]}, but truly {truth[name]}" for name in ours if ours[name] != truth[name]]

    async def save_progress(self, progress: Mapping[str, object]) -> None:
        """Save the steps done; the port's `ConversationStore`."""
        self.order = replace(self.order, progress=progress)

    async def look_up_numbers(self, step: LookUpNumbers) -> KnownNumbers:
        """Return what our orders know of these numbers; the port's `ConversationStore`."""
        placed_orders = self.harness.placed_orders
        others = [placed for placed in placed_orders if placed is not self]
        held = {e164: moment for placed in placed_orders for e164, moment in placed.since.items()}
        named = {e164 for other in others for e164 in (*other.order.request.numbers, *other.since)}
        open_still = {
            e164 for other in others if not other.order.state.is_final for e164 in other.order.request.numbers
        }
        asked = frozenset(step.numbers)
        return KnownNumbers(
            self.harness.now(),
            {e164: held[e164] for e164 in asked & held.keys()},
            of_other_orders=asked & named,
            awaited=(asked & open_still) - held.keys(),
        )

    async def find_in_list(self, wanted: FindInList) -> ListedNumbers:
        """Read the whole list at once; the port's `ConversationStore`."""
        adapter, began_at = self.harness.adapter, self.harness.now()
        assert isinstance(adapter, ReadsLists)
        page = await self.harness.courier.inquire(adapter.read_page(wanted.list_name, None))
        listed = [*page.numbers]
        while page.after is not None:
            page = await self.harness.courier.inquire(adapter.read_page(wanted.list_name, page.after))
            listed += page.numbers
        return ListedNumbers(began_at, tuple(listed))

    async def _converse(self, what: str, conversation: Conversation) -> Event:
        try:
            outcome = await self.harness.courier.converse(conversation, deadline=boot_clock() + 60, store=self)
        except (NoAnswer, UnreadableAnswer) as error:
            self._check_exchanges(exchanges_of(error))
            if what == "submit":  # nothing that costs money was sent
                return self._record(NotSent(str(error)), attempt_number=self.order.sends)
            raise
        self._check_exchanges(outcome.exchanges)
        assert isinstance(outcome.event, MAY_END_IN[what]), f"{what} ended in {outcome.event}"
        return self._record(outcome.event, attempt_number=self.order.sends if what == "submit" else None)

    def _record(self, event: Event, *, attempt_number: int | None = None) -> Event:
        harness, now = self.harness, self.harness.now()
        heard: Event = event
        if isinstance(event, NotListed) and self.order.state is State.IN_DOUBT:
            heard = judge_absence(self.order, event, now=now, policy=harness.policy)
        self.order = advance(self.order, heard, now=now, policy=harness.policy, attempt_number=attempt_number).order
        self.not_before = getattr(event, "not_before", None)
        for result in getattr(event, "numbers", ()):
            self.numbers[result.e164] = result
            if result.state in {NumberState.ACQUIRED, NumberState.USABLE}:
                self.since.setdefault(result.e164, now)
        return event

    def _check_exchanges(self, exchanges: tuple[Exchange, ...]) -> None:
        """Check what must be true of every conversation, and keep its exchanges."""
        case = self.harness.case
        assert len(_commits(exchanges)) <= 1, exchanges
        for one in exchanges:
            path = urlsplit(one.target).path
            assert case.documents(one.method, path), f"no page of {case.entry.title} has {one.method} {path}"
            kept = one.target.encode() + one.request_body + one.body
            assert not [secret for secret in case.secrets if secret.encode() in kept]
        self.exchanges += exchanges


def _commits(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return the requests that cost money. One that was answered 401 did nothing and may be repeated."""
    return [one for one in exchanges if one.purpose is Purpose.COMMIT and one.status != 401]


@asynccontextmanager
async def open_harness(case: Case, control: SandboxControl) -> AsyncIterator[Harness]:
    """Open a harness for a carrier, with a courier of its own."""
    carrier = set_up(case, control.url)
    courier = carrier.courier(tls=TLS)
    try:
        yield Harness(case, control, carrier, courier)
    finally:
        await courier.aclose()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine for 90 seconds at most."""

    async def bounded() -> None:
        async with asyncio.timeout(90):
            await work

    asyncio.run(bounded())
