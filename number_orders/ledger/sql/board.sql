-- What the board shows. Each statement looks at a limited number of rows, however many orders have ended or wait. Ends and
-- parked orders are found by their events (index `events_to_ends`): an index of orders by state would make every step of
-- every order dearer.

-- name: board_unfinished
-- How many of the oldest unfinished orders are in each state at each carrier.
SELECT carrier, state, count(*) AS orders
FROM (SELECT carrier, state FROM orders WHERE ended_at IS NULL ORDER BY accepted_at LIMIT %(at_most)s) AS oldest
GROUP BY carrier, state;

-- name: board_oldest
-- The orders that wait longest, without those that wait for a person, or for the moment that their producer wished.
SELECT now() AS now, oldest.* FROM (
    SELECT * FROM orders WHERE ended_at IS NULL ORDER BY accepted_at LIMIT %(looked_at)s
) AS oldest
WHERE state <> 'PARKED' AND NOT (state = 'ACCEPTED' AND coalesce((request ->> 'not_before')::timestamptz > now(), false))
ORDER BY accepted_at LIMIT %(limit)s;

-- name: board_parked
-- The parked orders, the longest parked first.
SELECT now() AS now, orders.*, parked.parked_at
FROM (
    SELECT order_id, max(at) AS parked_at
    FROM (
        SELECT order_id, at FROM order_events
        WHERE state = 'PARKED' AND NOT late ORDER BY at DESC LIMIT %(looked_at)s
    ) AS latest
    GROUP BY order_id
) AS parked
JOIN orders ON orders.order_id = parked.order_id AND orders.state = 'PARKED'
ORDER BY parked_at LIMIT %(limit)s;

-- name: board_overdue
-- The unfinished orders that have an overdue alarm, the oldest first.
SELECT now() AS now, orders.*, alarms.detail AS overdue_why
FROM alarms JOIN orders ON orders.order_id = alarms.order_id
WHERE alarms.cleared_at IS NULL AND alarms.what = %(what)s AND orders.ended_at IS NULL AND orders.state <> 'PARKED'
ORDER BY orders.accepted_at LIMIT %(limit)s;

-- part: latest_ends
-- The latest events that ended orders: of each end at most `at_most`. The list of states is that of the index.
FROM unnest(ARRAY['COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED']) AS ended (state)
CROSS JOIN LATERAL (
    SELECT order_id, at, event FROM order_events
    WHERE order_events.state = ended.state AND NOT late
      AND order_events.state IN ('PARKED', 'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')
      AND at >= now() - %(since)s
    ORDER BY at DESC LIMIT %(at_most)s
) AS latest

-- name: board_ends
-- How many orders have ended in each span of time, by their end; of each end at most `at_most` of the newest.
SELECT ended.state, date_bin(%(width)s, latest.at, 'epoch') AS began_at, count(*) AS orders
-- include: latest_ends
WHERE latest.event <> ALL(%(after_the_end)s)
GROUP BY ended.state, began_at;

-- name: board_times_to_end
-- How long orders took from acceptance to end, by span of time, in seconds: the median, and what 95 of 100 stay below. Of
-- each span at most `at_most` of each end are looked at.
SELECT span.began_at, count(*) AS orders,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY taken.seconds) AS median_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY taken.seconds) AS most_s
FROM generate_series(date_bin(%(width)s, now() - %(since)s, 'epoch'), now(), %(width)s) AS span (began_at)
CROSS JOIN unnest(ARRAY['COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED']) AS ended (state)
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM ends.at - orders.accepted_at)::double precision AS seconds
    FROM (
        SELECT order_id, at, event FROM order_events
        WHERE order_events.state = ended.state AND NOT late
          AND order_events.state IN ('PARKED', 'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')
          AND at >= span.began_at AND at < span.began_at + %(width)s
        ORDER BY at LIMIT %(at_most)s
    ) AS ends
    JOIN orders ON orders.order_id = ends.order_id
    WHERE ends.event <> ALL(%(after_the_end)s)
) AS taken
GROUP BY span.began_at;

