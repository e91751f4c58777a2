"""A reading goes on page by page, gives way to limits and faults, and never stops what runs beside it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from psycopg import OperationalError

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Adapter, CarrierAnswer
from number_orders.carriers.http.courier import Courier, CourierSettings
from number_orders.carriers.http.credentials import StaticBearer
from number_orders.carriers.http.transport import SendGuard, TransportError
from number_orders.carriers.swift.adapter import Swift
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.lanes.list_reader import ListReader
from number_orders.fulfilment.lanes.rate import LedgerClock, limit
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.readings import Question
from number_orders.orders.model import CarrierName, Criteria, Kind, Lane, OrderId, OrderRequest
from number_orders.orders.numbers import E164
from number_orders.orders.reference import derive_reference
from number_orders.orders.serialization import fingerprint
from number_orders.simulation.clock import VirtualLoop, true_now
from number_orders.simulation.memory_ledger import MemoryDatabase
from number_orders.simulation.tables import Row, Tables
from tests.unit.carriers.swift.examples import ONE, THREE, TWO, answered, did, listed

SWIFT: Final = CarrierName("swift")
DIDS: Final = "/api/v1/dids"
QUESTION: Final = Question(OrderId(UUID("01a200ff-5849-7019-8b02-d36a8282df6c")), SWIFT, DIDS, "its numbers")
PAGES: Final = (
    listed(did(ONE), after="MQ=="),
    listed(did(TWO), after="Mg=="),
    listed(did(THREE)),
)


@dataclass
class Script:
    """The connections with a carrier that answers what it is told to, after `takes_s`; without answers it is silent."""

    answers: list[CarrierAnswer | Exception]
    takes_s: float = 0.1
    targets: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, guard: SendGuard
    ) -> CarrierAnswer:
        guard.begin_sending()
        self.targets.append(target)
        self.sent_at.append(_time())
        await asyncio.sleep(self.takes_s)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def describe_failure(self, error: Exception, guard: SendGuard) -> str:
        return str(error)

    async def aclose(self) -> None:
        """Close nothing."""


class FailingDatabase(MemoryDatabase):
    """The ledger in memory, with statements that fail."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.fails: dict[str, Exception] = {}

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        if statement in self.fails:
            raise self.fails[statement]
        return await super()._execute(statement, params)


class Bench:
    """One reader, its carrier and its ledger, on virtual time."""

    def __init__(self, *answers: CarrierAnswer | Exception, adapter: Adapter | None = None) -> None:
        self.tables = Tables(true_now)
        self.database = FailingDatabase(self.tables)
        self.ledger = Ledger(self.database)
        self.script = Script(list(answers))
        courier = Courier(
            CourierSettings("http://carrier.test"),
            StaticBearer("key"),
            now=true_now,
            clock=_time,
            transport=self.script,
        )
        self.carrier = Carrier(adapter or Swift(), courier)

    async def ask(self) -> None:
        """Let an order put its question, and let its reading fall due."""
        await self.ledger.schedule.open_lanes([SWIFT])
        await self.ledger.limits.set_limits(SWIFT, self.carrier.limits, self.carrier.limit_groups)
        request = OrderRequest("k-1", SWIFT, Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=1)
        new = NewOrder(QUESTION.order_id, "default", request, fingerprint(request), derive_reference("default", "k-1"))
        await self.ledger.intake.accept([new])
        await self.ledger.readings.put_question(QUESTION)
        await asyncio.sleep(2)

    async def read(self, *, lasts_s: float = 5.0) -> bool:
        return await ListReader(self.carrier, self.ledger, _time, LedgerClock(), lasts_s).run()

    @property
    def reading(self) -> Row:
        (row,) = self.tables.readings.values()
        return row

    @property
    def due_in(self) -> timedelta:
        due_in: timedelta = self.reading["not_before"] - true_now()
        return due_in

    async def found(self) -> set[E164]:
        """Return what the whole reading has found."""
        state = await self.ledger.readings.put_question(QUESTION)
        assert state.reading_id is not None
        found = await self.ledger.readings.find(QUESTION, state.reading_id, (ONE, TWO, THREE), None)
        assert found is not None
        return {one.e164 for one in found[1]}


def _time() -> float:
    return asyncio.get_running_loop().time()


