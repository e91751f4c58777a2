"""On a real ledger, each key is one order, and a refused order leaves nothing behind."""

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any, TypeGuard

import psycopg
import pytest
from psycopg import sql
from uuid_utils.compat import uuid7

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import Fault, KeyConflict, LedgerUnavailable, OrderRefused
from number_orders.orders.model import Lane, OrderRequest
from number_orders_client import contract
from number_orders_client.reference import derive_order_id
from tests.integration.fulfilment.breaking import FailingConnection
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, run, work, work_until_idle
from tests.later import LATER
from tests.processes import eventually

NUMBERS = ["+19195550123", "+19195550124"]


async def refusal_of(services: Services, raw: object) -> OrderRefused:
    """Return why an order is refused."""
    with pytest.raises(OrderRefused) as refused:
        await services.intake.submit(raw, producer="default")
    return refused.value


def stored_rows(practice: Practice) -> list[dict[str, Any]]:
    return practice.rows("""
        SELECT order_id FROM orders UNION ALL SELECT order_id FROM owed UNION ALL SELECT order_id FROM order_events
        UNION ALL SELECT order_id FROM tellings UNION ALL SELECT order_id FROM alarms""")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"notes": "half a character: \ud800"}, "order"),
    ({"name": "a\x00b"}, "order"),
    ({"options": {"peer_id": math.nan}}, "order"),
    ({"quantity": math.inf}, "order"),
    ({"quantity": 10**5000}, "order"),
    ({"notes": "x" * 300_000}, "order"),
    ({"criteria": {"npa": {1, 2}}}, "order"),
    ({"quantity": 1.0}, "quantity"),
    ({"quantity": True}, "quantity"),
    ({"allow_partial": "yes"}, "allow_partial"),
    ({"key": "k" * 201}, "key"),
    ({"key": "schlüssel"}, "key"),
    ({"not_before": "2026-11-22T10:00:00"}, "not_before"),
    ({"not_before": "9999-12-31T23:59:59-14:00"}, "not_before"),
    ({"not_before": "0001-01-01T00:00:00+14:00"}, "not_before"),
    ({"not_before": "1969-12-31T23:59:59Z"}, "not_before"),
    ({"not_before": "2099-01-01T00:00:00Z"}, "not_before"),
    ({"not_before": 10**30}, "not_before"),
    ({"not_before": 1795341600}, "not_before"),
    ({"criteria": {"npa": "911"}}, "criteria.npa"),
    ({"criteria": {"npa": "919", "nxx": "911"}}, "criteria.nxx"),
    ({"criteria": {"npa": "900"}}, "criteria.npa"),
    ({"criteria": {"npa": "800"}}, "criteria.npa"),
    ({"criteria": {"state": "XX"}}, "criteria.state"),
    ({"criteria": {"state": "NC", "country": "CAN"}}, "criteria.state"),
    ({"criteria": {"npa": " 919"}}, "criteria.npa"),
    ({"criteria": None, "quantity": None, "numbers": [NUMBERS[0], "+19115550100"]}, "numbers.1"),
    ({"criteria": None, "quantity": None, "numbers": ["+19005550100"]}, "numbers.0"),
    ({"criteria": None, "quantity": None, "numbers": ["+15555550100"]}, "numbers.0"),
    ({"criteria": None, "quantity": None, "numbers": ["+881612345678"]}, "numbers.0"),
    ({"criteria": None, "quantity": None, "numbers": []}, "numbers"),
    ({"criteria": None, "quantity": None, "numbers": [NUMBERS[0], NUMBERS[0]]}, "order"),
    ({"criteria": None, "quantity": None, "numbers": [NUMBERS[0], "+1"]}, "numbers.1"),
    ({"notify": {"task": "crm.moved"}}, "notify"),
    ({"notify": {"url": "https://crm.example/hook"}}, "notify.url"),
    ({"notify": {"task": "crm.moved", "queue": "crm", "on": ["SOMETIMES"]}}, "notify.on.0"),
    ({"notify": {"task": "orders.park", "queue": "orders.operators"}}, "notify.queue"),
    ({"notify": {"task": "orders.submit", "queue": "orders"}}, "notify.queue"),
    ({"options": {str(i): i for i in range(51)}}, "options"),
]


