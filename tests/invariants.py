"""What must be true of a ledger at any moment, whatever has happened to the processes around it."""

from typing import Final

import psycopg

INVARIANTS: Final = {
    "an unfinished order is owed exactly one next step": """
        SELECT order_id, state FROM orders
        WHERE state IN ('ACCEPTED', 'SUBMITTING', 'IN_DOUBT', 'OPEN')
          AND (SELECT count(*) FROM owed WHERE owed.order_id = orders.order_id AND lane <> 'tell') <> 1""",
    "an order at rest is owed nothing but its telling": """
        SELECT orders.order_id, state FROM orders JOIN owed USING (order_id)
        WHERE state NOT IN ('ACCEPTED', 'SUBMITTING', 'IN_DOUBT', 'OPEN') AND lane <> 'tell'
          AND NOT (lane = 'ask' AND ended_at IS NOT NULL)  -- a late look""",
    "only what was accepted is owed to be sent": """
        SELECT orders.order_id, state FROM orders JOIN owed USING (order_id)
        WHERE lane = 'submit' AND state <> 'ACCEPTED'""",
    "the story has no gaps": """
        SELECT orders.order_id, version FROM orders
        WHERE (SELECT count(*) FROM order_events AS e WHERE e.order_id = orders.order_id) <> version + 1
           OR (SELECT max(e.version) FROM order_events AS e WHERE e.order_id = orders.order_id) <> version""",
    "the story ends where the order stands": """
        SELECT orders.order_id, orders.state FROM orders
        JOIN order_events AS last ON last.order_id = orders.order_id AND last.version = orders.version
        WHERE last.state <> orders.state""",
    "final is final": """
        SELECT e.order_id FROM order_events AS e
        JOIN order_events AS next ON next.order_id = e.order_id AND next.version = e.version + 1
        WHERE e.state IN ('COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')
          AND next.state <> e.state""",
    "every acquired number is held": """
        SELECT order_id, e164 FROM order_numbers AS n
        WHERE state IN ('acquired', 'usable') AND NOT EXISTS (SELECT FROM held_numbers AS h WHERE h.e164 = n.e164)""",
    "a released number is held no more": """
        SELECT n.order_id, n.e164 FROM order_numbers AS n
        JOIN orders USING (order_id)
        JOIN held_numbers AS h ON h.e164 = n.e164 AND h.carrier = orders.carrier
        WHERE n.state = 'released' AND h.released_at IS NULL AND h.acquired_at < n.changed_at
          AND (orders.kind = 'remove_numbers' OR h.acquired_by = n.order_id)  -- a purchase loses what it has brought
          AND NOT EXISTS (
              SELECT FROM held_numbers AS before  -- released, and held again before this order said so once more
              WHERE before.e164 = n.e164 AND before.released_by = n.order_id
                AND before.released_at <= h.acquired_at)
          AND NOT EXISTS (
              SELECT FROM order_events AS ordered  -- its holder was sent for it after this order
              WHERE ordered.order_id = h.acquired_by AND ordered.event = 'SubmissionBegun' AND ordered.at > (
                  SELECT max(at) FROM order_events AS sent
                  WHERE sent.order_id = n.order_id AND sent.event = 'SubmissionBegun'))""",
    "a number is let go by an order that says so": """
        SELECT h.e164, h.released_by FROM held_numbers AS h
        WHERE h.released_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM order_numbers AS n
            WHERE n.order_id = h.released_by AND n.e164 = h.e164 AND n.state IN ('released', 'withdrawn'))
          AND NOT EXISTS (
            SELECT FROM archived_orders AS a, jsonb_populate_recordset(NULL::order_numbers, a.numbers) AS n
            WHERE a.order_id = h.released_by AND n.e164 = h.e164 AND n.state IN ('released', 'withdrawn'))""",
    "what is untold is owed": """
        SELECT order_id FROM tellings
        WHERE told_at IS NULL AND gave_up_at IS NULL
          AND NOT EXISTS (SELECT FROM owed WHERE owed.order_id = tellings.order_id AND lane = 'tell')
          AND NOT (channel = 'url' AND EXISTS (
              SELECT FROM webhook_deliveries AS queued WHERE queued.order_id = tellings.order_id))""",
}


def broken_promises(url: str) -> list[str]:
    """Return every broken invariant with its first few rows; empty when all is well."""
    broken = []
    with psycopg.connect(url) as connection:
        for promise, query in INVARIANTS.items():
            rows = connection.execute(query.encode()).fetchmany(5)
            if rows:
                broken.append(f"{promise}: {rows}")
    return broken
