-- name: claim
-- Lease due work to one worker. Nothing is taken from a paused lane or a paused limit group. While the carrier's breaker
-- is open, one claim at a time takes one order, the probe. Where a group has a rate, each order takes a rate slot
-- (`rate_slot_at`), and the next claim continues behind it. Only claims of such a group wait for each other. For sixteen
-- seconds after a breaker has closed, every group of its carrier has a rate.
WITH ledger AS MATERIALIZED (
    -- No carrier is sent or asked anything before a ledger that may have fallen back in time is recognised (`check_identity`).
    SELECT %(lane)s = 'tell' OR coalesce(guard.identity = ledger_identity(), false) AS is_known,
           CASE WHEN %(lane)s = 'submit' AND guard.ends_at > now() THEN guard.began_at END AS guarded_since
    FROM guard
), breaker AS MATERIALIZED (
    SELECT held_until IS NOT NULL AS is_open, faults > 0 AS recovering,
           -- After the breaker has closed: four a second at first, twice as many every two seconds, after 16 s all.
           CASE WHEN closed_at > now() - '16 s'::interval
                THEN '0.25 s'::interval * 0.5 ^ (extract(epoch FROM now() - closed_at) / 2)::double precision END AS ramp_spacing
    FROM breakers WHERE carrier = %(carrier)s AND %(lane)s <> 'tell'
), probe AS MATERIALIZED (
    SELECT carrier FROM breakers
    WHERE carrier = %(carrier)s AND %(lane)s <> 'tell' AND held_until <= now()
      AND (probe_until IS NULL OR probe_until <= now())
    FOR UPDATE  -- without SKIP LOCKED: if the claim that has the row finds nothing due, this one takes the probe
), allowed AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM pauses WHERE carrier = %(carrier)s AND lane = %(lane)s AND resumed_at IS NULL) THEN 0
                WHEN NOT (SELECT is_known FROM ledger) THEN 0
                WHEN NOT EXISTS (SELECT FROM breaker WHERE is_open) THEN %(limit)s
                WHEN EXISTS (SELECT FROM probe) THEN 1
                ELSE 0 END AS orders
), rate AS MATERIALIZED (
    SELECT limit_group, greatest(spacing, (SELECT ramp_spacing FROM breaker)) AS spacing,
           greatest(next_at, clock_timestamp()) AS first_slot_at
    FROM budgets
    WHERE carrier = %(carrier)s
      AND limit_group IN (SELECT limit_group FROM draws WHERE carrier = %(carrier)s AND lane = %(lane)s)
      AND (spacing IS NOT NULL OR (SELECT ramp_spacing FROM breaker) IS NOT NULL)
    ORDER BY limit_group
    FOR UPDATE
), available AS MATERIALIZED (
    -- How many orders of each kind may be taken. Slots are taken a little ahead of their time, so that none passes unused
    -- before the next claim.
    SELECT kind.kind, limit_group, rate.spacing, rate.first_slot_at,
           CASE WHEN budgets.paused_until > now() THEN 0
                WHEN rate.spacing IS NULL THEN allowed.orders
                ELSE least(allowed.orders, greatest(0, 1 + floor(extract(epoch FROM
                    clock_timestamp() - rate.first_slot_at
                    + greatest('0.5 s'::interval, least('1.25 s'::interval, 5 * rate.spacing)))
                    / extract(epoch FROM rate.spacing))))::integer END AS orders
    FROM allowed
    CROSS JOIN unnest(%(kinds)s::text[]) AS kind (kind)
    LEFT JOIN draws ON draws.carrier = %(carrier)s AND draws.lane = %(lane)s AND draws.kind = kind.kind
    LEFT JOIN budgets USING (carrier, limit_group)
    LEFT JOIN rate USING (limit_group)
), due AS MATERIALIZED (
    SELECT available.*, item.row_id, item.order_id, item.not_before
    FROM available, LATERAL (
        SELECT ctid AS row_id, order_id, not_before FROM owed
        WHERE carrier = %(carrier)s AND lane = %(lane)s AND owed.kind = available.kind AND not_before <= now()
        ORDER BY not_before
        LIMIT available.orders
        FOR UPDATE SKIP LOCKED
    ) AS item
), taken AS MATERIALIZED (
    SELECT *, first_slot_at + spacing * (position - 1) AS rate_slot_at
    FROM (SELECT *, row_number() OVER (PARTITION BY limit_group ORDER BY not_before, order_id) AS position FROM due) AS queue
    WHERE limit_group IS NULL OR position <= orders
    ORDER BY not_before, order_id
    LIMIT (SELECT orders FROM allowed)
), slots_taken AS (
    UPDATE budgets SET next_at = last.next_at
    FROM (SELECT limit_group, max(rate_slot_at + spacing) AS next_at FROM taken WHERE spacing IS NOT NULL GROUP BY limit_group) AS last
    WHERE budgets.carrier = %(carrier)s AND budgets.limit_group = last.limit_group
), probe_taken AS (
    UPDATE breakers SET probe_token = %(token)s, probe_until = now() + %(probe)s
    FROM probe
    WHERE breakers.carrier = probe.carrier AND EXISTS (SELECT FROM taken)
), claimed AS (
    UPDATE owed SET not_before = now() + %(lease)s, lease_token = %(token)s, attempts = attempts + 1, serial_key = NULL
    FROM taken
    -- By ctid, since the rows are locked. By primary key, the lookup would pass every version that claims have left of
    -- them since the oldest snapshot that a transaction holds.
    WHERE owed.ctid = taken.row_id
      -- The planner cannot know how few rows are taken. The arrays, here and below, make it look them up one by one.
      AND owed.ctid = ANY(ARRAY(SELECT row_id FROM taken))
    RETURNING owed.order_id, owed.attempts, owed.confirmed, owed.turn AS generation, taken.rate_slot_at, taken.limit_group
)
SELECT now() AS now, clock_timestamp() AS clock, claimed.attempts, claimed.confirmed, claimed.generation, claimed.rate_slot_at, claimed.limit_group,
       EXISTS (SELECT FROM breaker WHERE is_open OR recovering) AS recovering, NULL::timestamptz AS reached,
       (SELECT guarded_since FROM ledger) AS guarded_since, orders.*