def run(bench: Bench, work: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        await bench.ask()
        await work(bench)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())


def too_many(**headers: str) -> CarrierAnswer:
    return CarrierAnswer(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def test_a_list_is_read_to_its_last_page() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.read()
        assert [target.partition("after=")[2] for target in bench.script.targets] == ["", "MQ%3D%3D", "Mg%3D%3D"]
        assert await bench.found() == {ONE, TWO, THREE}
        assert not await bench.read()  # nobody asks any more

    run(Bench(*PAGES), work)


def test_a_run_ends_in_time_and_the_next_goes_on() -> None:
    """The reading is due at once, so that the lane goes on with it in its next run."""

    async def work(bench: Bench) -> None:
        bench.script.takes_s = 3.0
        assert await bench.read(lasts_s=5.0)
        assert (bench.reading["pages"], bench.due_in, bench.reading["lease_token"]) == (2, timedelta(), None)
        assert await bench.read(lasts_s=5.0)
        assert len(bench.script.targets) == 3
        assert await bench.found() == {ONE, TWO, THREE}

    run(Bench(*PAGES), work)


def test_pages_keep_to_the_rate_of_the_lane() -> None:
    async def work(bench: Bench) -> None:
        await bench.ledger.limits.set_limits(SWIFT, [limit("ALL", 2.0)], bench.carrier.limit_groups)
        await bench.read()
        first, second, third = bench.script.sent_at
        assert second - first >= 0.5
        assert third - second >= 0.5

    run(Bench(*PAGES), work)


def test_without_a_slot_in_time_it_waits_and_counts_no_fault() -> None:
    """The slots are other orders' for so long."""

    async def work(bench: Bench) -> None:
        await bench.ledger.limits.set_limits(SWIFT, [limit("ALL", 0.01)], bench.carrier.limit_groups)
        for _ in range(3):
            await bench.ledger.limits.take_rate_slot(SWIFT, "ALL")
        assert await bench.read()
        assert bench.script.targets == []
        assert bench.due_in > timedelta(minutes=4)
        assert bench.reading["faults"] == 0

    run(Bench(*PAGES), work)


def test_after_a_429_the_limit_is_paused_for_all() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.read()
        assert bench.tables.budgets[SWIFT, "ALL"]["paused_until"] == bench.reading["not_before"]
        assert timedelta(seconds=58) < bench.due_in <= timedelta(seconds=60)
        assert (bench.reading["faults"], bench.reading["pages"]) == (0, 1)
        assert not await bench.read()
        await asyncio.sleep(60)
        assert await bench.read()
        assert await bench.found() == {ONE, TWO, THREE}

    run(Bench(PAGES[0], too_many(retry_after="60"), *PAGES[1:]), work)


@pytest.mark.parametrize("fault", [ConnectionRefusedError("refused"), TransportError("no answer"), answered(502)])
def test_when_the_carrier_is_away_it_waits_longer_each_time_and_goes_on_at_its_cursor(
    fault: CarrierAnswer | Exception,
) -> None:
    async def work(bench: Bench) -> None:
        pauses = []
        for _ in range(5):
            await bench.read()
            pauses.append(bench.due_in)
            await asyncio.sleep(bench.due_in.total_seconds())
        assert pauses == sorted(pauses)
        assert len({*pauses}) == 5
        assert (bench.reading["cursor"], bench.reading["faults"]) == ("MQ==", 5)
        await bench.read()
        assert await bench.found() == {ONE, TWO, THREE}

    run(Bench(PAGES[0], *[fault] * 5, *PAGES[1:]), work)


def test_a_cursor_that_is_refused_again_and_again_is_given_up() -> None:
    """The list is read from its first page, and answers only what was asked before that."""

    async def work(bench: Bench) -> None:
        for _ in range(3):
            await bench.read()
            await asyncio.sleep(bench.due_in.total_seconds())
        assert (bench.reading["cursor"], bench.reading["pages"], bench.reading["began_at"]) == (None, 0, None)
        await bench.read()
        assert bench.script.targets[-3].endswith("?limit=100")
        assert await bench.found() == {ONE, TWO, THREE}

    run(Bench(PAGES[0], *[answered(400, {"errors": {"detail": "invalid page"}})] * 3, *PAGES), work)


@pytest.mark.parametrize("page", [listed(did(TWO), after="MQ=="), answered(200, {"type": "order"})])
def test_a_list_that_is_not_as_documented_raises_an_alarm(page: CarrierAnswer) -> None:
    """Such as one that shows the same page for ever. Nothing is concluded from it."""

    async def work(bench: Bench) -> None:
        await bench.read()
        ((what, subject),) = bench.tables.alarms
        assert (what, subject) == ("unreadable_answer", f"swift {DIDS}")
        assert (bench.reading["faults"], bench.reading["whole_at"]) == (1, None)

    run(Bench(PAGES[0], page), work)


@pytest.mark.parametrize("statement", ["lease_reading", "add_page", "put_back_reading"])
@pytest.mark.parametrize("error", [OperationalError("the ledger is away"), ZeroDivisionError("a bug")])
def test_what_goes_wrong_here_stops_nothing_else(statement: str, error: Exception) -> None:
    """The lease runs out, and the reading goes on."""

    async def work(bench: Bench) -> None:
        bench.script.takes_s = 3.0
        bench.database.fails[statement] = error
        assert not await bench.read()
        del bench.database.fails[statement]
        await asyncio.sleep(120)
        while await bench.read():
            pass
        assert await bench.found() == {ONE, TWO, THREE}

    lost = PAGES[:1] if statement == "add_page" else ()  # a page that could not be stored is asked for again
    run(Bench(*lost, *PAGES), work)


def test_a_carrier_without_lists_costs_no_statement() -> None:
    async def work(bench: Bench) -> None:
        bench.database.fails["lease_reading"] = ZeroDivisionError("was run")
        reader = ListReader(
            Carrier(Bandwidth("9900000", "743"), bench.carrier.courier), bench.ledger, _time, LedgerClock(), 5.0
        )
        assert not await reader.run()

    run(Bench(), work)


def test_the_sweep_wakes_the_lane_for_a_reading_that_is_due() -> None:
    async def work(bench: Bench) -> None:
        assert (SWIFT, Lane.ASK) in await bench.ledger.schedule.due_lanes()
        await bench.read()
        assert (SWIFT, Lane.ASK) not in await bench.ledger.schedule.due_lanes()

    run(Bench(*PAGES), work)


OPENS_AT_ONCE: Final = BreakerPolicy(faults_max=1, hold_first=timedelta(seconds=5))


async def open_breaker(bench: Bench) -> Row:
    """Open the carrier's breaker, and wait until a probe may be made."""
    await bench.ledger.breakers.count_faults(SWIFT, [], faults=1, why="refused", breaker_policy=OPENS_AT_ONCE)
    assert not await bench.read()
    assert bench.script.targets == []
    await asyncio.sleep(6)
    return bench.tables.breakers[SWIFT]


def test_while_the_breaker_is_open_one_page_is_the_probe_and_its_answer_closes_it() -> None:
    async def work(bench: Bench) -> None:
        breaker = await open_breaker(bench)
        assert await bench.read()
        assert (breaker["held_until"], breaker["faults"]) == (None, 0)
        assert await bench.found() == {ONE, TWO, THREE}

    run(Bench(*PAGES), work)


@pytest.mark.parametrize("fault", [ConnectionRefusedError("refused"), answered(502)])
def test_a_page_that_is_not_answered_opens_the_breaker_again(fault: CarrierAnswer | Exception) -> None:
    async def work(bench: Bench) -> None:
        breaker = await open_breaker(bench)
        assert await bench.read()
        assert len(bench.script.targets) == 1
        assert breaker["held_until"] - true_now() > timedelta(seconds=5)
        assert breaker["probe_token"] is None

    run(Bench(fault), work)


def test_a_probe_that_is_not_sent_is_returned() -> None:
    """There is no rate slot in time, or the run is over."""

    async def work(bench: Bench) -> None:
        breaker = await open_breaker(bench)
        assert await bench.read(lasts_s=0.0) is False
        await bench.ledger.limits.set_limits(SWIFT, [limit("ALL", 0.01)], bench.carrier.limit_groups)
        for _ in range(3):
            await bench.ledger.limits.take_rate_slot(SWIFT, "ALL")
        assert await bench.read()
        assert (bench.script.targets, breaker["probe_token"]) == ([], None)
        assert breaker["held_until"] is not None

    run(Bench(), work)
