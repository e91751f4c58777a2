-- name: accept_orders
-- One statement for one order or five hundred: the orders, the first line of their stories, what they are owed.
-- Rows whose key or id is taken are left out, and asked for by `find_taken`.
WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(orders)s) AS i (
        order_id uuid, producer text, key text, fingerprint text, carrier text, kind text, account text,
        request jsonb, reason text, not_before timestamptz, notification jsonb, channels text[])
), accepted AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, account, request, reason, state, version)
    SELECT order_id, producer, key, decode(fingerprint, 'hex'), carrier, kind, account, request, reason, 'ACCEPTED', 0
    FROM input
    ORDER BY producer, key  -- the same batch sent twice at once takes its keys in one order, or the two would block each other
    ON CONFLICT DO NOTHING
    RETURNING order_id
), story AS (
    INSERT INTO order_events (order_id, version, event, state)
    SELECT order_id, 0, 'OrderAccepted', 'ACCEPTED' FROM accepted
), owing AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before, reason)
    SELECT order_id, 'submit', carrier, kind, greatest(not_before, now()), reason FROM input JOIN accepted USING (order_id)
    UNION ALL
    SELECT order_id, 'tell', carrier, kind, now(), NULL FROM input JOIN accepted USING (order_id) WHERE notification IS NOT NULL
), telling AS (
    INSERT INTO tellings (order_id, version, channel, document)
    -- Moments are written as number_orders/orders/document.py writes them, to the last digit.
    SELECT order_id, 0, channel, notification || jsonb_build_object('accepted_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
    FROM input JOIN accepted USING (order_id), unnest(channels) AS channel
    WHERE notification IS NOT NULL
)
SELECT order_id FROM accepted;

-- name: find_taken
SELECT order_id, producer, key, fingerprint, state
FROM orders
WHERE order_id = ANY(%(order_ids)s)
   OR (producer, key) IN (SELECT * FROM unnest(%(producers)s::text[], %(keys)s::text[]));
