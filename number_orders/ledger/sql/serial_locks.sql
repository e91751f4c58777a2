-- name: take_serial_locks
-- Each lock goes to one order. An order that has it takes it again; otherwise the oldest that wants it gets it, if it is
-- free. The lock of an order that has ended is free: a worker may have taken it for an order that had just ended.
INSERT INTO turns (carrier, serial_key, order_id)
SELECT DISTINCT ON (wanted.serial_key) %(carrier)s, wanted.serial_key, wanted.order_id
FROM jsonb_to_recordset(%(wanted)s) AS wanted (serial_key text, order_id uuid)
JOIN orders USING (order_id)  -- a ledger that fell back in time may have forgotten it
LEFT JOIN turns AS held ON held.carrier = %(carrier)s AND held.serial_key = wanted.serial_key
ORDER BY wanted.serial_key, held.order_id IS DISTINCT FROM wanted.order_id, wanted.order_id
ON CONFLICT (carrier, serial_key) DO UPDATE
SET order_id = excluded.order_id,
    since = CASE WHEN turns.order_id = excluded.order_id THEN turns.since ELSE excluded.since END
WHERE turns.order_id = excluded.order_id
   OR EXISTS (SELECT FROM orders WHERE orders.order_id = turns.order_id AND orders.ended_at IS NOT NULL)
RETURNING order_id;

-- name: wait_for_serial_locks
-- Give claims back until the locks are free, and with them the locks that these orders got: an order has all or none, but
-- for the numbers of one that was in doubt, which stay its own (`record_steps`). The
-- step that releases a lock wakes the order (`record_steps`); `not_before` is for the case that nobody does. If the locks
-- became free between the two statements, the order is due at once.
WITH waiting AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(waiting)s) AS waiting (serial_key text, order_id uuid)
), missing AS MATERIALIZED (
    SELECT DISTINCT ON (waiting.order_id) waiting.order_id, waiting.serial_key, turns.order_id AS holder
    FROM waiting
    LEFT JOIN turns ON turns.carrier = %(carrier)s AND turns.serial_key = waiting.serial_key
                   AND turns.order_id <> waiting.order_id
    ORDER BY waiting.order_id, turns.order_id IS NULL, waiting.serial_key
), given_back AS (
    DELETE FROM turns USING waiting JOIN orders USING (order_id)
    WHERE turns.carrier = %(carrier)s AND turns.serial_key = waiting.serial_key AND turns.order_id = waiting.order_id
      AND (turns.serial_key NOT LIKE 'number +%%' OR (orders.losses = 0 AND orders.doubt_since IS NULL))
)
UPDATE owed SET lease_token = NULL, attempts = attempts - 1, serial_key = missing.serial_key,
                reason = 'waits for order ' || missing.holder || CASE
                    WHEN missing.serial_key LIKE 'number +%%' THEN ', which is about the same number ' || substr(missing.serial_key, 8)
                    ELSE ': they could not be told apart at the carrier' END,
                not_before = now() + CASE WHEN missing.holder IS NULL THEN '0'::interval ELSE %(at_most)s END
FROM missing
WHERE owed.order_id = missing.order_id AND owed.lane = 'submit' AND owed.lease_token = %(token)s;

-- name: has_serial_lock
SELECT EXISTS (SELECT FROM turns WHERE order_id = %(order_id)s AND serial_key NOT LIKE 'number +%%') AS has_serial_lock;

-- name: held_serial_locks
-- Locks at one carrier that a parked order has, or any unfinished order for long; with how many orders wait, and since when.
SELECT now() AS now, turns.serial_key, turns.order_id, turns.since, orders.state, queue.orders AS waiting, queue.since AS waiting_since
FROM turns JOIN orders USING (order_id), LATERAL (
    SELECT count(*) AS orders, min(waiting.accepted_at) AS since
    FROM owed JOIN orders AS waiting USING (order_id)
    WHERE owed.carrier = turns.carrier AND owed.serial_key = turns.serial_key) AS queue
WHERE turns.carrier = %(carrier)s AND orders.ended_at IS NULL
  AND (orders.state = 'PARKED' OR turns.since < now() - %(patience)s)
ORDER BY turns.serial_key;
