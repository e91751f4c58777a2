"""A ledger that fell back in time is recognised, sends nothing before, and guards what it may have forgotten."""

from datetime import timedelta

import psycopg
from psycopg import sql
from uuid_utils.compat import uuid7

from number_orders.ledger.guard import GUARD_LASTS
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import Lane, OrderId
from number_orders.orders.reference import derive_reference
from tests.integration.fulfilment.practice import BANDWIDTH, run
from tests.integration.ledger.examples import a_new_order, a_request
from tests.integration.ledger.harness import LedgerHarness

HOUR = timedelta(hours=1)


def test_a_ledger_that_is_looked_at_again_is_the_same(harness: LedgerHarness) -> None:
    async def twice(ledger: Ledger) -> None:
        for _ in range(2):
            period = await ledger.guard.check(HOUR)
            assert (period.fell, period.is_active, period.began_at) == (False, False, None)

    harness.run(twice)


def test_a_guard_period_begun_by_hand_marks_what_is_under_way_and_ends(harness: LedgerHarness) -> None:
    """So is what is accepted while it lasts: its producer may have sent it before, and the ledger has forgotten it."""

    async def by_hand(ledger: Ledger) -> None:
        await ledger.schedule.open_lanes([BANDWIDTH])
        before, after = a_new_order(a_request("before")), a_new_order(a_request("after"))
        await ledger.intake.accept([before])
        begun = await ledger.guard.begin(HOUR, who="ana", why="a snapshot was put back")
        await ledger.intake.accept([after])
        read = await ledger.guard.read()
        assert (read.is_active, read.began_at, read.who, read.why) == (True, begun.began_at, "ana", begun.why)
        claimed = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=HOUR)
        assert claimed is not None
        assert claimed.guarded_since == begun.began_at
        lost_at = {claim.order.request.key: claim.order.history_lost_at for claim in claimed.claims}
        assert lost_at == {"before": begun.began_at, "after": begun.began_at}
        ended = await ledger.guard.end(who="bea", why="nothing was lost")
        assert ended is not None
        assert not (await ledger.guard.read()).is_active
        assert await ledger.guard.end(who="bea", why="once more") is None
        later = a_new_order(a_request("later"))
        await ledger.intake.accept([later])
        assert (await ledger.orders.read([later.order_id]))[later.order_id].history_lost_at is None

    harness.run(by_hand)


def test_orders_have_references_derived_from_producer_and_key(harness: LedgerHarness) -> None:
    """The same order under another id, in a ledger that has forgotten the first, has the same reference."""

    async def stored(ledger: Ledger) -> None:
        new = a_new_order(a_request("crm-1"))
        await ledger.intake.accept([new])
        (order,) = (await ledger.orders.read([new.order_id])).values()
        assert order.reference == derive_reference("default", "crm-1")
        assert derive_reference("default", "crm-1") != derive_reference("erp", "crm-1")

    harness.run(stored)


def test_a_restored_ledger_guards_itself_before_it_sends_anything(ledger_url: str) -> None:
    """The copy knows one order of the two. Its first connection begins the guard period, before any claim."""

    async def fallen() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            await ledger.intake.accept([a_new_order(a_request("known"))])
        copy_url = _copy(ledger_url)
        async with PostgresLedger.at(ledger_url) as ledger:
            await ledger.intake.accept([a_new_order(a_request("forgotten"))])
            assert not (await ledger.guard.read()).is_active
        async with PostgresLedger.at(copy_url) as ledger:
            period = await ledger.guard.read()
            assert period.is_active
            assert period.ends_at == (period.began_at or period.now) + GUARD_LASTS
            assert "knows nothing after" in (period.why or "")
            (alarm,) = await ledger.alarms.active(10)
            assert (alarm["what"], alarm["detail"]) == (Alarm.LEDGER_FELL_BACK, period.why)
            claimed = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=HOUR)
            assert claimed is not None
            assert [claim.order.request.key for claim in claimed.claims] == ["known"]
            assert claimed.claims[0].order.history_lost_at == claimed.guarded_since == period.began_at

    run(fallen())


def test_a_ledger_restored_from_before_the_first_worker_guards_itself(ledger_url: str) -> None:
    """A migrated ledger is known by its identity before any process has looked at it."""
    copy_url = _copy(ledger_url)

    async def restored() -> None:
        async with PostgresLedger.at(copy_url) as ledger:
            assert (await ledger.guard.read()).is_active

    run(restored())


def test_nothing_is_sent_by_a_ledger_that_was_not_recognised(ledger_url: str) -> None:
    """Behind a pooler a connection stays while the server behind it changes: the next sweep recognises that."""

    async def behind_a_pooler() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            await ledger.intake.accept([a_new_order(a_request("known"))])
            with psycopg.connect(ledger_url, autocommit=True) as db:
                db.execute("UPDATE guard SET identity = 'another server'")
            assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=HOUR) is None
            period = await ledger.guard.check(HOUR)
            assert (period.fell, period.is_active) == (True, True)
            assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=HOUR) is not None

    run(behind_a_pooler())


def test_a_heartbeat_older_than_one_seen_means_that_the_ledger_fell_back(ledger_url: str) -> None:
    """The same server and tables, put back from a snapshot of the disk while a worker lived.

    Others connect meanwhile, which have seen no heartbeat: none of them makes it look newer.
    """

    async def put_back() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            await ledger.guard.check(HOUR)
            with psycopg.connect(ledger_url, autocommit=True) as db:
                db.execute("UPDATE guard SET seen_at = now() - interval '1 minute'")
            async with PostgresLedger.at(ledger_url) as another:
                assert not (await another.guard.read()).is_active
            assert (await ledger.guard.check(HOUR)).fell
            assert not (await ledger.guard.check(HOUR)).fell

    run(put_back())


def test_orders_keep_their_ids_as_references_while_workers_of_the_release_before_may_send_them(ledger_url: str) -> None:
    """A ledger that had orders at its migration derives references from a day later."""

    async def upgraded() -> None:
        with psycopg.connect(ledger_url, autocommit=True) as db:
            db.execute("UPDATE guard SET references_from = now() + interval '1 day'")
        async with PostgresLedger.at(ledger_url) as ledger:
            order_id = OrderId(uuid7())
            await ledger.intake.accept([a_new_order(a_request("crm-1"), order_id)])
            (order,) = (await ledger.orders.read([order_id])).values()
            assert order.reference == str(order_id)

    run(upgraded())


def _copy(url: str) -> str:
    """Copy a database that nobody is connected to, and return the address of the copy."""
    info = psycopg.conninfo.conninfo_to_dict(url)
    copied = f"{info['dbname']}_{uuid7().hex}"
    with psycopg.connect(psycopg.conninfo.make_conninfo(url, dbname="postgres"), autocommit=True) as db:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        db.execute(statement.format(sql.Identifier(copied), sql.Identifier(str(info["dbname"]))))
    return psycopg.conninfo.make_conninfo(url, dbname=copied)


def test_a_session_sees_at_once_that_the_tables_are_others(ledger_url: str) -> None:
    """As after a restore into the same database; the function keeps its plan for the session."""
    with psycopg.connect(ledger_url) as db:
        before = db.execute("SELECT ledger_identity()").fetchall()
        assert db.execute("SELECT ledger_identity()").fetchall() == before
        db.execute("ALTER TABLE orders RENAME TO of_before")
        db.execute("CREATE TABLE orders (LIKE of_before)")
        assert db.execute("SELECT ledger_identity()").fetchall() != before