-- name: board_ended
-- How many orders of each carrier have come to each end lately; of each end at most `at_most` are counted.
SELECT orders.carrier, ended.state, count(*) AS orders
-- include: latest_ends
JOIN orders ON orders.order_id = latest.order_id
WHERE latest.event <> ALL(%(after_the_end)s)
GROUP BY orders.carrier, ended.state;

-- name: board_lanes
-- The work of every lane: what is due now and since when, what workers have, what waits for later. Counted up to `at_most`.
SELECT now() AS now, lanes.carrier, lanes.lane, due.orders AS due, due.since AS due_since, later.orders AS waiting,
       later.next_at, in_hand.orders AS in_hand, pauses.paused_at, pauses.paused_by, pauses.why AS paused_why,
       (SELECT coalesce(max(pause_id), 0) FROM pauses AS every
        WHERE every.carrier = lanes.carrier AND every.lane = lanes.lane) AS last_pause_id
FROM lanes
LEFT JOIN pauses ON pauses.carrier = lanes.carrier AND pauses.lane = lanes.lane AND pauses.resumed_at IS NULL
CROSS JOIN LATERAL (
    SELECT count(*) AS orders, min(not_before) AS since
    FROM unnest(%(kinds)s::text[]) AS kind (kind), LATERAL (
        SELECT not_before FROM owed
        WHERE owed.carrier = lanes.carrier AND owed.lane = lanes.lane AND owed.kind = kind.kind AND not_before <= now()
        ORDER BY not_before LIMIT %(at_most)s
    ) AS item
) AS due
CROSS JOIN LATERAL (
    SELECT count(*) AS orders, min(not_before) AS next_at
    FROM unnest(%(kinds)s::text[]) AS kind (kind), LATERAL (
        SELECT not_before FROM owed
        WHERE owed.carrier = lanes.carrier AND owed.lane = lanes.lane AND owed.kind = kind.kind AND not_before > now()
        ORDER BY not_before LIMIT %(at_most)s
    ) AS item
) AS later
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE lease_token IS NOT NULL) AS orders
    FROM unnest(%(kinds)s::text[]) AS kind (kind), LATERAL (
        SELECT lease_token FROM owed
        WHERE owed.carrier = lanes.carrier AND owed.lane = lanes.lane AND owed.kind = kind.kind
          AND not_before > now() AND not_before < now() + '2 min'::interval  -- longer than any lease
        ORDER BY not_before LIMIT %(leases_max)s
    ) AS item
) AS in_hand
ORDER BY lanes.carrier, array_position(ARRAY['submit', 'ask', 'tell'], lanes.lane);

-- name: board_carriers
-- Every carrier with its circuit breaker.
SELECT now() AS now, breakers.* FROM breakers ORDER BY carrier;

-- name: board_limits
SELECT now() AS now, budgets.* FROM budgets ORDER BY carrier, limit_group;

-- name: board_last_answers
-- The last request to each carrier and what came of it, among the latest of all requests and those about waiting orders.
SELECT DISTINCT ON (orders.carrier) now() AS now, orders.carrier, receipts.order_id, orders.key, at, receipts.request, status,
       trouble, elapsed_ms
FROM (
    SELECT receipt_id FROM (SELECT receipt_id FROM receipts ORDER BY at DESC LIMIT %(looked_at)s) AS newest
    UNION
    SELECT of_waiting.receipt_id
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT order_id FROM owed WHERE owed.carrier = lanes.carrier AND owed.lane = lanes.lane
        ORDER BY not_before LIMIT 20
    ) AS waiting
    CROSS JOIN LATERAL (
        SELECT receipt_id FROM receipts WHERE receipts.order_id = waiting.order_id ORDER BY receipt_id DESC LIMIT 1
    ) AS of_waiting
    WHERE lanes.lane <> 'tell'
) AS candidate
JOIN receipts USING (receipt_id)
JOIN orders ON orders.order_id = receipts.order_id
ORDER BY orders.carrier, at DESC, receipt_id DESC;