def test_refusal_names_the_field_and_leaves_nothing_behind(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            for changes, field in REFUSED:
                error = await refusal_of(services, an_order() | changes)
                assert field in {fault.field for fault in error.faults}, (str(changes)[:100], error)
                str(error).encode()  # can be sent in an answer
            assert stored_rows(practice) == []
            assert practice.bell.rung == []

    run(refused())


def test_kind_that_is_not_offered_is_refused_with_the_offered_kinds(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            error = await refusal_of(services, an_order() | {"kind": "add_messaging_numbers", "options": {"x": 1}})
            assert [str(fault) for fault in error.faults] == [
                "kind: bandwidth does not offer add_messaging_numbers; it offers new_numbers and remove_numbers"
            ]
            assert stored_rows(practice) == []

    run(refused())


def test_order_that_is_no_json_object_is_refused(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            for raw in (None, 5, "order", [], [an_order()]):
                assert [fault.field for fault in (await refusal_of(services, raw)).faults] == ["order"]

    run(refused())


def test_endless_nesting_is_refused(practice: Practice) -> None:
    bottomless: dict[str, Any] = {}
    bottomless["options"] = bottomless

    async def refused() -> None:
        async with practice.opened() as services:
            assert "plain JSON" in str(await refusal_of(services, an_order(options=bottomless)))

    run(refused())


BODIES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, True),
    ({}, {"allow_partial": True}, True),  # the default, written out
    ({"not_before": LATER}, {"not_before": LATER.replace("T00:00:00Z", "T01:00:00+01:00")}, True),
    (
        {"notify": {"task": "t", "queue": "q", "on": ["OPEN", "FAILED"]}},
        {"notify": {"task": "t", "queue": "q", "on": ["FAILED", "OPEN", "OPEN"]}},
        True,
    ),
    ({"options": {"peer_id": "1", "site_id": "2"}}, {"options": {"site_id": "2", "peer_id": "1"}}, True),
    ({}, {"quantity": 2}, False),
    ({}, {"allow_partial": False}, False),
    ({}, {"criteria": {"npa": "984"}}, False),
    ({"notes": "a"}, {"notes": "b"}, False),
    ({}, {"notify": {"task": "t", "queue": "q"}}, False),
]


def test_key_accepts_its_order_written_differently_and_no_other_order(practice: Practice) -> None:
    async def again() -> None:
        async with practice.opened() as services:
            for number, (first, second, same) in enumerate(BODIES):
                key = f"crm-{number}"
                ticket = await services.intake.submit(an_order(key, **first), producer="default")
                if same:
                    repeated = await services.intake.submit(an_order(key, **second), producer="default")
                    assert (repeated.order_id, repeated.new, ticket.new) == (ticket.order_id, False, True), second
                else:
                    error = await refusal_of(services, an_order(key, **second))
                    assert isinstance(error, KeyConflict)
                    assert str(ticket.order_id) in str(error)
            assert len(practice.rows("SELECT FROM orders")) == len(BODIES)

    run(again())


def test_two_producers_may_use_the_same_key(practice: Practice) -> None:
    async def two() -> None:
        async with practice.opened() as services:
            one = await services.intake.submit(an_order(), producer="one")
            other = await services.intake.submit(an_order(quantity=2), producer="other")
            assert one.order_id != other.order_id

    run(two())


def test_id_of_another_order_is_refused(practice: Practice) -> None:
    async def taken() -> None:
        async with practice.opened() as services:
            first = await services.intake.submit(an_order("one"), producer="default")
            with pytest.raises(KeyConflict, match="order_id"):
                await services.intake.submit(an_order("two"), producer="default", order_id=first.order_id)
            assert len(practice.rows("SELECT FROM orders")) == 1

    run(taken())


def test_nobody_takes_the_id_that_is_derived_for_anothers_order(practice: Practice) -> None:
    """It can be computed from the producer's name and a key that is easily guessed."""

    async def squat() -> None:
        async with practice.opened() as services:
            theirs = derive_order_id("crm", "one")
            for producer, key in (("web", "one"), ("web", "two"), ("crm", "two")):
                with pytest.raises(OrderRefused, match="order_id: has version 8"):
                    await services.intake.submit(an_order(key), producer=producer, order_id=theirs)
            ticket = await services.intake.submit(an_order("one"), producer="crm", order_id=theirs)
            assert (ticket.order_id, ticket.new) == (theirs, True)

    run(squat())


def test_orders_sent_by_many_at_once_are_each_accepted_once(practice: Practice) -> None:
    """Nine deliveries of 120 orders in different sequences: each key is one order, and every sender learns which."""

    async def many() -> None:
        async with practice.opened() as a, practice.opened() as b, practice.opened() as c:
            batches = [random.Random(i).sample([an_order(f"crm-{n}") for n in range(120)], 120) for i in range(9)]
            sending = (
                services.intake.submit_many(batch, producer="default")
                for services, batch in zip([a, b, c] * 3, batches, strict=True)
            )
            tickets = [got for batch in await asyncio.gather(*sending) for got in batch if isinstance(got, Ticket)]
            assert len(tickets) == 9 * 120
            assert sum(ticket.new for ticket in tickets) == 120
            assert len({(ticket.key, ticket.order_id) for ticket in tickets}) == 120
            assert len(practice.rows("SELECT FROM orders")) == len(practice.rows("SELECT FROM owed")) == 120

    run(many())


def test_same_orders_in_opposite_order_do_not_deadlock(practice: Practice) -> None:
    """Each delivery would wait for what the other holds, if they did not take the keys in one order."""
    blocking_insert = """INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state)
        VALUES (gen_random_uuid(), 'default', 'm', '', 'bandwidth', 'new_numbers', '{}', 'ACCEPTED')"""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def both_wait() -> None:
        for _ in eventually():
            if len(practice.rows(waiting)) == 2:
                break

    # A deadlock would last for ever now, instead of being found out after a second and tried again.
    lasting = "ALTER DATABASE {} SET deadlock_timeout = '1h'"
    practice.db.execute(sql.SQL(lasting).format(sql.Identifier(practice.db.info.dbname)))

    async def crosswise() -> None:
        async with practice.opened() as one, practice.opened() as two:
            with psycopg.connect(practice.url) as third:
                third.execute(blocking_insert)
                keys = [an_order(key) for key in "amz"]
                sending = [
                    asyncio.create_task(services.intake.submit_many(batch, producer="default"))
                    for services, batch in ((one, keys), (two, keys[::-1]))
                ]
                await asyncio.to_thread(both_wait)
                third.rollback()
            outcomes = await asyncio.gather(*sending)
            assert sum(isinstance(got, Ticket) and got.new for batch in outcomes for got in batch) == 3

    run(crosswise())


def test_one_message_delivered_many_times_at_once_is_one_order(practice: Practice) -> None:
    """Every delivery gets the answer of the first."""

    async def many() -> None:
        async with practice.opened() as one, practice.opened() as two:
            order_id = uuid7()
            services = [one, two] * 5
            tickets = await asyncio.gather(
                *(services.intake.submit(an_order(), producer="default", order_id=order_id) for services in services)
            )
            assert {(ticket.order_id, ticket.new) for ticket in tickets} == {(order_id, True)}

    run(many())


def test_each_order_of_a_batch_gets_its_own_answer(practice: Practice) -> None:
    """Good, bad, the same twice, and one key for two orders: the answers come in the same sequence."""

    async def batch() -> None:
        async with practice.opened() as services:
            raws = [
                an_order("a"),
                7,
                an_order("b", quantity=0),
                an_order("a"),
                an_order("a", quantity=2),
                an_order("c"),
            ]
            outcomes = await services.intake.submit_many(raws, producer="default")
            kinds = [
                (got.key, got.new) if isinstance(got, Ticket) else (got.key, type(got.error).__name__)
                for got in outcomes
            ]
            assert kinds == [
                ("a", True),
                (None, "OrderRefused"),
                ("b", "OrderRefused"),
                ("a", False),
                ("a", "KeyConflict"),
                ("c", True),
            ]
            assert len(practice.rows("SELECT FROM orders")) == 2

    run(batch())


class Breaking(Bandwidth):
    """An adapter with a bug that some orders meet."""

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        if request.name == "meets a bug":
            raise ZeroDivisionError("half a \ud800 of an order")
        return super().check(request)


def test_order_that_meets_a_bug_costs_the_others_of_its_batch_nothing(practice: Practice) -> None:
    """Half of the orders are odd in every way; PostgreSQL refuses some, and the adapter breaks at others."""
    dice = random.Random(24)
    practice.db.execute("ALTER TABLE orders ADD CHECK (key NOT LIKE 'refused-%')")
    odd: list[Callable[[int], object]] = [
        lambda n: an_order(f"bug-{n}", name="meets a bug"),
        lambda n: an_order(f"refused-{n}"),
        lambda n: an_order(f"odd-{n}") | {dice.choice(ODD_FIELDS): dice.choice(ODD_VALUES)},
        lambda _: dice.choice(ODD_VALUES),
    ]
    raws = [an_order(f"good-{n}") if n % 2 else dice.choice(odd)(n) for n in range(contract.ORDERS_MAX)]

    async def batch() -> None:
        async with practice.opened(adapter=Breaking("9900000", "743")) as services:
            outcomes = await services.intake.submit_many(raws, producer="default")
            submissions = [Submission(raw, "another") for raw in raws]
            assert list(map(type, await services.intake.submit_together(submissions))) == list(map(type, outcomes))
        assert {type(outcome) for outcome in outcomes[1::2]} == {Ticket}
        said = {(outcome.key or "").split("-")[0]: str(outcome.error) for outcome in outcomes if _refused(outcome)}
        assert "could not be checked, which is a fault of this service; nothing was stored: ZeroDiv" in said["bug"]
        assert (
            "could not be stored, which is a fault of this service; nothing was stored: NotStorable" in said["refused"]
        )
        for outcome in filter(_refused, outcomes):
            str(outcome.error).encode()  # can be sent in an answer

    run(batch())


ODD_FIELDS = [*contract.OrderRequest.model_fields, "", "unheard of"]
ODD_VALUES: list[object] = [
    None, True, -1, 0, 10**400, 1e308, math.nan, "", "\x00", "\udfff", "9999-12-31T23:59:59-14:00", "+1", [], {}, [[]],
    {"npa": "919", "country": "\u2028"}, {"task": "t" * 101, "queue": "q"}, ["+19195550123"] * 5001, {1: 2},
    {"x": {"y": {}}}, object(), b"bytes",
]  # fmt: skip


def _refused(outcome: Ticket | Refusal) -> TypeGuard[Refusal]:
    return isinstance(outcome, Refusal)


def test_orders_taken_in_together_are_answered_as_if_they_had_come_one_by_one(practice: Practice) -> None:
    """One key of two producers, one key twice, one id for two orders: the later order learns whose it is."""

    async def together() -> None:
        async with practice.opened() as services:
            one, two = uuid7(), uuid7()
            outcomes = await services.intake.submit_together(
                [
                    Submission(an_order("a", quantity=0), "crm", one),
                    Submission(an_order("a"), "crm", one),
                    Submission(an_order("a"), "erp", two),
                    Submission(an_order("a"), "crm", uuid7()),
                    Submission(an_order("a", quantity=2), "crm"),
                    Submission(an_order("b"), "crm", two),
                    Submission(an_order("b"), "crm"),
                ]
            )
            said = [(got.order_id, got.new) if isinstance(got, Ticket) else type(got.error) for got in outcomes]
            assert said[:-1] == [OrderRefused, (one, True), (two, True), (one, False), KeyConflict, KeyConflict]
            assert isinstance(outcomes[-1], Ticket)
            assert outcomes[-1].new
            assert await services.intake.submit_together([]) == []
            assert len(practice.rows("SELECT FROM orders")) == len(practice.rows("SELECT FROM owed")) == 3

    run(together())


def test_batch_has_at_most_500_orders(practice: Practice) -> None:
    async def limit() -> None:
        async with practice.opened() as services:
            raws = [an_order(f"crm-{n}") for n in range(501)]
            with pytest.raises(OrderRefused, match="at most 500"):
                await services.intake.submit_many(raws, producer="default")
            assert stored_rows(practice) == []
            assert not any(
                isinstance(got, Refusal) for got in await services.intake.submit_many(raws[:500], producer="p")
            )
            assert len(practice.rows("SELECT FROM orders")) == 500

    run(limit())


@pytest.mark.parametrize("statement", [1, 2])
def test_order_is_accepted_once_although_the_answer_of_the_ledger_was_lost(practice: Practice, statement: int) -> None:
    """The connection breaks after the commit, or after the query for taken keys: the order is new, and stored once."""

    async def unheard() -> None:
        async with practice.opened() as services:
            connection = FailingConnection(statement, tries=1, after_commit=True)
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                ticket = await failing.intake.submit(an_order(), producer="default")
            assert ticket.new
            assert practice.story(ticket.order_id) == ["OrderAccepted"]

    run(unheard())


def test_without_a_ledger_there_is_no_ticket_and_sending_again_is_safe(practice: Practice) -> None:
    async def away() -> None:
        async with practice.opened() as services:
            connection = FailingConnection(1, tries=2, after_commit=True)
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                with pytest.raises(LedgerUnavailable):
                    await failing.intake.submit(an_order(), producer="default")
                ticket = await failing.intake.submit(an_order(), producer="default")
            assert not ticket.new
            assert len(practice.rows("SELECT FROM orders")) == 1

    run(away())


def test_only_lanes_with_due_work_are_rung(practice: Practice) -> None:
    async def rung() -> None:
        async with practice.opened() as services:
            notified = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED"]}}
            await accept(services, an_order("later", not_before=LATER))
            assert practice.bell.rung == []
            await accept(services, an_order("now", **notified))
            assert sorted(practice.bell.rung) == [(BANDWIDTH, Lane.SUBMIT), (BANDWIDTH, Lane.TELL)]
            practice.bell.rung.clear()
            await accept(services, an_order("now", **notified))
            assert practice.bell.rung == []

    run(rung())


def test_documents_have_moments_in_utc_whatever_the_servers_time_zone(practice: Practice) -> None:
    """PostgreSQL runs on the time of Kathmandu; the producer reads UTC."""
    with psycopg.connect(practice.url, autocommit=True) as db:
        name = sql.Identifier(db.info.dbname)
        db.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'Asia/Kathmandu'").format(name))

    async def notified() -> None:
        async with practice.opened() as services:
            asked: dict[str, Any] = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED", "COMPLETED"]}}
            (order_id,) = await accept(services, an_order(**asked))
            await work(services, Lane.TELL)
            await work_until_idle(practice, services)
            (document,) = await services.orders.documents([order_id])
            for shown in (*practice.notifier.delivered, document):
                assert shown["accepted_at"].endswith("+00:00")
                assert shown["ended_at"] is None or shown["ended_at"].endswith("+00:00")

    run(notified())
