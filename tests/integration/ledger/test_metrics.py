"""One statement reads every figure; what it reads is what the ledger has."""

import asyncio

import psycopg
import pytest

from number_orders.ledger.ledger import PostgresLedger
from number_orders.ledger.metrics import Figure
from number_orders.receiver.metrics import FIGURES

SET_UP = """
INSERT INTO lanes (carrier, lane) VALUES ('swift', 'submit'), ('swift', 'ask');
INSERT INTO pauses (carrier, lane, paused_by, why) VALUES ('swift', 'ask', 'ann', 'a test');
INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state, accepted_at, ended_at)
SELECT gen_random_uuid(), 'crm', state || n, '', 'swift', 'new_numbers', '{}', state, now() - '2 h'::interval * n,
       CASE state WHEN 'FAILED' THEN now() END
FROM unnest('{ACCEPTED,PARKED,FAILED}'::text[]) AS state, generate_series(1, 2) AS n;
INSERT INTO owed (order_id, lane, carrier, not_before, kind)
SELECT order_id, 'submit', carrier, CASE key WHEN 'ACCEPTED1' THEN now() - '90 s'::interval ELSE now() + '1 h' END, kind
FROM orders WHERE state = 'ACCEPTED';
INSERT INTO breakers (carrier, held_until, opened_at) VALUES ('swift', now() + '1 min', now());
INSERT INTO budgets (carrier, limit_group, paused_until) VALUES ('swift', 'ALL', now() + '1 min');
INSERT INTO alarms (what, subject) VALUES ('overdue', 'a'), ('overdue', 'b');
INSERT INTO alarms (what, subject, cleared_at) VALUES ('bought_twice', 'a', now());
INSERT INTO allowances (producer, carrier, span, numbers_max, began_at, taken)
VALUES ('crm', '', 'hour', 1000, now() - '10 min'::interval, 40), ('crm', '', 'day', NULL, now() - '2 d'::interval, 9);
"""


def test_every_figure_is_read(ledger_url: str) -> None:
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute(SET_UP)

    async def read() -> list[Figure]:
        async with PostgresLedger.at(ledger_url, connections_max=1) as ledger:
            return await ledger.metrics.read()

    figures = asyncio.run(read())
    found = {(figure.name, *figure.labels): figure.value for figure in figures}
    assert {figure.name for figure in figures} == set(FIGURES)
    assert all(len(figure.labels) == len(FIGURES[figure.name].labels) for figure in figures)
    assert found["orders", "swift", "ACCEPTED"] == found["orders", "swift", "PARKED"] == 2
    assert ("orders", "swift", "FAILED") not in found
    assert 4 * 3600 <= found["oldest_order_seconds", "swift", "ACCEPTED"] < 4 * 3600 + 600
    assert found["lane_work_items", "swift", "submit"] == 2
    assert (found["lane_due", "swift", "submit"], found["lane_due", "swift", "ask"]) == (1, 0)
    assert 90 <= found["lane_late_seconds", "swift", "submit"] < 600
    assert (found["lane_paused", "swift", "ask"], found["lane_paused", "swift", "submit"]) == (1, 0)
    assert found["breaker_open", "swift"] == found["limit_paused", "swift", "ALL"] == 1
    assert (found["alarms", "overdue"], ("alarms", "bought_twice") in found) == (2, False)
    assert (found["budget_numbers_taken", "crm", "hour"], found["budget_numbers_max", "crm", "hour"]) == (40, 1000)
    assert found["budget_numbers_taken", "crm", "day"] == 0  # the day is over
    assert found["lane_waits_for_worker_seconds", "swift", "submit"] == 0, "the breaker is open"
    with psycopg.connect(ledger_url, autocommit=True) as db:  # what breaks promises was for this test alone
        db.execute("TRUNCATE orders CASCADE; TRUNCATE allowances")


@pytest.mark.parametrize(
    ("hold", "is_held"),
    [
        ("SELECT", False),
        ("INSERT INTO pauses (carrier, lane, paused_by, why) VALUES ('swift', 'submit', 'ann', 'a test')", True),
        ("INSERT INTO pauses (carrier, lane, paused_by, why) VALUES ('swift', 'ask', 'ann', 'a test')", False),
        ("UPDATE breakers SET held_until = now() + '1 min'", True),
        ("UPDATE breakers SET held_until = now() - '1 min'::interval", True),  # one order at a time is tried
        ("UPDATE budgets SET paused_until = now() + '1 min'", True),
        ("UPDATE budgets SET per_second = 1, spacing = '1 s', next_at = now() + '1 min'", True),
        ("UPDATE budgets SET per_second = 1, spacing = '1 s', next_at = now() - '1 min'::interval", False),
    ],
)
def test_only_work_that_a_worker_could_take_calls_for_workers(ledger_url: str, hold: str, *, is_held: bool) -> None:
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute(
            """
            INSERT INTO lanes (carrier, lane) VALUES ('swift', 'submit'), ('swift', 'ask');
            INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state)
            SELECT gen_random_uuid(), 'crm', 'one', '', 'swift', 'new_numbers', '{}', 'ACCEPTED';
            INSERT INTO owed (order_id, lane, carrier, not_before, kind)
            SELECT order_id, 'submit', carrier, now() - '90 s'::interval, kind FROM orders;
            INSERT INTO breakers (carrier) VALUES ('swift');
            INSERT INTO budgets (carrier, limit_group) VALUES ('swift', 'ALL');
            INSERT INTO draws (carrier, lane, kind, limit_group) VALUES ('swift', 'submit', 'new_numbers', 'ALL');
            """
        )
        db.execute(hold.encode())

        async def read() -> list[Figure]:
            async with PostgresLedger.at(ledger_url, connections_max=1) as ledger:
                return await ledger.metrics.read()

        found = {(figure.name, *figure.labels): figure.value for figure in asyncio.run(read())}
        db.execute("TRUNCATE orders CASCADE")
    assert 90 <= found["lane_late_seconds", "swift", "submit"] < 600
    assert (found["lane_waits_for_worker_seconds", "swift", "submit"] == 0) is is_held
    assert found["lane_waits_for_worker_seconds", "swift", "ask"] == 0