-- name: board_producers
WITH RECURSIVE known (producer) AS (  -- one probe of the index for each producer
    SELECT min(producer) FROM orders
    UNION ALL
    SELECT (SELECT min(producer) FROM orders WHERE producer > known.producer) FROM known WHERE known.producer IS NOT NULL
)
SELECT producer FROM known WHERE producer IS NOT NULL ORDER BY producer LIMIT %(limit)s;

-- name: board_list
-- A page of orders, newest first: those that fit among the next `looked_at`. There is always a row, which says how many were
-- looked at, and which was the last.
WITH looked AS MATERIALIZED (
    SELECT order_id, state, carrier, kind, producer, accepted_at, accepted_at AS sorted_at FROM orders
    WHERE (accepted_at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid) AND accepted_at >= %(since)s::timestamptz
    ORDER BY accepted_at DESC, order_id DESC LIMIT %(looked_at)s
)
-- include: fitting

-- name: board_list_of_producer
WITH looked AS MATERIALIZED (
    SELECT order_id, state, carrier, kind, producer, accepted_at, accepted_at AS sorted_at FROM orders
    WHERE producer = %(producer)s
      AND (producer, accepted_at, order_id) < (%(producer)s, %(before)s::timestamptz, %(before_id)s::uuid)
      AND (producer, accepted_at) >= (%(producer)s, %(since)s::timestamptz)
    ORDER BY accepted_at DESC, order_id DESC LIMIT %(looked_at)s
)
-- include: fitting

-- name: board_list_unfinished
WITH looked AS MATERIALIZED (
    SELECT order_id, state, carrier, kind, producer, accepted_at, accepted_at AS sorted_at FROM orders
    WHERE ended_at IS NULL
      AND (accepted_at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid) AND accepted_at >= %(since)s::timestamptz
    ORDER BY accepted_at DESC, order_id DESC LIMIT %(looked_at)s
)
-- include: fitting

-- name: board_list_among
-- Archived orders too: with a key or a number, people look for one order.
WITH orders AS MATERIALIZED (
    SELECT * FROM orders WHERE order_id = ANY(%(order_ids)s)
    UNION ALL
    SELECT restored.* FROM archived_orders AS kept, LATERAL jsonb_populate_record(NULL::orders, whole) AS restored
    WHERE kept.order_id = ANY(%(order_ids)s) AND removed_at IS NOT NULL
), looked AS MATERIALIZED (
    SELECT order_id, state, carrier, kind, producer, accepted_at, accepted_at AS sorted_at FROM orders
    WHERE (accepted_at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid) AND accepted_at >= %(since)s::timestamptz
    ORDER BY accepted_at DESC, order_id DESC LIMIT %(looked_at)s
)
-- include: fitting

-- name: board_list_by_state
-- Of states that events are indexed by: the orders that came to them last, found and sorted by their events.
WITH moved AS MATERIALIZED (
    SELECT latest.*
    FROM unnest(%(states)s::text[]) AS wanted (state)
    CROSS JOIN LATERAL (
        SELECT order_id, state, at FROM order_events
        WHERE order_events.state = wanted.state AND NOT late
          AND order_events.state IN ('PARKED', 'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')
          AND at <= %(before)s::timestamptz AND event <> ALL(%(after_the_end)s)
        ORDER BY at DESC LIMIT %(looked_at)s
    ) AS latest
    WHERE (at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid)
    ORDER BY at DESC, order_id DESC LIMIT %(looked_at)s
), looked AS MATERIALIZED (
    SELECT orders.order_id, orders.state, carrier, kind, producer, accepted_at, moved.at AS sorted_at
    FROM (SELECT DISTINCT ON (order_id) order_id, at FROM moved ORDER BY order_id, at DESC) AS moved
    JOIN orders ON orders.order_id = moved.order_id
)
-- include: fitting

