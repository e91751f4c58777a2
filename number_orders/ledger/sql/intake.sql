-- part: input
    SELECT * FROM jsonb_to_recordset(%(orders)s) AS i (
        position integer, order_id uuid, producer text, key text, fingerprint text, reference text, carrier text, kind text, account text,
        numbers integer, request jsonb, reason text, not_before timestamptz, notification jsonb, parked_notification jsonb, channels text[],
        is_proven boolean, trace_parent text)

-- part: unknown_to_archive
      -- Keys are for ever. LIMIT keeps the planner from reading the archive at once.
      (SELECT true FROM archived_orders AS known WHERE known.producer = input.producer AND known.key = input.key LIMIT 1) IS NULL
      AND (SELECT true FROM archived_orders AS known WHERE known.order_id = input.order_id LIMIT 1) IS NULL

-- part: store
), new_events AS (
    INSERT INTO order_events (order_id, version, event, state, detail)
    SELECT order_id, 0, 'OrderAccepted', 'ACCEPTED', '{}' FROM accepted
    UNION ALL
    SELECT order_id, 1, 'Parked', 'PARKED', jsonb_build_object('reason', reason) FROM accepted WHERE state = 'PARKED'
), new_work AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before, reason)
    SELECT order_id, 'submit', carrier, kind, greatest(not_before, now()), input.reason
    FROM input JOIN accepted USING (order_id) WHERE state = 'ACCEPTED'
    UNION ALL
    SELECT order_id, 'tell', carrier, kind, now(), NULL
    FROM input JOIN accepted USING (order_id)
    WHERE coalesce(notification, parked_notification) IS NOT NULL AND (notification IS NOT NULL OR state = 'PARKED')
), new_messages AS (
    INSERT INTO tellings (order_id, version, channel, document)
    -- The format of moments is that of number_orders/orders/document.py, with all six decimals.
    SELECT order_id, version, channel, document || jsonb_build_object(
               'accepted_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
               'reference', coalesce(accepted.reference, order_id::text))
    FROM input JOIN accepted USING (order_id), LATERAL (
        SELECT 0, notification
        UNION ALL
        SELECT 1, parked_notification || jsonb_build_object('reason', accepted.reason) WHERE accepted.state = 'PARKED'
    ) AS message (version, document), unnest(channels) AS channel
    WHERE coalesce(notification, parked_notification) IS NOT NULL AND document IS NOT NULL
)

-- name: accept_orders
-- Store new orders, each with its first event, its work items and perhaps a document for its producer: one statement for
-- one order or five hundred. Orders whose key or id is taken are left out; `find_taken` returns whose it is.
-- Each takes its numbers from its producer's allowances. Intakes of one producer wait for each other at its rows in
-- `allowances`, so no two take the same numbers. If an allowance does not suffice for all, has not begun, or has corrections
-- to be counted, nothing is stored, and `accept_orders_in_turn` must be used, which costs a third more.
WITH input AS MATERIALIZED (
-- include: input
), asked AS MATERIALIZED (
    SELECT producer, carrier, sum(numbers) AS numbers, max(numbers) AS most FROM input WHERE numbers > 0 GROUP BY producer, carrier
), locked AS MATERIALIZED (
    SELECT producer, carrier, span, taken, CASE WHEN is_default THEN %(numbers_per_hour)s::integer ELSE numbers_max END AS numbers_max,
           span = 'order' OR began_at + CASE WHEN span <> 'order' THEN '1 ' || span END::interval > now() AS has_begun
    FROM allowances
    WHERE producer IN (SELECT producer FROM asked)
      AND CASE WHEN is_default THEN %(numbers_per_hour)s::integer ELSE numbers_max END IS NOT NULL
    ORDER BY producer, carrier, span  -- all lock in this order, so that none can deadlock
    FOR UPDATE
), checked AS MATERIALIZED (
    SELECT NOT EXISTS (
               SELECT FROM asked
               WHERE %(numbers_per_hour)s::integer IS NOT NULL AND NOT EXISTS (
                   SELECT FROM allowances WHERE allowances.producer = asked.producer AND carrier = '' AND span = 'hour'))
       AND NOT EXISTS (
               SELECT FROM locked
               WHERE NOT has_begun OR numbers_max < (
                   SELECT CASE WHEN span = 'order' THEN max(most) ELSE locked.taken + sum(numbers) END FROM asked
                   WHERE asked.producer = locked.producer AND locked.carrier IN ('', asked.carrier)))
       AND NOT EXISTS (SELECT FROM allowance_corrections WHERE producer IN (SELECT producer FROM locked)) AS all_fit
), accepted AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, reference, history_lost_at, carrier, kind, account, request, reason, state, version, charged_at,
                        is_proven, trace_parent)
    SELECT order_id, producer, key, decode(fingerprint, 'hex'),
           CASE WHEN (SELECT references_from <= now() FROM guard) THEN reference END,
           (SELECT began_at FROM guard WHERE ends_at > now()),  -- its key may have been accepted before, and forgotten
           carrier, kind, account, request, reason, 'ACCEPTED', 0,
           CASE WHEN numbers > 0 AND producer IN (SELECT producer FROM locked) THEN clock_timestamp() END,
           nullif(is_proven, false), trace_parent
    FROM input
    WHERE (SELECT all_fit FROM checked)
      AND