FROM claimed JOIN orders USING (order_id)
WHERE orders.order_id = ANY(ARRAY(SELECT order_id FROM taken));

-- name: claim_unlimited
-- The same for two thirds of the price, on a lane that has no rate, no pause, and no fault of its carrier now. There is
-- always a row: `unlimited` says whether that is so. If not, nothing was taken, and `claim` must be used.
-- While a transaction holds an old snapshot, the index keeps an entry for every claim made since, all of them before the
-- work that is due now. A worker that has just looked skips them with `since`; null reads from the start.
WITH ledger AS MATERIALIZED (
    SELECT %(lane)s = 'tell' OR coalesce(guard.identity = ledger_identity(), false) AS is_known,
           CASE WHEN %(lane)s = 'submit' AND guard.ends_at > now() THEN guard.began_at END AS guarded_since
    FROM guard
), lane_state AS MATERIALIZED (
    SELECT (SELECT is_known FROM ledger) AND NOT EXISTS (SELECT FROM pauses WHERE carrier = %(carrier)s AND lane = %(lane)s AND resumed_at IS NULL)
       AND NOT EXISTS (
           SELECT FROM draws JOIN budgets USING (carrier, limit_group)
           WHERE carrier = %(carrier)s AND lane = %(lane)s AND (spacing IS NOT NULL OR paused_until > now()))
       AND (%(lane)s = 'tell' OR NOT EXISTS (
           SELECT FROM breakers
           WHERE carrier = %(carrier)s AND (held_until IS NOT NULL OR faults > 0 OR closed_at > now() - '16 s'::interval)))
       AS is_unlimited
), due AS MATERIALIZED (
    SELECT item.*
    FROM lane_state CROSS JOIN unnest(%(kinds)s::text[]) AS kind (kind), LATERAL (
        SELECT ctid AS row_id, order_id, not_before FROM owed
        WHERE carrier = %(carrier)s AND lane = %(lane)s AND owed.kind = kind.kind AND not_before <= now()
          AND not_before >= coalesce(%(since)s::timestamptz, '-infinity')
        ORDER BY not_before
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ) AS item
    WHERE lane_state.is_unlimited
), taken AS MATERIALIZED (
    SELECT * FROM due ORDER BY not_before, order_id LIMIT %(limit)s
), claimed AS (
    UPDATE owed SET not_before = now() + %(lease)s, lease_token = %(token)s, attempts = attempts + 1, serial_key = NULL
    WHERE owed.ctid = ANY(ARRAY(SELECT row_id FROM taken))
    RETURNING owed.order_id, owed.attempts, owed.confirmed, owed.turn AS generation
)
SELECT now() AS now, clock_timestamp() AS clock, lane_state.is_unlimited AS unlimited, claimed.attempts, claimed.confirmed, claimed.generation,
       NULL::timestamptz AS rate_slot_at, draws.limit_group, false AS recovering,
       (SELECT max(not_before) FROM taken) AS reached, (SELECT guarded_since FROM ledger) AS guarded_since, orders.*
