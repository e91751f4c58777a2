"""Numbers at the practice Bandwidth against the ledger: orphans, ghosts, orders under way, and persons' decisions."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from number_orders.carriers.cm.adapter import CM
from number_orders.fulfilment import inquirer
from number_orders.fulfilment.reconciliation.comparison import Comparison, Movement
from number_orders.fulfilment.reconciliation.reconcile import Decision
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import InquiryRefused, NoAnswer
from number_orders.orders.events import WrittenOff
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.orders.numbers import E164
from tests.integration.fulfilment.portal import BandwidthPortal
from tests.integration.fulfilment.practice import (
    BANDWIDTH,
    SETTLED,
    Practice,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)

ONE, TWO, THREE = "+19195550120", "+19195550121", "+19195550122"
IN_SERVICE = {"method": "GET", "path": "/inserviceNumbers"}
ADOPT = Decision("ana", "bought in the portal", adopt=True)
GIVE_UP = Decision("ana", "removed in the portal", give_up=True)


async def compare(services: Services, *, lookups: int = 200) -> Comparison:
    return (await services.orders.reconcile(BANDWIDTH, lookups=lookups)).found


async def buy(practice: Practice, services: Services, *numbers: str, key: str = "crm-1", **changes: Any) -> OrderId:
    """Buy numbers by name, and follow the order to its end."""
    raw = an_order(key, criteria=None, quantity=None, numbers=list(numbers), **changes)
    (order_id,) = await accept(services, raw)
    await work_until_idle(practice, services)
    return order_id


def held(practice: Practice) -> dict[str, OrderId]:
    found = practice.rows("SELECT e164, acquired_by FROM held_numbers WHERE released_at IS NULL")
    return {row["e164"]: row["acquired_by"] for row in found}


def details(practice: Practice) -> dict[str, str]:
    """Return the text of each alarm."""
    return {row["what"]: row["detail"] for row in practice.rows("SELECT what, detail FROM alarms")}


def test_ledger_and_carrier_that_agree_have_no_difference(practice: Practice) -> None:
    async def work_and_compare() -> None:
        async with practice.opened() as services:
            await buy(practice, services, ONE, TWO)
            assert await compare(services) == Comparison(BANDWIDTH, 2, 2)
        assert practice.alarms() == []

    run(work_and_compare())


def test_a_number_that_was_bought_by_hand_is_an_orphan_and_an_alarm(
    practice: Practice, portal: BandwidthPortal
) -> None:
    theirs = portal.buy(ONE, TWO)

    async def look() -> None:
        async with practice.opened() as services:
            found = await compare(services)
            assert (found.theirs, found.ours, found.ghosts, found.under_way) == (2, 0, (), ())
            assert [(one.e164, one.carrier_order_id, one.order_id, one.checked) for one in found.orphans] == [
                (ONE, theirs, None, True),
                (TWO, theirs, None, True),
            ]
            assert all(one.since for one in found.orphans)
            await compare(services)

    run(look())
    assert practice.alarms() == [("numbers_orphaned", 1)]
    assert details(practice)["numbers_orphaned"] == (
        f"2 numbers that bandwidth has as ours and the ledger does not hold: {ONE}, {TWO}; "
        "`number-orders reconcile --carrier bandwidth` shows them"
    )
    assert held(practice) == {}


def test_a_number_that_was_removed_by_hand_is_a_ghost_and_stays_held(
    practice: Practice, portal: BandwidthPortal
) -> None:
    async def look() -> None:
        async with practice.opened() as services:
            order_id = await buy(practice, services, ONE, TWO)
            portal.remove(ONE)
            found = await compare(services)
            assert (found.theirs, found.ours, found.orphans) == (1, 2, ())
            assert [(one.e164, one.order_id, one.status, one.checked) for one in found.ghosts] == [
                (ONE, order_id, "Aging", True)
            ]

    run(look())
    assert practice.alarms() == [("numbers_missing", 1)]
    assert set(held(practice)) == {ONE, TWO}


def test_an_alarm_is_over_by_itself_when_the_difference_is_gone(practice: Practice, portal: BandwidthPortal) -> None:
    portal.buy(ONE)

    async def look() -> None:
        async with practice.opened() as services:
            await compare(services)
            assert practice.alarms() == [("numbers_orphaned", 1)]
            portal.remove(ONE)
            await compare(services)

    run(look())
    assert practice.alarms() == []


def test_an_orphan_without_an_order_gets_one_that_is_born_ended(practice: Practice, portal: BandwidthPortal) -> None:
    """Its story says who adopted it and why; nothing is sent for it, and nothing is owed."""
    theirs = portal.buy(ONE, TWO)

    async def adopt() -> None:
        async with practice.opened() as services:
            done = await services.orders.reconcile(BANDWIDTH, ADOPT)
            assert done.left.agrees
            (order_id,) = set(done.decided.adopted.values())
            order = practice.order(order_id)
            assert (order["producer"], order["state"], order["sends"]) == ("reconcile", "COMPLETED", 0)
            assert order["reason"] == "adopted by ana: bought in the portal"
            assert practice.story(order_id) == ["OrderAccepted", "NumbersAdopted"]
            (document,) = await services.orders.documents([order_id])
            assert [number["e164"] for number in document["numbers"]] == [ONE, TWO]
            assert f"its order {theirs} brought it" in document["numbers"][0]["text"]
            assert held(practice) == {ONE: order_id, TWO: order_id}
            assert await compare(services) == Comparison(BANDWIDTH, 2, 2)
            await work_until_idle(practice, services)

    run(adopt())
    assert practice.alarms() == []
    assert len(practice.sold()) == 1  # by the person, and nothing by us


def test_adopting_twice_changes_nothing_more(practice: Practice, portal: BandwidthPortal) -> None:
    portal.buy(ONE)

    async def adopt() -> None:
        async with practice.opened() as one, practice.opened() as other:
            await asyncio.gather(
                *(services.orders.reconcile(BANDWIDTH, ADOPT) for services in (one, other)),
            )
            await one.orders.reconcile(BANDWIDTH, ADOPT)

    run(adopt())
    (row,) = practice.rows("SELECT count(*) AS orders FROM orders")
    assert row["orders"] == 1
    assert list(held(practice)) == [ONE]


def test_an_orphan_of_an_order_of_ours_is_added_to_it(practice: Practice, portal: BandwidthPortal) -> None:
    """An order that was written off, and that the carrier has bought all the same: it is found by our reference."""
    practice.carrier.fault("drop_before", method="POST", path="/orders", times=1)

    async def adopt() -> None:
        async with practice.opened() as services:
            raw = an_order(criteria=None, quantity=None, numbers=[ONE], notify={"task": "crm.done", "queue": "crm"})
            (order_id,) = await accept(services, raw)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="never answers")
            await _write_off(services, order_id)
            theirs = portal.buy(ONE, reference=practice.order(order_id)["reference"])
            practice.db.execute("DELETE FROM owed WHERE lane = 'ask'")  # no late look
            await work(services, Lane.TELL)
            practice.notifier.delivered.clear()

            (orphan,) = (await compare(services)).orphans
            assert (orphan.order_id, orphan.carrier_order_id) == (order_id, theirs)
            done = await services.orders.reconcile(BANDWIDTH, ADOPT)

            assert done.decided.adopted == {ONE: order_id}
            order = practice.order(order_id)
            assert order["state"] == "FAILED"
            assert order["reason"].endswith("; 1 number adopted by ana: bought in the portal")
            assert practice.story(order_id)[-1] == "NumbersAdopted"
            assert held(practice) == {ONE: order_id}
            await work(services, Lane.TELL)
            (told,) = practice.notifier.delivered
            assert [(number["e164"], number["state"]) for number in told["numbers"]] == [(ONE, "acquired")]

    run(adopt())
    assert practice.alarms() == []


def test_a_number_of_an_order_under_way_is_no_orphan(practice: Practice) -> None:
    """The carrier has sold it, and we have not asked yet: named, or bought by criteria."""

    async def look() -> None:
        async with practice.opened() as services:
            named, searched = await accept(
                services, an_order("a", criteria=None, quantity=None, numbers=[ONE]), an_order("b")
            )
            await work(services, Lane.SUBMIT)
            found = await compare(services)
            assert found.agrees
            assert found.theirs == 2
            assert {(one.order_id, one.movement) for one in found.under_way} == {
                (named, Movement.BRINGS),
                (searched, Movement.BRINGS),
            }
            await work_until_idle(practice, services)
            assert await compare(services) == Comparison(BANDWIDTH, 2, 2)

    run(look())
    assert practice.alarms() == []


def test_an_order_by_hand_is_no_purchase_of_an_order_under_way(practice: Practice, portal: BandwidthPortal) -> None:
    """The criteria would fit, but the carrier names another order, which has no reference of ours."""
    theirs = portal.buy(ONE)

    async def look() -> None:
        async with practice.opened() as services:
            await accept(services, an_order())
            await work(services, Lane.SUBMIT)
            found = await compare(services)
            assert [(one.e164, one.carrier_order_id) for one in found.orphans] == [(ONE, theirs)]
            # Without a look at its record, nobody can tell.
            careful = await compare(services, lookups=0)
            assert careful.orphans == ()
            assert ONE in {one.e164 for one in careful.under_way}

    run(look())


def test_a_number_that_a_removal_takes_is_no_ghost(practice: Practice) -> None:
    async def look() -> None:
        async with practice.opened() as services:
            bought = await buy(practice, services, ONE)
            (removal,) = await accept(
                services, an_order("r", kind="remove_numbers", criteria=None, quantity=None, numbers=[ONE])
            )
            await work(services, Lane.SUBMIT)
            found = await compare(services)
            assert (found.theirs, found.ours) == (0, 1)
            assert [(one.e164, one.order_id, one.movement) for one in found.under_way] == [
                (ONE, removal, Movement.REMOVES)
            ]
            assert found.agrees
            await work_until_idle(practice, services)
            assert await compare(services) == Comparison(BANDWIDTH, 0, 0)
            assert practice.order(bought)["state"] == "COMPLETED"

    run(look())
    assert practice.alarms() == []


def test_a_ghost_is_given_up_only_when_asked(practice: Practice, portal: BandwidthPortal) -> None:
    async def decide() -> None:
        async with practice.opened() as services:
            order_id = await buy(practice, services, ONE, TWO)
            portal.remove(ONE)
            kept = await services.orders.reconcile(BANDWIDTH, ADOPT)
            assert [one.e164 for one in kept.left.ghosts] == [ONE]
            assert set(held(practice)) == {ONE, TWO}

            done = await services.orders.reconcile(BANDWIDTH, GIVE_UP)

            assert done.decided.given_up == {ONE: order_id}
            assert set(held(practice)) == {TWO}
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.order(order_id)["reason"] == "1 number given up by ana: removed in the portal"
            assert practice.story(order_id)[-1] == "NumbersGivenUp"
            (document,) = await services.orders.documents([order_id])
            states = {number["e164"]: (number["state"], number["text"]) for number in document["numbers"]}
            gone = "the carrier does not have it as ours any more (Aging)"
            assert states[ONE] == ("withdrawn", gone)
            assert states[TWO][0] == "acquired"

    run(decide())
    assert practice.alarms() == []


def test_an_orphan_of_an_archived_order_is_added_to_it(practice: Practice, portal: BandwidthPortal) -> None:
    """The order comes back for it, so its producer hears of the number, and it has no second owner."""
    practice.carrier.fault("drop_before", method="POST", path="/orders", times=1)

    async def adopt() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(criteria=None, quantity=None, numbers=[ONE]))
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="never answers")
            await _write_off(services, order_id)
            reference = practice.order(order_id)["reference"]
            practice.db.execute("DELETE FROM owed")  # no late look
            practice.pass_time(days=60)
            await services.orders.forget()
            assert await services.ledger.archive.copy(timedelta(days=31)) == 1
            practice.pass_time(minutes=11)
            assert await services.ledger.archive.remove() == (1, 1)
            portal.buy(ONE, reference=reference)

            (orphan,) = (await compare(services)).orphans
            assert orphan.order_id == order_id
            done = await services.orders.reconcile(BANDWIDTH, ADOPT)
            assert done.decided.adopted == {ONE: order_id}
            assert practice.story(order_id)[-1] == "NumbersAdopted"
            assert held(practice) == {ONE: order_id}

    run(adopt())


@pytest.mark.parametrize("purged", [False, True])
def test_a_ghost_of_an_archived_order_is_given_up(practice: Practice, portal: BandwidthPortal, *, purged: bool) -> None:
    """The order comes back for it. A purged one cannot, and that is said."""

    async def decide() -> None:
        async with practice.opened() as services:
            order_id = await buy(practice, services, ONE, TWO)
            practice.pass_time(days=60)
            await services.orders.forget()
            archive = services.ledger.archive
            assert await archive.copy(timedelta(days=31)) == 1
            practice.pass_time(minutes=11)
            assert await archive.remove() == (1, 1)
            assert await archive.purge(timedelta(days=31 if purged else 3650)) == int(purged)
            portal.remove(ONE)

            done = (await services.orders.reconcile(BANDWIDTH, GIVE_UP)).decided
            assert done.moved == []
            if purged:
                assert (done.given_up, done.archived) == ({}, {ONE: order_id})
            else:
                assert (done.given_up, done.archived) == ({ONE: order_id}, {})
                assert practice.story(order_id)[-1] == "NumbersGivenUp"
            assert set(held(practice)) == ({ONE, TWO} if purged else {TWO})

    run(decide())


def test_a_number_given_up_and_bought_back_by_hand_is_adopted_anew(practice: Practice, portal: BandwidthPortal) -> None:
    """An order acquires a number once, so the second holding needs an order of its own."""

    async def decide() -> None:
        async with practice.opened() as services:
            order_id = await buy(practice, services, ONE)
            portal.remove(ONE)
            await services.orders.reconcile(BANDWIDTH, GIVE_UP)
            practice.carrier.advance(10)  # it has aged
            portal.buy(ONE)
            done = await services.orders.reconcile(BANDWIDTH, ADOPT)
            assert done.decided.adopted[ONE] != order_id  # type: ignore[index]
            assert held(practice) == {ONE: done.decided.adopted[ONE]}  # type: ignore[index]

    run(decide())


def test_a_number_that_is_not_in_service_yet_is_no_ghost(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list has only what is in service, so a number's record decides; without it nothing is claimed."""
    practice.carrier.fault("empty", **IN_SERVICE, status=204)
    practice.carrier.behave(number_status="InAccount")

    async def look() -> None:
        async with practice.opened() as services:
            await buy(practice, services, ONE)
            found = await compare(services)
            assert (found.theirs, found.ours) == (0, 1)
            assert found.agrees
            (unchecked,) = (await compare(services, lookups=0)).ghosts
            assert not unchecked.checked
            assert (await services.orders.reconcile(BANDWIDTH, GIVE_UP, lookups=0)).decided.given_up == {}

    run(look())
    assert practice.alarms() == []
    assert set(held(practice)) == {ONE}