-- include: unknown_to_archive
    ORDER BY producer, key, position  -- two batches with the same keys take them in one order, so they cannot deadlock
    ON CONFLICT DO NOTHING
    RETURNING order_id, reference, state, reason, charged_at
), bought AS MATERIALIZED (
    SELECT producer, carrier, sum(numbers) AS numbers FROM input JOIN accepted USING (order_id) WHERE charged_at IS NOT NULL
    GROUP BY producer, carrier
), charged AS (
    UPDATE allowances SET taken = allowances.taken + (
        SELECT sum(numbers) FROM bought WHERE bought.producer = locked.producer AND locked.carrier IN ('', bought.carrier))
    FROM locked
    WHERE allowances.producer = locked.producer AND allowances.carrier = locked.carrier AND allowances.span = locked.span
      AND locked.span <> 'order'
      AND EXISTS (SELECT FROM bought WHERE bought.producer = locked.producer AND locked.carrier IN ('', bought.carrier))
-- include: store
SELECT order_id, state AS outcome, NULL AS why FROM accepted
UNION ALL
SELECT order_id, 'IN_TURN', NULL FROM input WHERE NOT (SELECT all_fit FROM checked);

-- name: accept_orders_in_turn
-- The same where an allowance may not suffice for all: each order takes its numbers in its turn. Above an allowance it is
-- refused, or stored as PARKED.
WITH RECURSIVE input AS MATERIALIZED (
-- include: input
), asked AS MATERIALIZED (
    -- Producers that order for the first time have no row to lock yet: `open_allowances` adds it.
    SELECT producer, carrier, sum(numbers) AS numbers, max(numbers) AS most,
           %(numbers_per_hour)s::integer IS NULL OR EXISTS (
               SELECT FROM allowances WHERE allowances.producer = input.producer AND carrier = '' AND span = 'hour') AS is_open
    FROM input WHERE numbers > 0 GROUP BY producer, carrier
), locked AS MATERIALIZED (
    SELECT producer, carrier, span, above, is_default, began_at, taken, CASE WHEN span <> 'order' THEN '1 ' || span END::interval AS lasts,
           CASE WHEN is_default THEN %(numbers_per_hour)s::integer ELSE numbers_max END AS numbers_max
    FROM allowances
    WHERE producer IN (SELECT producer FROM asked)
      AND CASE WHEN is_default THEN %(numbers_per_hour)s::integer ELSE numbers_max END IS NOT NULL
    ORDER BY producer, carrier, span  -- all lock in this order, so that none can deadlock
    FOR UPDATE
), corrections AS MATERIALIZED (
    -- Only the holder of the producer's rows deletes these, so each is counted once.
    DELETE FROM allowance_corrections WHERE producer IN (SELECT producer FROM locked)
    RETURNING producer, carrier, charged_at, numbers
), begun AS (
    -- An hour or day begins with its first order, here or approved by an operator, once the one before is over.
    SELECT locked.*, CASE WHEN began_at + lasts > now() THEN began_at ELSE coalesce((
               SELECT min(charged_at) FROM corrections
               WHERE corrections.producer = locked.producer AND locked.carrier IN ('', corrections.carrier) AND numbers > 0
                 AND charged_at >= greatest(locked.began_at, now() - lasts)), now()) END AS begins_at
    FROM locked OFFSET 0
), spent AS MATERIALIZED (
    SELECT (row_number() OVER (ORDER BY producer, carrier, span))::integer AS slot, producer, carrier, span, above, is_default, numbers_max,
           begins_at, lasts, CASE WHEN span = 'order' THEN 0 ELSE greatest(0,
               CASE WHEN begins_at = began_at THEN taken ELSE 0 END + coalesce((
                   SELECT sum(numbers) FROM corrections
                   WHERE corrections.producer = begun.producer AND begun.carrier IN ('', corrections.carrier)
                     AND charged_at >= begins_at), 0)) END AS taken
    FROM begun
), checked AS MATERIALIZED (
    -- Nearly always everything fits, and no order need be looked at by itself.
    SELECT NOT EXISTS (
        SELECT FROM spent
        WHERE numbers_max < taken + (
            SELECT coalesce(CASE WHEN span = 'order' THEN max(most) ELSE sum(numbers) END, 0) FROM asked
            WHERE asked.producer = spent.producer AND spent.carrier IN ('', asked.carrier))) AS all_fit
), draw AS MATERIALIZED (
    -- The orders in their sequence, each with the allowances that it draws on. One that is known takes nothing again.
    SELECT row_number() OVER (ORDER BY position) AS turn, order_id, numbers,
           CASE WHEN count(*) OVER (PARTITION BY producer, key) > 1 THEN dense_rank() OVER (ORDER BY producer, key) END AS repeated,
           ARRAY(SELECT slot FROM spent WHERE spent.producer = input.producer AND spent.carrier IN ('', input.carrier)) AS slots
    FROM input
    WHERE NOT (SELECT all_fit FROM checked) AND numbers > 0
      -- LIMIT keeps the planner from reading all orders at once.
      AND (SELECT true FROM orders WHERE orders.producer = input.producer AND orders.key = input.key LIMIT 1) IS NULL
      AND
-- include: unknown_to_archive
), walk (turn, order_id, free, stored, above, why) AS (
    -- One after the other: an order that fits takes its numbers, one that does not leaves them to those behind it. A key
    -- that comes again takes nothing, if the order before is stored.
    SELECT 0::bigint, NULL::uuid, ARRAY(SELECT numbers_max - taken FROM spent WHERE NOT (SELECT all_fit FROM checked) ORDER BY slot),
           ARRAY[]::bigint[], NULL::text, NULL::text
    UNION ALL
    SELECT draw.turn, draw.order_id,
           CASE WHEN exceeded.above IS NOT NULL OR repeated = ANY(stored) THEN free
                ELSE ARRAY(SELECT CASE WHEN slot = ANY(slots) AND span <> 'order' THEN free[slot] - numbers ELSE free[slot] END
                           FROM spent ORDER BY slot) END,
           CASE WHEN repeated IS NULL OR exceeded.above = 'refuse' THEN stored ELSE stored || repeated END,
           exceeded.above, exceeded.why
    FROM walk
    JOIN draw ON draw.turn = walk.turn + 1
    LEFT JOIN LATERAL (
        SELECT above, CASE WHEN span = 'order' THEN format('%%s numbers are more than %%s, the most in an order%%s', numbers, numbers_max, at)
                      ELSE format('%%s numbers are more than the %%s left of %%s per %%s%%s until %%s UTC%%s', numbers, greatest(free[slot], 0),
                                  numbers_max, span, at, to_char(begins_at + lasts, 'YYYY-MM-DD HH24:MI'),
                                  CASE WHEN is_default THEN ', the limit of producers for whom nobody has set one' END) END AS why
        FROM spent, LATERAL (SELECT CASE WHEN carrier <> '' THEN ' at ' || carrier END AS at) AS place
        WHERE slot = ANY(slots) AND numbers > free[slot] AND repeated = ANY(stored) IS NOT TRUE
        ORDER BY above = 'park', span = 'order' DESC, carrier, span
        LIMIT 1
    ) AS exceeded ON true
), accepted AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, reference, history_lost_at, carrier, kind, account, request, reason, state, version, charged_at,
                        is_proven, trace_parent)
    SELECT order_id, producer, key, decode(fingerprint, 'hex'),
           CASE WHEN (SELECT references_from <= now() FROM guard) THEN reference END,
           (SELECT began_at FROM guard WHERE ends_at > now()),  -- its key may have been accepted before, and forgotten
           carrier, kind, account, request, coalesce('budget: ' || why, reason),
           CASE WHEN above IS NULL THEN 'ACCEPTED' ELSE 'PARKED' END, (above IS NOT NULL)::integer,
           CASE WHEN numbers > 0 AND above IS NULL AND producer IN (SELECT producer FROM locked) THEN clock_timestamp() END,
           nullif(is_proven, false), trace_parent
    FROM input LEFT JOIN walk USING (order_id)
    WHERE above IS DISTINCT FROM 'refuse' AND NOT (numbers > 0 AND producer IN (SELECT producer FROM asked WHERE NOT is_open))
      AND
