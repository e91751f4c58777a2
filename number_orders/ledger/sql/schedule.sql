-- name: claim
-- Exclusive until the lease ends, whoever dies; and never more than may be sent. Of a lane that somebody has paused
-- nothing is taken, of a carrier that is held nothing but one probe, of a kind whose limit the carrier has paused
-- nothing. Where a limit has a rate, each order takes a place in it (`rate_slot_at`), and the next claim goes on behind:
-- a claim waits for another of the same limit, but only where there is a rate, or for a carrier that is just back.
WITH breaker AS MATERIALIZED (
    SELECT held_until IS NOT NULL AS held, faults > 0 AS recovering,
           -- Just back: a few orders a second at first, then twice as many every two seconds, then all.
           CASE WHEN closed_at > now() - '16 s'::interval
                THEN '0.25 s'::interval * 0.5 ^ (extract(epoch FROM now() - closed_at) / 2)::double precision END AS easing
    FROM breakers WHERE carrier = %(carrier)s AND %(lane)s <> 'tell'
), probe AS MATERIALIZED (
    SELECT carrier FROM breakers
    WHERE carrier = %(carrier)s AND %(lane)s <> 'tell' AND held_until <= now()
      AND (probe_until IS NULL OR probe_until <= now())
    FOR UPDATE  -- and not skipped: who has it may find that nothing is due, and then it is the next one's
), allowed AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM pauses WHERE carrier = %(carrier)s AND lane = %(lane)s AND resumed_at IS NULL) THEN 0
                WHEN NOT EXISTS (SELECT FROM breaker WHERE held) THEN %(limit)s
                WHEN EXISTS (SELECT FROM probe) THEN 1
                ELSE 0 END AS orders
), budget AS MATERIALIZED (
    SELECT limit_group, greatest(spacing, (SELECT easing FROM breaker)) AS spacing,
           greatest(next_at, clock_timestamp()) AS from_at
    FROM budgets
    WHERE carrier = %(carrier)s
      AND limit_group IN (SELECT limit_group FROM draws WHERE carrier = %(carrier)s AND lane = %(lane)s)
      AND (spacing IS NOT NULL OR (SELECT easing FROM breaker) IS NOT NULL)
    ORDER BY limit_group
    FOR UPDATE
), source AS MATERIALIZED (
    -- Places are taken a little ahead, so that none is lost while the next claim is on its way.
    SELECT kind.kind, limit_group, budget.spacing, budget.from_at,
           CASE WHEN budgets.paused_until > now() THEN 0
                WHEN budget.spacing IS NULL THEN allowed.orders
                ELSE least(allowed.orders, greatest(0, 1 + floor(extract(epoch FROM
                    clock_timestamp() - budget.from_at
                    + greatest('0.5 s'::interval, least('1.25 s'::interval, 5 * budget.spacing)))
                    / extract(epoch FROM budget.spacing))))::integer END AS room
    FROM allowed
    CROSS JOIN unnest(%(kinds)s::text[]) AS kind (kind)
    LEFT JOIN draws ON draws.carrier = %(carrier)s AND draws.lane = %(lane)s AND draws.kind = kind.kind
    LEFT JOIN budgets USING (carrier, limit_group)
    LEFT JOIN budget USING (limit_group)
), due AS MATERIALIZED (
    SELECT source.*, waiting.spot, waiting.order_id, waiting.not_before
    FROM source, LATERAL (
        SELECT ctid AS spot, order_id, not_before FROM owed
        WHERE carrier = %(carrier)s AND lane = %(lane)s AND owed.kind = source.kind AND not_before <= now()
        ORDER BY not_before
        LIMIT source.room
        FOR UPDATE SKIP LOCKED
    ) AS waiting
), taken AS MATERIALIZED (
    SELECT *, from_at + spacing * (place - 1) AS rate_slot_at
    FROM (SELECT *, row_number() OVER (PARTITION BY limit_group ORDER BY not_before, order_id) AS place FROM due) AS queue
    WHERE limit_group IS NULL OR place <= room
    ORDER BY not_before, order_id
    LIMIT (SELECT orders FROM allowed)
), drawn AS (
    UPDATE budgets SET next_at = drawing.next_at
    FROM (SELECT limit_group, max(rate_slot_at + spacing) AS next_at FROM taken WHERE spacing IS NOT NULL GROUP BY limit_group) AS drawing
    WHERE budgets.carrier = %(carrier)s AND budgets.limit_group = drawing.limit_group
), probing AS (
    UPDATE breakers SET probe_token = %(token)s, probe_until = now() + %(probe)s
    FROM probe
    WHERE breakers.carrier = probe.carrier AND EXISTS (SELECT FROM taken)
), claimed AS (
    UPDATE owed SET not_before = now() + %(lease)s, lease_token = %(token)s, attempts = attempts + 1, serial_key = NULL
    FROM taken
    -- By where they stand, since they are locked: by their key the way leads past every claim made of them since the
    -- oldest snapshot that somebody holds.
    WHERE owed.ctid = taken.spot
      -- Nobody can tell beforehand how many are taken; the arrays, here and below, make sure that they are looked up.
      AND owed.ctid = ANY(ARRAY(SELECT spot FROM taken))
    RETURNING owed.order_id, owed.attempts, owed.turn AS generation, taken.rate_slot_at, taken.limit_group
)
SELECT now() AS now, clock_timestamp() AS clock, claimed.attempts, claimed.generation, claimed.rate_slot_at, claimed.limit_group,
       EXISTS (SELECT FROM breaker WHERE held OR recovering) AS recovering, NULL::timestamptz AS reached, orders.*
