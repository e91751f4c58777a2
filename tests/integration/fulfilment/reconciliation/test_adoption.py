"""Numbers at the practice Swift that people bought or removed in the portal, adopted, and later removed by an order."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.carriers.market import HeldNumber
from number_orders.carriers.swift import holdings
from number_orders.carriers.swift.holdings import SwiftHoldings
from number_orders.carriers.swift.json import Did
from number_orders.fulfilment.reconciliation import adoption, reconcile
from number_orders.fulfilment.reconciliation.comparison import Comparison, Movement
from number_orders.fulfilment.reconciliation.reading import HoldingsReader, Reading
from number_orders.fulfilment.reconciliation.reconcile import Decision
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import InquiryRefused, NoAnswer
from number_orders.orders.model import Lane
from number_orders.orders.numbers import E164
from number_orders.sandbox.control import SandboxControl
from tests.contract.sandbox.swift.client import SUB, SwiftClient, remove
from tests.integration.fulfilment.practice import run, work_until_idle
from tests.integration.fulfilment.swift_practice import (
    SWIFT,
    SwiftPractice,
    a_purchase,
    a_removal,
    accept_one,
    buy,
    work_once,
)

ADOPT = Decision("ana", "bought in the portal", adopt=True)
GIVE_UP = Decision("ana", "removed in the portal", give_up=True)
WINDOW_S = 1800.0
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


@pytest.fixture(autouse=True)
def _dates_on_our_clock(practice: SwiftPractice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the carrier's dates as if time had passed here as well: in these tests its clock runs ahead of ours."""

    def shown(did: Did) -> HeldNumber:
        ahead = timedelta(seconds=practice.carrier.clock()["ahead_s"])
        return HeldNumber(did.e164, status=did.sms, ordered_at=did.inserted_at - ahead)

    monkeypatch.setattr(holdings, "_held", shown)


@pytest.fixture
def portal(practice: SwiftPractice) -> Iterator[SwiftClient]:
    client = SwiftClient(practice.carrier)
    with closing(client.http):
        yield client


async def compare(services: Services) -> Comparison:
    return (await services.orders.reconcile(SWIFT)).found


def in_e164(numbers: list[str]) -> list[str]:
    return sorted(f"+{number}" for number in numbers)


def test_numbers_of_all_accounts_are_compared(practice: SwiftPractice, portal: SwiftClient) -> None:
    """The list covers sub accounts, bought by us or by hand."""
    by_hand = in_e164([*portal.bought(2, npa="336"), *portal.bought(1, SUB, npa="303")])

    async def look() -> None:
        async with practice.opened() as services:
            bought = [*await buy(practice, services, 2), *await buy(practice, services, 1, key="sub", account=SUB)]
            found = await compare(services)
            assert (found.theirs, found.ours) == (6, 3)
            assert sorted(one.e164 for one in found.orphans) == by_hand
            assert all(one.checked and one.since for one in found.orphans)
            assert practice.held() == set(bought)

    run(look())
    assert practice.alarms() == [("numbers_orphaned", 1)]


def test_a_number_that_is_being_bought_is_no_orphan(practice: SwiftPractice, portal: SwiftClient) -> None:
    """Swift does not say which order brought a number: one that was there long before is an orphan all the same."""
    (old,) = in_e164(portal.bought(1, npa="919"))
    practice.carrier.advance(2 * AN_HOUR.total_seconds())

    async def look() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_once(practice, services, Lane.SUBMIT)
            practice.carrier.advance(2)
            found = await compare(services)
            assert found.theirs == 2
            assert [one.e164 for one in found.orphans] == [old]
            assert [(one.order_id, one.movement) for one in found.under_way] == [(order_id, Movement.BRINGS)]
            await services.orders.reconcile(SWIFT, ADOPT)
            await work_until_idle(practice, services, step=timedelta(seconds=4))
            assert (await compare(services)).agrees
            assert len(practice.held()) == 2

    run(look())


def test_an_adopted_number_can_be_removed_when_its_taint_window_is_over(
    practice: SwiftPractice, portal: SwiftClient
) -> None:
    """Its age is the carrier's: a number that is old already is not kept half an hour more."""
    old = in_e164(portal.bought(1, npa="919"))
    practice.pass_time(seconds=WINDOW_S + 120)
    young = in_e164(portal.bought(1, npa="919"))

    async def remove_both() -> None:
        async with practice.opened() as services:
            done = await services.orders.reconcile(SWIFT, ADOPT)
            assert sorted(done.decided.adopted) == sorted(old + young)
            at_once = await accept_one(services, a_removal(old))
            later = await accept_one(services, a_removal(young, key="remove-2"))
            await work_once(practice, services)
            assert practice.order(at_once)["state"] == "OPEN"
            assert practice.order(later)["state"] == "ACCEPTED"
            assert WINDOW_S - 60 < practice.waits_s(later) <= WINDOW_S + 60
            await work_until_idle(practice, services, step=timedelta(minutes=5))
            assert practice.order(later)["state"] == "COMPLETED"
            assert practice.held() == set()
            assert (await compare(services)).agrees

    run(remove_both())
    assert practice.violations() == []


def test_an_adopted_number_is_held_since_its_latest_date(practice: SwiftPractice, portal: SwiftClient) -> None:
    """Ours, released, and bought again by hand: it is as old as the second purchase."""

    async def adopt() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(seconds=WINDOW_S + 120)
            await accept_one(services, a_removal([number]))
            await work_until_idle(practice, services, step=timedelta(minutes=5))
            portal.order({"type": "ADD_MESSAGING_NUMBERS", "data": {"numbers": [number.removeprefix("+")]}})
            practice.carrier.advance(2)
            await services.orders.reconcile(SWIFT, ADOPT)
            (row,) = practice.rows("SELECT acquired_at, now() AS now FROM held_numbers WHERE released_at IS NULL")
            since: datetime = row["acquired_at"]
            assert timedelta() <= row["now"] - since < timedelta(minutes=1)

    run(adopt())