-- include: unknown_to_archive
    ORDER BY producer, key, position  -- two batches with the same keys take them in one order, so they cannot deadlock
    ON CONFLICT DO NOTHING
    RETURNING order_id, reference, state, reason, charged_at
), bought AS MATERIALIZED (
    SELECT producer, carrier, sum(numbers) AS numbers FROM input JOIN accepted USING (order_id) WHERE charged_at IS NOT NULL
    GROUP BY producer, carrier
), charged AS (
    UPDATE allowances SET began_at = begins_at, taken = spent.taken + coalesce((
        SELECT sum(numbers) FROM bought WHERE bought.producer = spent.producer AND spent.carrier IN ('', bought.carrier)), 0)
    FROM spent
    WHERE allowances.producer = spent.producer AND allowances.carrier = spent.carrier AND allowances.span = spent.span AND spent.span <> 'order'
-- include: store
SELECT order_id, state AS outcome, NULL AS why FROM accepted
UNION ALL
SELECT order_id, 'REFUSED', why FROM walk WHERE above = 'refuse'
UNION ALL
SELECT order_id, 'UNOPENED', NULL FROM input WHERE numbers > 0 AND producer IN (SELECT producer FROM asked WHERE NOT is_open);

-- name: find_taken
-- The orders that have one of these ids, or one of these pairs of producer and key. A ticket for an order that was there
-- already waits for the standby as well, if commits are synchronous: the message makes this a transaction that commits.
SELECT order_id, producer, key, fingerprint, state
FROM (SELECT pg_logical_emit_message(true, 'number-orders', '')) AS written, orders
WHERE order_id = ANY(%(order_ids)s)
   OR (producer, key) IN (SELECT * FROM unnest(%(producers)s::text[], %(keys)s::text[]))
UNION ALL
SELECT order_id, producer, key, fingerprint, state
FROM (SELECT pg_logical_emit_message(true, 'number-orders', '')) AS written, archived_orders
WHERE removed_at IS NOT NULL AND (order_id = ANY(%(order_ids)s)
   OR (producer, key) IN (SELECT * FROM unnest(%(producers)s::text[], %(keys)s::text[])));