def test_orphans_that_were_not_looked_up_are_not_adopted(practice: Practice, portal: BandwidthPortal) -> None:
    portal.buy(ONE, TWO, THREE)

    async def decide() -> None:
        async with practice.opened() as services:
            done = await services.orders.reconcile(BANDWIDTH, ADOPT, lookups=2)
            assert sorted(done.decided.adopted) == [ONE, TWO]
            assert [(one.e164, one.checked) for one in done.left.orphans] == [(THREE, False)]
            assert practice.alarms() == []
            await compare(services)
            assert practice.alarms() == [("numbers_orphaned", 1)]
            await compare(services, lookups=0)  # nothing was learnt about it, so the alarm stays

    run(decide())
    assert practice.alarms() == [("numbers_orphaned", 1)]


def test_a_person_may_adopt_some_numbers_only(practice: Practice, portal: BandwidthPortal) -> None:
    """They are looked up before the others."""
    portal.buy(ONE, TWO, THREE)

    async def decide() -> None:
        async with practice.opened() as services:
            some = replace(ADOPT, numbers=frozenset({E164(THREE)}))
            done = await services.orders.reconcile(BANDWIDTH, some, lookups=1)
            assert list(done.decided.adopted) == [THREE]
            assert [one.e164 for one in done.left.orphans] == [ONE, TWO]

    run(decide())
    assert set(held(practice)) == {THREE}


