"""The way in on a real ledger: one order a key, refusals that leave nothing behind, whoever else is ordering."""

import asyncio
import math
import random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from uuid_utils.compat import uuid7

from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import KeyConflict, LedgerUnavailable, OrderRefused
from number_orders.orders.model import Lane
from tests.integration.fulfilment.breaking import Line
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, live, run, work
from tests.processes import eventually

NUMBERS = ["+19195550123", "+19195550124"]


async def refusal(services: Services, raw: object) -> OrderRefused:
    """Return why an order is refused."""
    with pytest.raises(OrderRefused) as refused:
        await services.intake.submit(raw, producer="default")
    return refused.value


def left_behind(practice: Practice) -> list[dict[str, Any]]:
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
    ({"criteria": None, "quantity": None, "numbers": []}, "numbers"),
    ({"criteria": None, "quantity": None, "numbers": [NUMBERS[0], NUMBERS[0]]}, "order"),
    ({"criteria": None, "quantity": None, "numbers": [NUMBERS[0], "+1"]}, "numbers.1"),
    ({"notify": {"task": "crm.moved"}}, "notify"),
    ({"notify": {"url": "https://crm.example/hook"}}, "notify.url"),
    ({"notify": {"task": "crm.moved", "queue": "crm", "on": ["SOMETIMES"]}}, "notify.on.0"),
    ({"options": {str(i): i for i in range(51)}}, "options"),
]


