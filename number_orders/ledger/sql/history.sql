-- name: story_of
SELECT version, at, event, state, late, detail FROM order_events WHERE order_id = %(order_id)s ORDER BY version;

-- name: news_of
-- The events of some orders, of each those after a version.
SELECT watched.order_id, event.version, at, event, state, late, detail
FROM unnest(%(order_ids)s::uuid[], %(versions)s::integer[]) AS watched (order_id, version)
JOIN order_events AS event ON event.order_id = watched.order_id AND event.version > watched.version
ORDER BY watched.order_id, event.version;

-- name: trying_since
-- When the present series of failed attempts to send an order began. Every event outside `no_progress` ends a series.
SELECT min(at) AS since FROM order_events
WHERE order_id = %(order_id)s AND version > (
    SELECT max(version) FROM order_events
    WHERE order_id = %(order_id)s AND event <> ALL(%(no_progress)s));

-- name: due_since
-- When an order was first to be worked on: after the moment that its producer wished, and after the first time that a
-- carrier's rule made it wait. Later waits do not count.
SELECT greatest(accepted_at, (request ->> 'not_before')::timestamptz, (
    SELECT (detail ->> 'not_before')::timestamptz FROM order_events
    WHERE order_events.order_id = orders.order_id AND event = ANY(%(held_back)s) ORDER BY version LIMIT 1)) AS since
FROM orders WHERE order_id = %(order_id)s;

-- name: last_moves
-- The last event that moved each order. Late news and reminders move nothing.
SELECT DISTINCT ON (order_id) order_id, event FROM order_events
WHERE order_id = ANY(%(order_ids)s) AND NOT late AND event <> ALL(%(reminders)s)
ORDER BY order_id, version DESC;

-- name: keep_receipts
-- Of an order that a ledger which fell back in time has forgotten, nothing is kept.
INSERT INTO receipts (order_id, request, status, trouble, sent, answer, elapsed_ms)
SELECT order_id, request, status, trouble, sent, answer, elapsed_ms
FROM jsonb_to_recordset(%(receipts)s) AS receipt (
    order_id uuid, request text, status integer, trouble text, sent text, answer text, elapsed_ms integer)
WHERE EXISTS (SELECT FROM orders WHERE orders.order_id = receipt.order_id);

-- name: receipts_of
SELECT at, request, status, trouble, sent, answer, elapsed_ms
FROM receipts WHERE order_id = %(order_id)s ORDER BY receipt_id;

-- name: forget_receipts
-- Deletes a limited number at once, to stay below the statement timeout.
WITH old AS (
    SELECT receipt_id FROM receipts WHERE at < now() - %(older_than)s ORDER BY at LIMIT %(at_once)s
), forgotten AS (
    DELETE FROM receipts USING old WHERE receipts.receipt_id = old.receipt_id RETURNING receipts.receipt_id
)
SELECT count(*) AS forgotten FROM forgotten;
