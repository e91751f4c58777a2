"""Which numbers a producer may remove: whose order holds each now, or held it last."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger import removals as removals_module
from number_orders.ledger.holdings import ADOPTER, AdoptedOrder
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.removals import NotRemovable, Removal
from number_orders.orders.events import (
    Acknowledged,
    CancelAsked,
    Filled,
    NumbersAdopted,
    NumbersGivenUp,
    SubmissionBegun,
)
from number_orders.orders.model import CarrierOrderId, Kind, NumberResult, NumberState, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164
from number_orders.orders.removal_right import RemovalRight
from tests.integration.ledger.examples import DURHAM, RALEIGH, a_named_request, a_new_order, record_events
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

CARY = E164("+19195550102")
APEX = E164("+19195550103")
OWN, UNKNOWN, ANY = RemovalRight
MONTH = timedelta(days=31)


def an_order(producer: str, key: str, *numbers: E164, kind: Kind = Kind.NEW_NUMBERS) -> NewOrder:
    new = a_new_order(a_named_request(key, *numbers, kind=kind))
    return replace(new, producer=producer, reference=f"{producer}-{key}", is_proven=True)


def a_removal(producer: str, *numbers: E164, key: str = "removal") -> NewOrder:
    return an_order(producer, key, *numbers, kind=Kind.REMOVE_NUMBERS)


async def store(ledger: Ledger, new: NewOrder) -> Order:
    assert new.order_id in (await ledger.intake.accept([new])).states
    return (await ledger.orders.read([new.order_id]))[new.order_id]


async def carry_out(ledger: Ledger, new: NewOrder) -> Order:
    """Store an order, and let it do all that it was to do."""
    done = NumberState.RELEASED if new.request.kind is Kind.REMOVE_NUMBERS else NumberState.ACQUIRED
    carrier_order_id = CarrierOrderId(f"{new.producer}-{new.request.key}")
    results = tuple(NumberResult(e164, done) for e164 in new.request.numbers)
    events = (SubmissionBegun(), Acknowledged(carrier_order_id), Filled("COMPLETE", results))
    return await record_events(ledger, await store(ledger, new), *events)


async def forbidden(ledger: Ledger, producer: str, *numbers: E164) -> Sequence[E164]:
    """Return those of the numbers that a producer may not remove."""
    removal = Removal(OrderId(uuid7()), producer, numbers)
    found = (await ledger.removals.find_not_removable([removal])).get(removal.order_id)
    return [numbers[place] for place in found.places] if found else []


async def permit(ledger: Ledger, producer: str, right: RemovalRight) -> None:
    await ledger.producers.add(producer, "producer", by="test")
    assert await ledger.producers.set_removals(producer, right)


def test_right_is_kept_and_is_its_own_numbers_at_first(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.producers.add("crm", "producer", by="test")
        assert [row.removals for row in await ledger.producers.all()] == [OWN]
        assert await ledger.producers.set_removals("crm", ANY)
        assert not await ledger.producers.set_removals("web", ANY)
        found = await ledger.producers.find("crm")
        assert found is not None
        assert found.removals is ANY

    harness.run(work)


@pytest.mark.parametrize("together", [20_000, 4])
def test_each_right_covers_more(harness: LedgerHarness, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """Many orders of many producers are judged by one statement, or few, each number by itself, by its place."""
    monkeypatch.setattr(removals_module, "_TOGETHER", together)

    async def work(ledger: Ledger) -> None:
        await carry_out(ledger, an_order("crm", "a", RALEIGH))
        await carry_out(ledger, an_order("web", "a", DURHAM))
        await permit(ledger, "old", UNKNOWN)
        await permit(ledger, "all", ANY)
        numbers = (CARY, DURHAM, RALEIGH)
        removals = {name: Removal(OrderId(uuid7()), name, numbers) for name in ("crm", "web", "old", "all", "new")}
        found = await ledger.removals.find_not_removable(list(removals.values()))
        assert {name: found.get(removal.order_id) for name, removal in removals.items()} == {
            "crm": NotRemovable((0, 1), OWN),
            "web": NotRemovable((0, 2), OWN),
            "old": NotRemovable((1, 2), UNKNOWN),
            "all": None,
            "new": NotRemovable((0, 1, 2), OWN),
        }
        assert await ledger.removals.find_not_removable([]) == {}

    harness.run(work)


def test_latest_holder_counts(harness: LedgerHarness) -> None:
    """Removed and bought again by another, a number is the other's, also after that one has removed it."""

    async def work(ledger: Ledger) -> None:
        await permit(ledger, "old", UNKNOWN)
        await carry_out(ledger, an_order("crm", "a", RALEIGH))
        await carry_out(ledger, a_removal("crm", RALEIGH, key="b"))
        assert await forbidden(ledger, "crm", RALEIGH) == []
        assert await forbidden(ledger, "web", RALEIGH) == [RALEIGH]
        assert await forbidden(ledger, "old", RALEIGH) == []

        await carry_out(ledger, an_order("web", "a", RALEIGH))
        assert await forbidden(ledger, "crm", RALEIGH) == [RALEIGH]
        assert await forbidden(ledger, "old", RALEIGH) == [RALEIGH]
        assert await forbidden(ledger, "web", RALEIGH) == []

        await carry_out(ledger, a_removal("web", RALEIGH, key="b"))
        assert await forbidden(ledger, "crm", RALEIGH) == [RALEIGH]
        assert await forbidden(ledger, "web", RALEIGH) == []

    harness.run(work)