FROM lane_state
LEFT JOIN (claimed JOIN orders ON orders.order_id = claimed.order_id
                              AND orders.order_id = ANY(ARRAY(SELECT order_id FROM taken))) ON true
LEFT JOIN draws ON draws.carrier = %(carrier)s AND draws.lane = %(lane)s AND draws.kind = orders.kind;

-- name: postpone
-- Give claims back, due later. Without a reason the old one stays.
UPDATE owed SET not_before = later.not_before, lease_token = NULL, reason = coalesce(later.reason, owed.reason),
                confirmed = owed.confirmed + later.confirms::integer
FROM jsonb_to_recordset(%(later)s) AS later (order_id uuid, not_before timestamptz, reason text, confirms boolean)
WHERE owed.order_id = later.order_id AND owed.lane = %(lane)s AND owed.lease_token = %(token)s;

-- name: put_off
-- The same for claims that brought no look at the order, and do not count as attempts. If the reading that the order waits
-- for has become whole meanwhile, it is due at once.
UPDATE owed SET
    lease_token = NULL, reason = later.reason, attempts = attempts - 1,
    not_before = CASE WHEN EXISTS (
        SELECT FROM list_questions AS question JOIN readings USING (carrier, list_name)
        WHERE question.order_id = owed.order_id AND whole_at IS NOT NULL AND began_at > asked_at
    ) THEN now() ELSE later.not_before END
FROM jsonb_to_recordset(%(later)s) AS later (order_id uuid, not_before timestamptz, reason text)
WHERE owed.order_id = later.order_id AND owed.lane = %(lane)s AND owed.lease_token = %(token)s;

-- name: release
-- Give claims back that were not begun, as if they had not been made.
UPDATE owed SET not_before = now(), lease_token = NULL, attempts = attempts - 1
WHERE order_id = ANY(%(order_ids)s) AND lane = %(lane)s AND lease_token = %(token)s;

-- name: open_lanes
INSERT INTO lanes (carrier, lane)
SELECT carrier, lane FROM unnest(%(carriers)s::text[]) AS carrier, unnest(%(lanes)s::text[]) AS lane
ON CONFLICT DO NOTHING;

-- name: due_lanes
-- The lanes with due work that may be claimed. One short index probe for each lane and kind, however much work waits or
-- is due: OFFSET keeps the planner from reading all due work at once. Readings of lists are work of the lane `ask`.
SELECT lane.carrier, lane.lane
FROM lanes AS lane
WHERE NOT EXISTS (SELECT FROM pauses WHERE carrier = lane.carrier AND pauses.lane = lane.lane AND resumed_at IS NULL)
  AND (lane.lane = 'tell' OR NOT EXISTS (
      SELECT FROM breakers WHERE carrier = lane.carrier AND (held_until > now() OR (held_until IS NOT NULL AND probe_until > now()))))
  AND (EXISTS (
      SELECT FROM unnest(%(kinds)s::text[]) AS kind (kind)
      WHERE NOT EXISTS (
              SELECT FROM draws JOIN budgets USING (carrier, limit_group)
              WHERE carrier = lane.carrier AND draws.lane = lane.lane AND draws.kind = kind.kind AND paused_until > now())
        AND EXISTS (
              SELECT FROM owed
              WHERE owed.carrier = lane.carrier AND owed.lane = lane.lane AND owed.kind = kind.kind AND not_before <= now()
              OFFSET 0))
    OR (lane.lane = 'ask'
        AND EXISTS (SELECT FROM readings WHERE carrier = lane.carrier AND whole_at IS NULL AND not_before <= now())
        AND NOT EXISTS (
            SELECT FROM draws JOIN budgets USING (carrier, limit_group)
            WHERE carrier = lane.carrier AND draws.lane = 'ask' AND paused_until > now())))