def test_a_refusal_names_the_field_and_leaves_nothing(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            for changes, field in REFUSED:
                error = await refusal(services, an_order() | changes)
                assert field in {fault.field for fault in error.faults}, (str(changes)[:100], error)
                str(error).encode()  # can be sent to whoever asked
            assert left_behind(practice) == []
            assert practice.bell.rung == []

    run(refused())


def test_a_kind_that_is_not_offered_is_refused_with_those_that_are(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            error = await refusal(services, an_order() | {"kind": "add_messaging_numbers", "options": {"x": 1}})
            assert [str(fault) for fault in error.faults] == [
                "kind: bandwidth does not offer add_messaging_numbers; it offers new_numbers and remove_numbers"
            ]
            assert left_behind(practice) == []

    run(refused())


def test_what_is_no_object_is_no_order(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            for raw in (None, 5, "order", [], [an_order()]):
                assert [fault.field for fault in (await refusal(services, raw)).faults] == ["order"]

    run(refused())


def test_nesting_without_end_is_refused(practice: Practice) -> None:
    bottomless: dict[str, Any] = {}
    bottomless["options"] = bottomless

    async def refused() -> None:
        async with practice.opened() as services:
            assert "plain JSON" in str(await refusal(services, an_order(options=bottomless)))

    run(refused())


BODIES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, True),
    ({}, {"allow_partial": True}, True),  # the default, written out
    ({"not_before": "2099-01-01T00:00:00Z"}, {"not_before": "2099-01-01T01:00:00+01:00"}, True),
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


def test_a_key_stands_for_what_was_ordered_not_for_how_it_was_written(practice: Practice) -> None:
    async def again() -> None:
        async with practice.opened() as services:
            for number, (first, second, same) in enumerate(BODIES):
                key = f"crm-{number}"
                ticket = await services.intake.submit(an_order(key, **first), producer="default")
                if same:
                    repeated = await services.intake.submit(an_order(key, **second), producer="default")
                    assert (repeated.order_id, repeated.new, ticket.new) == (ticket.order_id, False, True), second
                else:
                    error = await refusal(services, an_order(key, **second))
                    assert isinstance(error, KeyConflict)
                    assert str(ticket.order_id) in str(error)
            assert len(practice.rows("SELECT FROM orders")) == len(BODIES)

    run(again())


def test_keys_are_each_producers_own(practice: Practice) -> None:
    async def two() -> None:
        async with practice.opened() as services:
            mine = await services.intake.submit(an_order(), producer="mine")
            yours = await services.intake.submit(an_order(quantity=2), producer="yours")
            assert mine.order_id != yours.order_id

    run(two())


def test_an_id_that_stands_for_another_order_is_refused(practice: Practice) -> None:
    async def taken() -> None:
        async with practice.opened() as services:
            first = await services.intake.submit(an_order("one"), producer="default")
            with pytest.raises(KeyConflict, match="order_id"):
                await services.intake.submit(an_order("two"), producer="default", order_id=first.order_id)
            assert len(practice.rows("SELECT FROM orders")) == 1

    run(taken())


def test_the_same_orders_sent_by_many_at_once_are_each_accepted_once(practice: Practice) -> None:
    """Nine deliveries of 120 orders, each in its own order: each key is one order, and everybody learns which."""

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


def test_the_same_orders_the_other_way_round_do_not_block_each_other(practice: Practice) -> None:
    """Two deliveries that would each hold what the other waits for, had they not agreed on an order."""
    held_up = """INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state)
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
                third.execute(held_up)
                keys = [an_order(key) for key in "amz"]
                sending = [
                    asyncio.create_task(services.intake.submit_many(batch, producer="default"))
                    for services, batch in ((one, keys), (two, keys[::-1]))
                ]
                await asyncio.to_thread(both_wait)
                third.rollback()  # it changes its mind
            outcomes = await asyncio.gather(*sending)
            assert sum(isinstance(got, Ticket) and got.new for batch in outcomes for got in batch) == 3

    run(crosswise())


def test_one_order_sent_by_many_at_once_under_one_id_is_one_order(practice: Practice) -> None:
    """One message delivered several times at once: every delivery answers the same, and as the first would."""

    async def many() -> None:
        async with practice.opened() as one, practice.opened() as two:
            order_id = uuid7()
            services = [one, two] * 5
            tickets = await asyncio.gather(
                *(services.intake.submit(an_order(), producer="default", order_id=order_id) for services in services)
            )
            assert {(ticket.order_id, ticket.new) for ticket in tickets} == {(order_id, True)}

    run(many())


def test_in_a_batch_each_order_stands_for_itself(practice: Practice) -> None:
    """Good, bad, the same twice, and one key for two orders: each gets its own answer, in its own place."""

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


def test_orders_that_come_in_together_are_answered_as_if_they_had_come_one_after_another(practice: Practice) -> None:
    """One key for two producers, one key twice, one id for two orders: whoever comes later is told whose it is."""

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


def test_five_hundred_are_taken_and_five_hundred_and_one_are_not(practice: Practice) -> None:
    async def limit() -> None:
        async with practice.opened() as services:
            raws = [an_order(f"crm-{n}") for n in range(501)]
            with pytest.raises(OrderRefused, match="at most 500"):
                await services.intake.submit_many(raws, producer="default")
            assert left_behind(practice) == []
            assert not any(
                isinstance(got, Refusal) for got in await services.intake.submit_many(raws[:500], producer="p")
            )
            assert len(practice.rows("SELECT FROM orders")) == 500

    run(limit())


@pytest.mark.parametrize("statement", [1, 2])
def test_an_acceptance_whose_commit_was_not_heard_of_is_an_acceptance(practice: Practice, statement: int) -> None:
    """The connection breaks after the commit, or after the question whose order it was: it is new, and once."""

    async def unheard() -> None:
        async with practice.opened() as services:
            line = Line(statement, tries=1, after_commit=True)
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                ticket = await shaken.intake.submit(an_order(), producer="default")
            assert ticket.new
            assert practice.story(ticket.order_id) == ["OrderAccepted"]

    run(unheard())


def test_without_a_ledger_there_is_no_ticket_and_sending_again_is_safe(practice: Practice) -> None:
    async def away() -> None:
        async with practice.opened() as services:
            line = Line(1, tries=2, after_commit=True)
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                with pytest.raises(LedgerUnavailable):
                    await shaken.intake.submit(an_order(), producer="default")
                ticket = await shaken.intake.submit(an_order(), producer="default")
            assert not ticket.new
            assert len(practice.rows("SELECT FROM orders")) == 1

    run(away())


def test_only_lanes_with_something_to_do_are_rung(practice: Practice) -> None:
    async def rung() -> None:
        async with practice.opened() as services:
            told = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED"]}}
            await accept(services, an_order("later", not_before="2099-01-01T00:00:00Z"))
            assert practice.bell.rung == []
            await accept(services, an_order("now", **told))
            assert sorted(practice.bell.rung) == [(BANDWIDTH, Lane.SUBMIT), (BANDWIDTH, Lane.TELL)]
            practice.bell.rung.clear()
            await accept(services, an_order("now", **told))
            assert practice.bell.rung == []

    run(rung())


def test_moments_are_told_in_utc_wherever_the_server_lives(practice: Practice) -> None:
    """A PostgreSQL that keeps the time of Kathmandu changes nothing of what a producer reads."""
    with psycopg.connect(practice.url, autocommit=True) as db:
        name = sql.Identifier(db.info.dbname)
        db.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'Asia/Kathmandu'").format(name))

    async def told() -> None:
        async with practice.opened() as services:
            asked: dict[str, Any] = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED", "COMPLETED"]}}
            (order_id,) = await accept(services, an_order(**asked))
            await work(services, Lane.TELL)
            await live(practice, services)
            (document,) = await services.orders.documents([order_id])
            for said in (*practice.notifier.kept, document):
                assert said["accepted_at"].endswith("+00:00")
                assert said["ended_at"] is None or said["ended_at"].endswith("+00:00")

    run(told())