@pytest.mark.parametrize("stage", ["copied", "removed", "purged"])
def test_numbers_of_archived_orders_count(harness: LedgerHarness, stage: str) -> None:
    async def work(ledger: Ledger) -> None:
        await permit(ledger, "old", UNKNOWN)
        await carry_out(ledger, an_order("crm", "a", RALEIGH))
        await carry_out(ledger, an_order("crm", "b", DURHAM))
        await carry_out(ledger, a_removal("crm", DURHAM, key="c"))
        await harness.advance(2 * MONTH)
        assert await ledger.archive.copy(MONTH) == 3
        if stage != "copied":
            await harness.advance(timedelta(minutes=11))
            assert await ledger.archive.remove() == (3, 3)
        if stage == "purged":
            assert await ledger.archive.purge(MONTH) == 3
        assert await forbidden(ledger, "crm", RALEIGH, DURHAM) == []
        assert await forbidden(ledger, "web", RALEIGH, DURHAM) == [RALEIGH, DURHAM]
        assert await forbidden(ledger, "old", RALEIGH, DURHAM) == [RALEIGH]

    harness.run(work)


def test_number_that_another_is_buying_is_the_others(harness: LedgerHarness) -> None:
    """Nobody holds it yet; a removal now would be carried out after the purchase."""

    async def work(ledger: Ledger) -> None:
        await permit(ledger, "old", UNKNOWN)
        await carry_out(ledger, an_order("crm", "a", RALEIGH))
        await carry_out(ledger, a_removal("crm", RALEIGH, key="b"))
        buying = await store(ledger, an_order("web", "a", RALEIGH, DURHAM))
        assert await forbidden(ledger, "crm", RALEIGH) == [RALEIGH]
        assert await forbidden(ledger, "old", RALEIGH, DURHAM, CARY) == [RALEIGH, DURHAM]
        assert await forbidden(ledger, "web", RALEIGH, DURHAM) == [RALEIGH, DURHAM]  # it has not brought them yet
        await record_events(ledger, buying, CancelAsked("ann", None))
        assert await forbidden(ledger, "crm", RALEIGH) == []
        assert await forbidden(ledger, "old", RALEIGH, DURHAM, CARY) == []

    harness.run(work)


def test_what_reconciliation_did_makes_no_number_anybodys(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await permit(ledger, "old", UNKNOWN)
        adopted = OrderRequest("adopted", BANDWIDTH, Kind.NEW_NUMBERS, numbers=(CARY,))
        event = NumbersAdopted("ann", "found", (NumberResult(CARY, NumberState.ACQUIRED),))
        await ledger.holdings.store_adopted([AdoptedOrder(OrderId(uuid7()), ADOPTER, adopted, "adopted", event)])
        assert await forbidden(ledger, "crm", CARY) == [CARY]
        assert await forbidden(ledger, "old", CARY) == []

        ghost = await carry_out(ledger, an_order("crm", "a", APEX))
        await record_events(ledger, ghost, NumbersGivenUp("ann", "gone", (NumberResult(APEX, NumberState.WITHDRAWN),)))
        assert await forbidden(ledger, "crm", APEX) == []
        assert await forbidden(ledger, "web", APEX) == [APEX]
        assert await forbidden(ledger, "old", APEX) == []

    harness.run(work)