UNION ALL
-- Documents for URLs are no carrier's: the lane `tell` of `webhooks` sends them.
SELECT 'webhooks', 'tell'
WHERE EXISTS (
    SELECT FROM webhook_hosts
    WHERE coalesce(held_until <= now(), true)
      AND EXISTS (
          SELECT FROM webhook_deliveries AS waiting
          WHERE waiting.producer = webhook_hosts.producer AND waiting.host = webhook_hosts.host AND not_before <= now()
          OFFSET 0));

-- name: carriers
SELECT carrier, array_agg(lane ORDER BY lane) AS lanes FROM lanes GROUP BY carrier ORDER BY carrier;

-- name: work_items_of
-- The work items of some orders, each with everything that keeps it from being claimed.
SELECT now() AS now, owed.order_id, owed.lane, owed.not_before, owed.lease_token, owed.attempts, owed.reason,
       owed.serial_key,
       pauses.paused_at, pauses.paused_by, pauses.why AS paused_why,
       breakers.opened_at, breakers.held_until, breakers.why AS held_why,
       draws.limit_group, budgets.paused_until AS limited_until, budgets.why AS limited_why,
       waiting.list_name, waiting.pages AS list_pages, waiting.trouble AS list_trouble
FROM owed
LEFT JOIN pauses ON pauses.carrier = owed.carrier AND pauses.lane = owed.lane AND resumed_at IS NULL
LEFT JOIN breakers ON breakers.carrier = owed.carrier AND held_until IS NOT NULL AND owed.lane <> 'tell'
LEFT JOIN draws ON draws.carrier = owed.carrier AND draws.lane = owed.lane AND draws.kind = owed.kind
LEFT JOIN budgets ON budgets.carrier = draws.carrier AND budgets.limit_group = draws.limit_group
LEFT JOIN LATERAL (
    SELECT question.list_name, coalesce(pages, 0) AS pages, trouble
    FROM list_questions AS question
    LEFT JOIN readings
        ON readings.carrier = question.carrier AND readings.list_name = question.list_name AND whole_at IS NULL
    WHERE question.order_id = owed.order_id
    ORDER BY asked_at DESC LIMIT 1
) AS waiting ON owed.lane IN ('submit', 'ask') AND owed.lease_token IS NULL AND owed.not_before > now()
WHERE owed.order_id = ANY(%(order_ids)s) ORDER BY owed.not_before;

-- name: waiting_at
-- A page of the orders at one carrier that are due later, on one lane or any, starting after `after`. Claimed work and
-- orders that wait for a serial lock are left out. On the lane tell, also those with documents for a URL that wait or
-- were given up.
(
    SELECT DISTINCT order_id FROM owed
    WHERE carrier = %(carrier)s AND (%(lane)s::text IS NULL OR lane = %(lane)s) AND not_before > now()
      AND lease_token IS NULL AND serial_key IS NULL AND (%(after)s::uuid IS NULL OR order_id > %(after)s)
    ORDER BY order_id LIMIT %(limit)s
) UNION (
    SELECT DISTINCT tellings.order_id
    FROM tellings
    -- OFFSET 0: look each up, in the order of the index, and stop at the limit.
    CROSS JOIN LATERAL (SELECT carrier FROM orders WHERE orders.order_id = tellings.order_id OFFSET 0) AS ordered
    LEFT JOIN LATERAL (
        SELECT not_before, lease_token FROM webhook_deliveries AS queued WHERE queued.order_id = tellings.order_id OFFSET 0
    ) AS delivery ON true
    WHERE ordered.carrier = %(carrier)s AND coalesce(%(lane)s, 'tell') = 'tell' AND channel = 'url' AND told_at IS NULL
      AND (%(after)s::uuid IS NULL OR tellings.order_id > %(after)s)
      AND (not_before > now() AND lease_token IS NULL OR gave_up_at IS NOT NULL AND NOT EXISTS (
          SELECT FROM tellings AS later
          WHERE later.order_id = tellings.order_id AND later.channel = 'url' AND later.version > tellings.version
            AND later.told_at IS NOT NULL))
    ORDER BY tellings.order_id LIMIT %(limit)s
)
ORDER BY order_id LIMIT %(limit)s;