def test_a_number_removed_by_hand_is_given_up_on_request(practice: SwiftPractice, portal: SwiftClient) -> None:
    async def decide() -> None:
        async with practice.opened() as services:
            one, other = await buy(practice, services, 2)
            practice.pass_time(seconds=WINDOW_S + 120)
            portal.order(remove(one.removeprefix("+")))
            practice.carrier.advance(2)
            found = await compare(services)
            assert [ghost.e164 for ghost in found.ghosts] == [one]
            assert practice.held() == {one, other}
            done = await services.orders.reconcile(SWIFT, GIVE_UP)
            assert list(done.decided.given_up) == [one]
            assert practice.held() == {other}

    run(decide())
    assert practice.alarms() == []


def test_most_of_the_ledger_is_not_given_up_unless_each_number_is_named(
    practice: SwiftPractice, portal: SwiftClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key of another account every number looks like a ghost."""
    monkeypatch.setattr(reconcile, "_GIVEN_UP_AT_ONCE", 1)

    async def decide() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 3)
            practice.carrier.reset()
            with pytest.raises(InquiryRefused, match="give_up: 3 of 3 numbers would be given up"):
                await services.orders.reconcile(SWIFT, GIVE_UP)
            assert practice.held() == set(numbers)
            named = replace(GIVE_UP, numbers=frozenset(E164(number) for number in numbers))
            await services.orders.reconcile(SWIFT, named)
            assert practice.held() == set()

    run(decide())


def test_what_moved_while_a_person_decided_is_left_alone(
    practice: SwiftPractice, portal: SwiftClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision is about what was seen: of an order that has moved since, nothing is recorded."""

    async def decide() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(seconds=WINDOW_S + 120)
            portal.order(remove(number.removeprefix("+")))
            practice.carrier.advance(2)
            give_up = adoption._given_up

            def moving(ghost: object) -> object:
                practice.db.execute("UPDATE orders SET version = version + 1")
                practice.db.execute(
                    "INSERT INTO order_events (order_id, version, event, state)"
                    " SELECT order_id, version, 'ToldAgain', state FROM orders"
                )
                return give_up(ghost)  # type: ignore[arg-type]

            monkeypatch.setattr(adoption, "_given_up", moving)
            done = await services.orders.reconcile(SWIFT, GIVE_UP)
            assert (done.decided.given_up, done.decided.moved) == ({}, [number])
            assert [ghost.e164 for ghost in done.left.ghosts] == [number]
            assert practice.held() == {number}

    run(decide())


def test_many_orphans_become_orders_of_bounded_size(
    practice: SwiftPractice, portal: SwiftClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_NUMBERS_MAX", 3)
    numbers = in_e164(portal.bought(8, npa="919"))

    async def adopt() -> None:
        async with practice.opened() as services:
            done = await services.orders.reconcile(SWIFT, ADOPT)
            assert sorted(done.decided.adopted) == numbers
            sizes = practice.rows("SELECT count(*) AS numbers FROM held_numbers GROUP BY acquired_by ORDER BY 1")
            assert [row["numbers"] for row in sizes] == [2, 3, 3]

    run(adopt())


def test_a_list_that_was_not_read_to_its_end_proves_nothing(
    practice: SwiftPractice, portal: SwiftClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number on the pages that are missing would look like a ghost."""
    monkeypatch.setattr(SwiftHoldings, "pages_max", 1)
    monkeypatch.setattr("number_orders.carriers.swift.answers.PAGE_SIZE", 1)

    async def look() -> None:
        async with practice.opened() as services:
            portal.bought(2, npa="919")
            with pytest.raises(NoAnswer, match="has no end"):
                await compare(services)

    run(look())
    assert practice.alarms() == []


def test_a_number_that_one_reading_of_the_list_missed_is_no_ghost(
    practice: SwiftPractice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While pages are read, a number may slip to one that was read before. Given up, nobody would hold it."""
    read_list, missed = HoldingsReader.read_list, list[E164]()

    async def misses_one(reader: HoldingsReader) -> Reading:
        reading = await read_list(reader)
        if not missed:
            missed.append(min(reading.listed))
            del reading.listed[missed[0]]
        return reading

    async def decide() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2)
            practice.pass_time(minutes=10)
            monkeypatch.setattr(HoldingsReader, "read_list", misses_one)
            done = await services.orders.reconcile(SWIFT, GIVE_UP)
            assert missed[0] in numbers
            assert done.found.agrees
            assert practice.held() == set(numbers)

    run(decide())


def test_numbers_of_orders_that_may_come_again_are_not_adopted(practice: SwiftPractice, portal: SwiftClient) -> None:
    """After a fall an orphan may be that of a forgotten order, and its producer may send the order again."""
    orphans = in_e164(portal.bought(2, npa="919"))

    async def adopt() -> None:
        async with practice.opened() as services:
            await services.ledger.guard.begin(timedelta(hours=72), who="ana", why="a backup was restored")
            with pytest.raises(InquiryRefused, match="2 numbers may belong to orders that the ledger has forgotten"):
                await services.orders.reconcile(SWIFT, ADOPT)
            assert practice.held() == set()
            await services.orders.reconcile(SWIFT, replace(ADOPT, numbers=frozenset({E164(orphans[0])})))
            assert practice.held() == {orphans[0]}
            await services.ledger.guard.end(who="ana", why="every key was sent again")
            await services.orders.reconcile(SWIFT, ADOPT)
            assert practice.held() == set(orphans)

    run(adopt())