def test_a_carrier_that_a_person_has_paused_is_left_alone_at_night(practice: Practice, portal: BandwidthPortal) -> None:
    portal.buy(ONE)

    async def look() -> None:
        async with practice.opened() as services:
            await services.ledger.pauses.pause(BANDWIDTH, [Lane.ASK], by="ana", why="maintenance")
            await services.orders.reconcile_all()
            assert practice.alarms() == []
            await services.ledger.pauses.resume(BANDWIDTH, [Lane.ASK], by="ana", why=None)
            practice.pass_time(hours=1)
            await services.orders.reconcile_all()
            assert practice.alarms() == [("numbers_orphaned", 1)]

    run(look())


def test_a_carrier_that_does_not_answer_leaves_everything_as_it_is(
    practice: Practice, portal: BandwidthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the alarms: nothing was learnt about the numbers. A night without a comparison is an alarm of its own."""
    monkeypatch.setattr(inquirer, "_PAUSE_FIRST_S", 0.001)
    portal.buy(ONE)

    async def look() -> None:
        async with practice.opened() as services:
            await services.orders.reconcile_all()
            assert practice.alarms() == [("numbers_orphaned", 1)]
            practice.carrier.fault("error_before", **IN_SERVICE)
            with pytest.raises(NoAnswer):
                await services.orders.reconcile(BANDWIDTH, ADOPT)
            practice.pass_time(hours=1)
            await services.orders.reconcile_all()
            assert practice.alarms() == [("numbers_orphaned", 1), ("not_reconciled", 1)]
            (failed,) = await services.ledger.holdings.results()
            assert (failed.carrier, failed.theirs, failed.ours, failed.orphans, failed.ghosts) == (
                BANDWIDTH,
                1,
                0,
                1,
                0,
            )
            assert failed.at is not None
            assert failed.failed_at is not None
            assert failed.failed_at > failed.at
            assert "HTTP 5" in (failed.trouble or "")
            practice.carrier.clear_faults()
            practice.pass_time(hours=1)
            await services.orders.reconcile_all()
            assert practice.alarms() == [("numbers_orphaned", 1)]
            (again,) = await services.ledger.holdings.results()
            assert again.at is not None
            assert again.at > failed.failed_at
            assert (again.failed_at, again.trouble) == (None, None)

    run(look())
    assert held(practice) == {}


def test_a_number_that_moves_while_the_list_is_read_is_not_reported(practice: Practice) -> None:
    """An order that ends between the first page and the comparison."""

    async def look() -> None:
        async with practice.opened() as services:
            order_id = await buy(practice, services, ONE)
            practice.policy = replace(SETTLED)
            practice.db.execute("UPDATE held_numbers SET acquired_at = now() + interval '1 second'")
            practice.carrier.fault("empty", **IN_SERVICE, status=204)
            practice.carrier.fault("empty", method="GET", path="/tns/{tn}", status=404)
            assert (await compare(services)).agrees
            practice.db.execute("UPDATE held_numbers SET acquired_at = now() - interval '1 second'")
            assert [one.order_id for one in (await compare(services)).ghosts] == [order_id]

    run(look())


def test_a_carrier_without_a_list_is_refused_and_left_out_at_night(practice: Practice) -> None:
    """No page of CM.com's describes such a list."""
    practice.name = CarrierName("cm")

    async def look() -> None:
        async with practice.opened(adapter=CM("0c0ffee0-0000-4000-8000-00000000acc0", {})) as services:
            with pytest.raises(InquiryRefused, match="cm has no list of the numbers that we hold"):
                await services.orders.reconcile(practice.name)
            with pytest.raises(InquiryRefused, match="telco is not set up here"):
                await services.orders.reconcile(CarrierName("telco"))
            await services.orders.reconcile_all()

    run(look())
    assert practice.alarms() == []
    assert practice.carrier.report()["requests"]["total"] == 0


async def _write_off(services: Services, order_id: OrderId) -> None:
    await services.orders.resolve(order_id, WrittenOff("ana", "nobody wants it"))
