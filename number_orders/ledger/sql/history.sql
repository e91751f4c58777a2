-- name: story_of
SELECT version, at, event, state, late, detail FROM order_events WHERE order_id = %(order_id)s
UNION ALL
SELECT event.version, event.at, event.event, event.state, event.late, event.detail
FROM archived_orders AS archived, LATERAL jsonb_populate_recordset(NULL::order_events, events) AS event
WHERE archived.order_id = %(order_id)s AND removed_at IS NOT NULL
ORDER BY version;

-- name: news_of
-- The events of some orders, of each those after a version.
WITH watched AS (
    SELECT * FROM unnest(%(order_ids)s::uuid[], %(versions)s::integer[]) AS watched (order_id, version)
)
SELECT watched.order_id, event.version, at, event, state, late, detail
FROM watched JOIN order_events AS event ON event.order_id = watched.order_id AND event.version > watched.version
UNION ALL
SELECT watched.order_id, event.version, event.at, event.event, event.state, event.late, event.detail
FROM watched JOIN archived_orders AS archived ON archived.order_id = watched.order_id AND archived.removed_at IS NOT NULL,
LATERAL jsonb_populate_recordset(NULL::order_events, archived.events) AS event
WHERE event.version > watched.version
ORDER BY order_id, version;

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
-- In the order in which they were given, however the statement is planned. Of an order that a ledger which fell back in
-- time has forgotten, nothing is kept.
INSERT INTO receipts (order_id, request, status, trouble, sent, answer, elapsed_ms)
SELECT order_id, request, status, trouble, sent, answer, elapsed_ms
FROM ROWS FROM (jsonb_to_recordset(%(receipts)s) AS (
    order_id uuid, request text, status integer, trouble text, sent text, answer text, elapsed_ms integer)
) WITH ORDINALITY AS receipt (order_id, request, status, trouble, sent, answer, elapsed_ms, place)
WHERE EXISTS (SELECT FROM orders WHERE orders.order_id = receipt.order_id)
ORDER BY place;

-- name: receipts_of
-- The newest `limit`; null: all.
SELECT at, request, status, trouble, sent, answer, elapsed_ms FROM (
    SELECT * FROM receipts WHERE order_id = %(order_id)s ORDER BY receipt_id DESC LIMIT %(limit)s::bigint
) AS latest ORDER BY receipt_id;

-- name: forget_receipts
-- Deletes a limited number at once, to stay below the statement timeout.
WITH old AS (
    SELECT receipt_id FROM receipts WHERE at < now() - %(older_than)s ORDER BY at LIMIT %(at_once)s
), forgotten AS (
    DELETE FROM receipts USING old WHERE receipts.receipt_id = old.receipt_id RETURNING receipts.receipt_id
)
SELECT count(*) AS forgotten FROM forgotten;
