-- name: accept_orders
-- Store new orders, each with its first event, its work items and perhaps a document for its producer: one statement for
-- one order or five hundred. Orders whose key or id is taken are left out; `find_taken` returns whose it is.
WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(orders)s) AS i (
        order_id uuid, producer text, key text, fingerprint text, reference text, carrier text, kind text, account text,
        request jsonb, reason text, not_before timestamptz, notification jsonb, channels text[])
), accepted AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, reference, history_lost_at, carrier, kind, account, request, reason, state, version)
    SELECT order_id, producer, key, decode(fingerprint, 'hex'),
           CASE WHEN (SELECT references_from <= now() FROM guard) THEN reference END,
           (SELECT began_at FROM guard WHERE ends_at > now()),  -- its key may have been accepted before, and forgotten
           carrier, kind, account, request, reason, 'ACCEPTED', 0
    FROM input
    ORDER BY producer, key  -- two batches with the same keys take them in one order, so they cannot deadlock
    ON CONFLICT DO NOTHING
    RETURNING order_id, reference
), new_events AS (
    INSERT INTO order_events (order_id, version, event, state)
    SELECT order_id, 0, 'OrderAccepted', 'ACCEPTED' FROM accepted
), new_work AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before, reason)
    SELECT order_id, 'submit', carrier, kind, greatest(not_before, now()), reason FROM input JOIN accepted USING (order_id)
    UNION ALL
    SELECT order_id, 'tell', carrier, kind, now(), NULL FROM input JOIN accepted USING (order_id) WHERE notification IS NOT NULL
), new_messages AS (
    INSERT INTO tellings (order_id, version, channel, document)
    -- The format of moments is that of number_orders/orders/document.py, with all six decimals.
    SELECT order_id, 0, channel, notification || jsonb_build_object(
               'accepted_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
               'reference', coalesce(accepted.reference, order_id::text))
    FROM input JOIN accepted USING (order_id), unnest(channels) AS channel
    WHERE notification IS NOT NULL
)
SELECT order_id FROM accepted;

-- name: find_taken
-- The orders that have one of these ids, or one of these pairs of producer and key. A ticket for an order that was there
-- already waits for the standby as well, if commits are synchronous: the message makes this a transaction that commits.
SELECT order_id, producer, key, fingerprint, state
FROM (SELECT pg_logical_emit_message(true, 'number-orders', '')) AS written, orders
WHERE order_id = ANY(%(order_ids)s)
   OR (producer, key) IN (SELECT * FROM unnest(%(producers)s::text[], %(keys)s::text[]));