FROM claimed JOIN orders USING (order_id)
WHERE orders.order_id = ANY(ARRAY(SELECT order_id FROM taken));

-- name: claim_unlimited
-- The same for two thirds of the price, on a lane of which nothing is limited, paused, held or doubted at this moment.
-- There is always a row: `plain` says whether that is so. If not, nothing was taken, and `claim` is to be asked.
-- While somebody holds an old snapshot, the index keeps an entry for every claim made since, all of them before those that
-- are due now. `since` spares whoever has just looked the walk past them; null looks from the start.
WITH plain AS MATERIALIZED (
    SELECT NOT EXISTS (SELECT FROM pauses WHERE carrier = %(carrier)s AND lane = %(lane)s AND resumed_at IS NULL)
       AND NOT EXISTS (
           SELECT FROM draws JOIN budgets USING (carrier, limit_group)
           WHERE carrier = %(carrier)s AND lane = %(lane)s AND (spacing IS NOT NULL OR paused_until > now()))
       AND (%(lane)s = 'tell' OR NOT EXISTS (
           SELECT FROM breakers
           WHERE carrier = %(carrier)s AND (held_until IS NOT NULL OR faults > 0 OR closed_at > now() - '16 s'::interval)))
       AS yes
), due AS MATERIALIZED (
    SELECT waiting.*
    FROM plain CROSS JOIN unnest(%(kinds)s::text[]) AS kind (kind), LATERAL (
        SELECT ctid AS spot, order_id, not_before FROM owed
        WHERE carrier = %(carrier)s AND lane = %(lane)s AND owed.kind = kind.kind AND not_before <= now()
          AND not_before >= coalesce(%(since)s::timestamptz, '-infinity')
        ORDER BY not_before
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE plain.yes
), taken AS MATERIALIZED (
    SELECT * FROM due ORDER BY not_before, order_id LIMIT %(limit)s
), claimed AS (
    UPDATE owed SET not_before = now() + %(lease)s, lease_token = %(token)s, attempts = attempts + 1, serial_key = NULL
    WHERE owed.ctid = ANY(ARRAY(SELECT spot FROM taken))
    RETURNING owed.order_id, owed.attempts, owed.turn AS generation
)
SELECT now() AS now, clock_timestamp() AS clock, plain.yes AS plain, claimed.attempts, claimed.generation,
       NULL::timestamptz AS rate_slot_at, draws.limit_group, false AS recovering,
       (SELECT max(not_before) FROM taken) AS reached, orders.*
FROM plain
LEFT JOIN (claimed JOIN orders ON orders.order_id = claimed.order_id
                              AND orders.order_id = ANY(ARRAY(SELECT order_id FROM taken))) ON true
LEFT JOIN draws ON draws.carrier = %(carrier)s AND draws.lane = %(lane)s AND draws.kind = orders.kind;

-- name: postpone
-- Nothing new was learnt: look again later.
UPDATE owed SET not_before = later.not_before, lease_token = NULL, reason = coalesce(later.reason, owed.reason)
FROM jsonb_to_recordset(%(later)s) AS later (order_id uuid, not_before timestamptz, reason text)
WHERE owed.order_id = later.order_id AND owed.lane = %(lane)s AND owed.lease_token = %(token)s;

-- name: release
-- Claimed, and not begun: as if it had never been claimed.
UPDATE owed SET not_before = now(), lease_token = NULL, attempts = attempts - 1
WHERE order_id = ANY(%(order_ids)s) AND lane = %(lane)s AND lease_token = %(token)s;

-- name: open_lanes
INSERT INTO lanes (carrier, lane)
SELECT carrier, lane FROM unnest(%(carriers)s::text[]) AS carrier, unnest(%(lanes)s::text[]) AS lane
ON CONFLICT DO NOTHING;

-- name: due_lanes
-- One short index probe a lane and kind, however many orders wait or are due: OFFSET keeps the planner from reading all
-- that is due at once.
SELECT lane.carrier, lane.lane
FROM lanes AS lane
WHERE NOT EXISTS (SELECT FROM pauses WHERE carrier = lane.carrier AND pauses.lane = lane.lane AND resumed_at IS NULL)
  AND (lane.lane = 'tell' OR NOT EXISTS (
      SELECT FROM breakers WHERE carrier = lane.carrier AND (held_until > now() OR (held_until IS NOT NULL AND probe_until > now()))))
  AND EXISTS (
      SELECT FROM unnest(%(kinds)s::text[]) AS kind (kind)
      WHERE NOT EXISTS (
              SELECT FROM draws JOIN budgets USING (carrier, limit_group)
              WHERE carrier = lane.carrier AND draws.lane = lane.lane AND draws.kind = kind.kind AND paused_until > now())
        AND EXISTS (
              SELECT FROM owed
              WHERE owed.carrier = lane.carrier AND owed.lane = lane.lane AND owed.kind = kind.kind AND not_before <= now()
              OFFSET 0));

-- name: carriers
SELECT carrier, array_agg(lane ORDER BY lane) AS lanes FROM lanes GROUP BY carrier ORDER BY carrier;

-- name: work_items_of
SELECT now() AS now, owed.order_id, owed.lane, owed.not_before, owed.lease_token, owed.attempts, owed.reason,
       owed.serial_key,
       pauses.paused_at, pauses.paused_by, pauses.why AS paused_why,
       breakers.opened_at, breakers.held_until, breakers.why AS held_why,
       draws.limit_group, budgets.paused_until AS limited_until, budgets.why AS limited_why
FROM owed
LEFT JOIN pauses ON pauses.carrier = owed.carrier AND pauses.lane = owed.lane AND resumed_at IS NULL
LEFT JOIN breakers ON breakers.carrier = owed.carrier AND held_until IS NOT NULL AND owed.lane <> 'tell'
LEFT JOIN draws ON draws.carrier = owed.carrier AND draws.lane = owed.lane AND draws.kind = owed.kind
LEFT JOIN budgets ON budgets.carrier = draws.carrier AND budgets.limit_group = draws.limit_group
WHERE owed.order_id = ANY(%(order_ids)s) ORDER BY owed.not_before;

-- name: waiting_at
-- Orders that wait for their time at one carrier, on one lane or on any: so many, behind the last that was given.
SELECT DISTINCT order_id FROM owed
WHERE carrier = %(carrier)s AND (%(lane)s::text IS NULL OR lane = %(lane)s) AND not_before > now()
  AND lease_token IS NULL AND serial_key IS NULL AND (%(after)s::uuid IS NULL OR order_id > %(after)s)
ORDER BY order_id LIMIT %(limit)s;