-- part: fitting
SELECT now() AS now, orders.*, fitting.sorted_at, reach.looked, reach.last_at, reach.last_id
FROM (
    SELECT (SELECT count(*) FROM looked) AS looked, sorted_at AS last_at, order_id AS last_id
    FROM (VALUES (1)) AS always LEFT JOIN LATERAL (
        SELECT sorted_at, order_id FROM looked ORDER BY sorted_at, order_id LIMIT 1) AS last ON true
) AS reach
LEFT JOIN LATERAL (
    SELECT order_id, sorted_at FROM looked
    WHERE state = ANY(%(states)s) AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(producer)s::text IS NULL OR producer = %(producer)s)
      AND accepted_at >= %(since)s::timestamptz AND accepted_at < %(until)s::timestamptz
    ORDER BY sorted_at DESC, order_id DESC LIMIT %(limit)s
) AS fitting ON true
LEFT JOIN orders ON orders.order_id = fitting.order_id
ORDER BY fitting.sorted_at DESC, fitting.order_id DESC;

-- name: board_find
-- The orders that a text names: by id, key, the id of any carrier order of theirs, or the reference that the carrier has of
-- them. Archived orders too.
WITH RECURSIVE known (producer) AS (  -- one probe of the index for each producer
    SELECT min(producer) FROM orders
    UNION ALL
    SELECT (SELECT min(producer) FROM orders WHERE producer > known.producer) FROM known WHERE known.producer IS NOT NULL
), known_to_archive (producer) AS (
    SELECT min(producer) FROM archived_orders
    UNION ALL
    SELECT (SELECT min(producer) FROM archived_orders WHERE producer > known_to_archive.producer) FROM known_to_archive
    WHERE known_to_archive.producer IS NOT NULL
)
SELECT order_id FROM orders WHERE order_id = %(order_id)s::uuid
UNION
SELECT order_id FROM orders WHERE other_carrier_orders @> ARRAY[%(text)s::text] AND other_carrier_orders <> '{}'
UNION
SELECT order_id FROM archived_orders WHERE order_id = %(order_id)s::uuid AND removed_at IS NOT NULL
UNION
SELECT archived.order_id FROM known_to_archive AS known
JOIN archived_orders AS archived ON archived.producer = known.producer AND archived.key = %(text)s
WHERE removed_at IS NOT NULL
UNION
SELECT archived.order_id FROM (SELECT DISTINCT carrier FROM lanes) AS known
JOIN archived_orders AS archived ON archived.carrier = known.carrier AND archived.carrier_order_id = %(text)s
WHERE removed_at IS NOT NULL
UNION
SELECT archived.order_id FROM (SELECT DISTINCT carrier FROM lanes) AS known
JOIN archived_orders AS archived ON archived.carrier = known.carrier AND archived.reference = %(text)s
WHERE removed_at IS NOT NULL
UNION
SELECT orders.order_id FROM known JOIN orders ON orders.producer = known.producer AND orders.key = %(text)s
UNION
SELECT orders.order_id FROM (SELECT DISTINCT carrier FROM lanes) AS known
JOIN orders ON orders.carrier = known.carrier AND orders.carrier_order_id = %(text)s
UNION
SELECT orders.order_id FROM (SELECT DISTINCT carrier FROM lanes) AS known
JOIN orders ON orders.carrier = known.carrier AND coalesce(reference, order_id::text) = %(text)s AND orders.ended_at IS NULL
LIMIT %(limit)s;

-- name: board_pulse
-- What changes whenever the page of an order does.
SELECT orders.version,
       (SELECT max(receipt_id) FROM receipts WHERE receipts.order_id = orders.order_id) AS receipt_id,
       (SELECT array_agg((lane, not_before, lease_token, attempts)::text ORDER BY lane) FROM owed
        WHERE owed.order_id = orders.order_id) AS work,
       (SELECT array_agg((version, channel, told_at, tries, gave_up_at)::text ORDER BY version, channel) FROM tellings
        WHERE tellings.order_id = orders.order_id) AS messages
FROM orders WHERE order_id = %(order_id)s;
