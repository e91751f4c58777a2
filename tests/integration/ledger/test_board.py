"""What the board finds in the ledger: by limits and by indexes."""

from datetime import timedelta

from number_orders.ledger.board import Page
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.order_views import OrderFilter
from number_orders.orders.events import Acknowledged, Filled, Hurried, Parked, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState, OrderId, State
from tests.integration.ledger.examples import RALEIGH, a_request, accept_order, record_events
from tests.integration.ledger.harness import PostgresHarness

FILLED = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
DAY = timedelta(days=1)


def keys(page: Page) -> list[str]:
    return [view.order.request.key for view in page.orders]


def test_orders_are_counted_and_found_by_state(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        parked = await accept_order(ledger, a_request("parked"))
        await record_events(ledger, parked, SubmissionBegun(), Parked("a person decides"))
        done = await accept_order(ledger, a_request("done"))
        await record_events(
            ledger, done, SubmissionBegun(), Acknowledged(CarrierOrderId("b-1")), FILLED, Hurried("ada")
        )
        failed = await accept_order(ledger, a_request("failed"))
        await record_events(ledger, failed, SubmissionBegun(), Refused("no stock"))
        await accept_order(ledger, a_request("waits"))
        view = ledger.board

        assert {(row["state"], row["orders"]) for row in await view.unfinished()} == {("PARKED", 1), ("ACCEPTED", 1)}
        assert {(row["state"], row["orders"]) for row in await view.ended(DAY)} == {("COMPLETED", 1), ("FAILED", 1)}
        ends = await view.ends(DAY, timedelta(hours=1))
        assert sum(row["orders"] for row in ends) == 2, "what happens after an end is no end"
        assert sum(row["orders"] for row in await view.times_to_end(DAY, timedelta(hours=1))) == 2
        assert [row["key"] for row in await view.parked(9)] == ["parked"]
        assert [row["key"] for row in await view.oldest(9)] == ["waits"]

        for states, expected in (
            ([State.PARKED], ["parked"]),
            ([State.FAILED], ["failed"]),
            ([State.ACCEPTED, State.PARKED], ["waits", "parked"]),
            ([State.FAILED, State.COMPLETED, State.OPEN], ["failed", "done"]),
            (None, ["waits", "failed", "done", "parked"]),
        ):
            assert keys(await view.page(OrderFilter(states=states), limit=9)) == expected

    PostgresHarness(ledger_url).run(work)


def test_names_that_orders_are_found_by(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request("crm-1"))
        await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("b-1")))
        for name in ("crm-1", "b-1", str(order.order_id), str(order.reference)):
            assert await ledger.board.find(name, limit=9) == [order.order_id]
        assert await ledger.board.find("nobody", limit=9) == []
        assert await ledger.orders.with_key("crm-1") == [order.order_id]
        assert len(await ledger.board.producers()) == 1

    PostgresHarness(ledger_url).run(work)


def test_pulse_beats_when_the_order_or_its_work_changes(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request("crm-1"))
        first = await ledger.board.pulse(OrderId(order.order_id))
        assert await ledger.board.pulse(order.order_id) == first
        await record_events(ledger, order, SubmissionBegun())
        assert await ledger.board.pulse(order.order_id) != first

    PostgresHarness(ledger_url).run(work)
