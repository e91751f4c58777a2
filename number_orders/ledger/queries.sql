-- Every statement of the ledger, by name. `now()` is the ledger's time everywhere.

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

-- name: keep_progress
-- Guarded by the version that the order had when the conversation began, so nobody who was given up writes here; and by
-- what was kept before, since a question may be held twice at once. What is there already was written by this very try.
UPDATE orders SET progress = %(progress)s
WHERE order_id = %(order_id)s AND version = %(version)s AND progress IN (%(known)s, %(progress)s)
RETURNING order_id;

-- name: recall
-- What is known of some numbers at one carrier by other orders than this one. The first row is only the time.
SELECT now() AS now, NULL AS e164, NULL::timestamptz AS held_since, NULL::uuid AS held_by, false AS named
UNION ALL
SELECT now(), number.e164, held.acquired_at, held.acquired_by, naming.e164 IS NOT NULL
FROM unnest(%(numbers)s::text[]) AS number (e164)
LEFT JOIN held_numbers AS held ON held.e164 = number.e164 AND held.carrier = %(carrier)s AND held.released_at IS NULL
LEFT JOIN (
    -- All numbers at once: number by number, a thousand of them would read the unfinished orders a thousand times.
    SELECT DISTINCT named.e164
    FROM orders, jsonb_array_elements_text(orders.request -> 'numbers') AS named (e164)
    WHERE orders.request -> 'numbers' ?| %(numbers)s::text[] AND orders.request ? 'numbers' AND orders.ended_at IS NULL
      AND orders.carrier = %(carrier)s AND orders.kind <> 'remove_numbers' AND orders.order_id <> %(order_id)s
) AS naming ON naming.e164 = number.e164;

-- name: take_serial_locks
-- One order a key: whoever has the turn keeps it, and may take it again, whoever tries for it beside.
-- The turn of an order that has ended is free: a worker may have taken it for an order that ended since it was claimed.
INSERT INTO turns (carrier, serial_key, order_id)
SELECT DISTINCT ON (wanted.serial_key) %(carrier)s, wanted.serial_key, wanted.order_id
FROM jsonb_to_recordset(%(wanted)s) AS wanted (serial_key text, order_id uuid)
LEFT JOIN turns AS held ON held.carrier = %(carrier)s AND held.serial_key = wanted.serial_key
ORDER BY wanted.serial_key, held.order_id IS DISTINCT FROM wanted.order_id, wanted.order_id
ON CONFLICT (carrier, serial_key) DO UPDATE
SET order_id = excluded.order_id,
    since = CASE WHEN turns.order_id = excluded.order_id THEN turns.since ELSE excluded.since END
WHERE turns.order_id = excluded.order_id
   OR EXISTS (SELECT FROM orders WHERE orders.order_id = turns.order_id AND orders.ended_at IS NOT NULL)
RETURNING order_id;

-- name: held_serial_locks
-- Turns at one carrier that a parked order has, or another for long; with how many wait behind, and since when.
SELECT now() AS now, turns.serial_key, turns.order_id, turns.since, orders.state, line.orders AS waiting, line.since AS waiting_since
FROM turns JOIN orders USING (order_id), LATERAL (
    SELECT count(*) AS orders, min(waiting.accepted_at) AS since
    FROM owed JOIN orders AS waiting USING (order_id)
    WHERE owed.carrier = turns.carrier AND owed.serial_key = turns.serial_key) AS line
WHERE turns.carrier = %(carrier)s AND orders.ended_at IS NULL
  AND (orders.state = 'PARKED' OR turns.since < now() - %(patience)s)
ORDER BY turns.serial_key;

-- name: parked_orders_bringing
-- Parked orders that are to bring one of these numbers, which nobody holds yet, to the carrier of an order that waits.
SELECT DISTINCT ON (bringer.order_id) bringer.order_id, named.e164
FROM orders AS bringer, jsonb_array_elements_text(bringer.request -> 'numbers') AS named (e164)
WHERE bringer.request -> 'numbers' ?| %(numbers)s::text[] AND bringer.request ? 'numbers' AND bringer.ended_at IS NULL
  AND bringer.state = 'PARKED' AND bringer.carrier = %(carrier)s AND bringer.kind <> 'remove_numbers'
  AND named.e164 = ANY(%(numbers)s::text[])
  AND NOT EXISTS (SELECT FROM held_numbers AS held WHERE held.e164 = named.e164 AND released_at IS NULL)
ORDER BY bringer.order_id, named.e164;

-- name: has_serial_lock
SELECT EXISTS (SELECT FROM turns WHERE order_id = %(order_id)s) AS has_serial_lock;

-- name: wait_for_serial_locks
-- Not its turn. It is woken when its turn comes; `not_before` is for the case that nobody wakes it.
UPDATE owed SET lease_token = NULL, attempts = attempts - 1, serial_key = waiting.serial_key,
                reason = 'waits for order ' || turns.order_id || ': they could not be told apart at the carrier',
                not_before = now() + CASE WHEN turns.order_id IS NULL THEN '0'::interval ELSE %(at_most)s END
FROM jsonb_to_recordset(%(waiting)s) AS waiting (serial_key text, order_id uuid)
LEFT JOIN turns ON turns.carrier = %(carrier)s AND turns.serial_key = waiting.serial_key
WHERE owed.order_id = waiting.order_id AND owed.lane = 'submit' AND owed.lease_token = %(token)s;

-- name: postpone
-- Nothing new was learnt: look again later.
UPDATE owed SET not_before = later.not_before, lease_token = NULL, reason = coalesce(later.reason, owed.reason)
FROM jsonb_to_recordset(%(later)s) AS later (order_id uuid, not_before timestamptz, reason text)
WHERE owed.order_id = later.order_id AND owed.lane = %(lane)s AND owed.lease_token = %(token)s;

-- name: release
-- Claimed, and not begun: as if it had never been claimed.
UPDATE owed SET not_before = now(), lease_token = NULL, attempts = attempts - 1
WHERE order_id = ANY(%(order_ids)s) AND lane = %(lane)s AND lease_token = %(token)s;

-- name: record_steps
-- One step, one transaction, for a whole group of orders: the event heard, the order moved, the numbers known, the
-- effects owed. An order that has moved on since it was read is left out of the answer and nothing of it is written.
-- What a step owes replaces what was owed on the lanes submit and ask; late news owes nothing and replaces nothing.
WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(steps)s) AS i (
        order_id uuid, from_version integer, state text, ends boolean, carrier_order_id text, carrier_status text,
        reason text, progress jsonb, cancel_asked_at timestamptz, sends integer, losses integer, doubt_since timestamptz, doubt_asks integer,
        event text, late boolean, releases_serial_lock boolean, detail jsonb, numbers jsonb, effects jsonb, notification jsonb, channels text[])
), moved AS (
    UPDATE orders
    SET state = input.state, version = input.from_version + 1, reason = input.reason,
        carrier_order_id = input.carrier_order_id, carrier_status = input.carrier_status,
        progress = coalesce(input.progress, orders.progress),  -- null: the step leaves alone what was kept meanwhile
        cancel_asked_at = input.cancel_asked_at,
        sends = input.sends, losses = input.losses, doubt_since = input.doubt_since, doubt_asks = input.doubt_asks,
        moved_at = now(), ended_at = CASE WHEN input.ends THEN coalesce(orders.ended_at, now()) END
    FROM input
    WHERE orders.order_id = input.order_id AND orders.version = input.from_version
    RETURNING orders.order_id, orders.version, orders.carrier, orders.kind, orders.account, orders.state, orders.ended_at
), step AS MATERIALIZED (
    SELECT input.*, moved.version, moved.carrier, moved.kind, moved.account, moved.ended_at FROM moved JOIN input USING (order_id)
), story AS (
    INSERT INTO order_events (order_id, version, event, state, late, detail)
    SELECT order_id, version, event, state, late, detail FROM step
), result AS MATERIALIZED (
    SELECT step.order_id, step.carrier, step.account, number.*
    FROM step, jsonb_to_recordset(step.numbers) AS number (e164 text, state text, code text, text text)
    WHERE NOT step.late
), numbers AS (
    INSERT INTO order_numbers (order_id, e164, state, code, text)
    SELECT order_id, e164, state, code, text FROM result
    ON CONFLICT (order_id, e164) DO UPDATE
    SET state = excluded.state, code = excluded.code, text = excluded.text, changed_at = now()
), released AS (
    -- Not before it was acquired: that may have been written by a transaction that began after this one.
    UPDATE held_numbers SET released_by = result.order_id, released_at = greatest(now(), acquired_at)
    FROM result
    WHERE held_numbers.e164 = result.e164 AND held_numbers.carrier = result.carrier
      AND result.state = 'released' AND released_at IS NULL
    RETURNING held_id
), held AS (
    -- Counting the released makes them go first: a number may be given up and bought again in the same group.
    INSERT INTO held_numbers (e164, carrier, account, acquired_by)
    SELECT e164, carrier, account, order_id FROM result
    WHERE state IN ('acquired', 'usable') AND (SELECT count(*) FROM released) >= 0
      -- An order acquires a number once. Told again, as usable or in its end, it may have been given up meanwhile.
      AND NOT EXISTS (
          SELECT FROM order_numbers AS known
          WHERE known.order_id = result.order_id AND known.e164 = result.e164 AND known.state IN ('acquired', 'usable'))
    ON CONFLICT (e164) WHERE released_at IS NULL DO NOTHING
), owing AS (
    SELECT step.order_id, step.carrier, step.kind, effect.*
    FROM step, jsonb_to_recordset(step.effects) AS effect (lane text, not_before timestamptz, reason text)
), settled AS (
    DELETE FROM owed USING step
    WHERE owed.order_id = step.order_id AND owed.lane IN ('submit', 'ask') AND NOT step.late
      AND NOT EXISTS (SELECT FROM owing WHERE owing.order_id = owed.order_id AND owing.lane = owed.lane)
), turn AS (
    DELETE FROM turns USING step
    WHERE turns.order_id = step.order_id AND step.releases_serial_lock
    RETURNING turns.carrier, turns.serial_key
), next AS (
    -- The oldest that waits for the same thing is woken. Whoever stands in line at this very moment may be missed: time
    -- wakes it.
    UPDATE owed SET not_before = now(), serial_key = NULL
    FROM turn, LATERAL (
        SELECT order_id FROM owed AS waiting
        WHERE waiting.carrier = turn.carrier AND waiting.serial_key = turn.serial_key
          AND NOT EXISTS (SELECT FROM step WHERE step.order_id = waiting.order_id)  -- what it is owed is written below
        ORDER BY order_id LIMIT 1
    ) AS first
    WHERE owed.order_id = first.order_id AND owed.lane = 'submit' AND owed.lease_token IS NULL
), owed_now AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before, reason)
    SELECT order_id, lane, carrier, kind, not_before, reason FROM owing
    ON CONFLICT (order_id, lane) DO UPDATE
    SET reason = excluded.reason, attempts = 0, turn = owed.turn + 1, serial_key = NULL,
        -- A telling under way is not interrupted, or a later document could overtake it.
        lease_token = CASE WHEN owed.lane = 'tell' THEN owed.lease_token END,
        not_before = CASE WHEN owed.lane = 'tell' AND owed.lease_token IS NOT NULL THEN owed.not_before
                          ELSE excluded.not_before END
), told AS (
    INSERT INTO tellings (order_id, version, channel, document)
    SELECT order_id, version, channel, notification || jsonb_build_object('ended_at', to_char(ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
    FROM step, unnest(channels) AS channel
    WHERE notification IS NOT NULL
)
SELECT order_id FROM moved;

-- name: held_elsewhere
-- Numbers that one order acquired while another already held them: the carrier sold something twice, or we misread.
SELECT held.e164, held.acquired_by
FROM held_numbers AS held
JOIN unnest(%(order_ids)s::uuid[], %(numbers)s::text[]) AS mine (order_id, e164) USING (e164)
WHERE held.released_at IS NULL AND held.acquired_by IS DISTINCT FROM mine.order_id;

-- name: keep_receipts
INSERT INTO receipts (order_id, request, status, trouble, sent, answer, elapsed_ms)
SELECT order_id, request, status, trouble, sent, answer, elapsed_ms
FROM jsonb_to_recordset(%(receipts)s) AS receipt (
    order_id uuid, request text, status integer, trouble text, sent text, answer text, elapsed_ms integer);

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

-- name: open_lanes
INSERT INTO lanes (carrier, lane)
SELECT carrier, lane FROM unnest(%(carriers)s::text[]) AS carrier, unnest(%(lanes)s::text[]) AS lane
ON CONFLICT DO NOTHING;

-- name: set_limits
-- What one carrier limits, and which work draws on it, as the settings have it. What it has paused stays paused.
WITH breaker AS (
    INSERT INTO breakers (carrier) VALUES (%(carrier)s) ON CONFLICT DO NOTHING
), budget AS (
    INSERT INTO budgets (carrier, limit_group, per_second, spacing)
    SELECT %(carrier)s, limit_group, per_second, make_interval(secs => spacing_s)
    FROM jsonb_to_recordset(%(limits)s) AS given (limit_group text, per_second float, spacing_s float)
    ORDER BY limit_group
    ON CONFLICT (carrier, limit_group) DO UPDATE SET per_second = excluded.per_second, spacing = excluded.spacing
    WHERE (budgets.per_second, budgets.spacing) IS DISTINCT FROM (excluded.per_second, excluded.spacing)
), gone AS (
    DELETE FROM draws
    WHERE carrier = %(carrier)s
      AND (lane, kind) NOT IN (SELECT lane, kind FROM jsonb_to_recordset(%(draws)s) AS given (lane text, kind text))
)
INSERT INTO draws (carrier, lane, kind, limit_group)
SELECT %(carrier)s, lane, kind, limit_group
FROM jsonb_to_recordset(%(draws)s) AS given (lane text, kind text, limit_group text)
ORDER BY lane, kind
ON CONFLICT (carrier, lane, kind) DO UPDATE SET limit_group = excluded.limit_group
WHERE draws.limit_group <> excluded.limit_group;

-- name: take_rate_slot
-- One more place in a limit, behind all that are taken. No row: it has no rate, and the carrier is not just back.
UPDATE budgets SET next_at = greatest(next_at, clock_timestamp()) + greatest(spacing, back.easing)
FROM (
    SELECT (SELECT CASE WHEN closed_at > now() - '16 s'::interval  -- as in `claim`
                        THEN '0.25 s'::interval * 0.5 ^ (extract(epoch FROM now() - closed_at) / 2)::double precision END
            FROM breakers WHERE carrier = %(carrier)s) AS easing
) AS back
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (spacing IS NOT NULL OR back.easing IS NOT NULL)
RETURNING next_at - greatest(spacing, back.easing) AS rate_slot_at, clock_timestamp() AS clock, paused_until;

-- name: pause_limit
-- The carrier wants no more of this before `until`. A later word wins over an earlier one, a longer pause over a shorter.
UPDATE budgets SET paused_until = %(until)s, why = %(why)s
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (paused_until IS NULL OR paused_until < %(until)s);

-- name: out_of_reach
-- So many faults more. While it is held only the probe's word counts: others have left before.
UPDATE breakers SET
    faults = breakers.faults + %(faults)s, why = %(why)s, probe_token = NULL, probe_until = NULL,
    holds = CASE WHEN next.opens THEN next.holds ELSE breakers.holds END,
    held_until = CASE WHEN next.opens THEN now() + least(%(hold_max)s, %(hold_first)s * 2 ^ least(next.holds, 20)) END,
    opened_at = CASE WHEN next.opens THEN coalesce(CASE WHEN held_until IS NOT NULL THEN opened_at END, now()) END
FROM (
    SELECT carrier, held_until IS NOT NULL OR faults + %(faults)s >= %(faults_max)s AS opens,
           CASE WHEN held_until IS NOT NULL OR closed_at > now() - '1 min'::interval THEN holds + 1 ELSE 0 END AS holds
    FROM breakers WHERE carrier = %(carrier)s
    FOR UPDATE
) AS next
WHERE breakers.carrier = next.carrier AND (held_until IS NULL OR probe_token = ANY(%(tokens)s::uuid[]))
RETURNING held_until, faults;

-- name: return_probe
-- It was claimed, and then there was nothing to ask or send: another may try at once.
UPDATE breakers SET probe_token = NULL, probe_until = NULL WHERE carrier = %(carrier)s AND probe_token = %(token)s;

-- name: within_reach
-- It has answered: nothing is counted any more. While it is held, only the probe's answer opens the way again.
UPDATE breakers SET
    faults = 0, probe_token = NULL, probe_until = NULL, held_until = NULL,
    closed_at = CASE WHEN held_until IS NULL THEN closed_at ELSE now() END
WHERE carrier = %(carrier)s
  AND CASE WHEN held_until IS NULL THEN faults > 0 ELSE probe_token = ANY(%(tokens)s::uuid[]) END;

-- name: pause_lanes
-- A lane that is paused already stays paused as it was, with its first reason.
INSERT INTO pauses (carrier, lane, paused_by, why)
SELECT carrier, lane, %(by)s, %(why)s FROM lanes WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[])
ON CONFLICT (carrier, lane) WHERE resumed_at IS NULL DO NOTHING
RETURNING *;

-- name: resume_lanes
UPDATE pauses SET resumed_at = now(), resumed_by = %(by)s, resumed_why = %(why)s
WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[]) AND resumed_at IS NULL
RETURNING *;

-- name: carriers
SELECT carrier, array_agg(lane ORDER BY lane) AS lanes FROM lanes GROUP BY carrier ORDER BY carrier;

-- name: holds
-- All that holds work back at this moment beside its own schedule: people, breakers, and carriers' limits.
SELECT now() AS now, carrier, lane, NULL AS limit_group, 'person' AS held_by, paused_at AS since, NULL::timestamptz AS until,
       why, paused_by AS who
FROM pauses WHERE resumed_at IS NULL
UNION ALL
SELECT now(), carrier, NULL, NULL, 'breaker', opened_at, held_until, why, NULL FROM breakers WHERE held_until IS NOT NULL
UNION ALL
SELECT now(), carrier, NULL, limit_group, 'limit', NULL, paused_until, why, NULL FROM budgets WHERE paused_until > now()
ORDER BY carrier, held_by, lane, limit_group;

-- name: pending_messages
SELECT order_id, version, document
FROM tellings
WHERE order_id = ANY(%(order_ids)s) AND told_at IS NULL AND channel = %(channel)s
ORDER BY order_id, version;

-- name: mark_delivered
-- The debt is paid unless another telling was owed meanwhile (`turn` moved on); then it is due again at once.
WITH paid AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(paid)s) AS paid (order_id uuid, generation integer)
), marked AS (
    UPDATE tellings SET told_at = now(), tries = tries + 1, trouble = NULL
    FROM jsonb_to_recordset(%(told)s) AS done (order_id uuid, version integer)
    WHERE tellings.order_id = done.order_id AND tellings.version = done.version AND tellings.channel = %(channel)s
)
DELETE FROM owed USING paid
WHERE owed.order_id = paid.order_id AND owed.lane = 'tell' AND owed.lease_token = %(token)s AND owed.turn = paid.generation;

-- name: mark_undelivered
UPDATE tellings SET tries = tries + 1, trouble = failed.trouble
FROM jsonb_to_recordset(%(failed)s) AS failed (order_id uuid, version integer, trouble text)
WHERE tellings.order_id = failed.order_id AND tellings.version = failed.version AND channel = %(channel)s;

-- name: raise_alarm
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, %(order_id)s, %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET times = alarms.times + 1, last_at = now(), detail = excluded.detail, cleared_at = NULL
RETURNING times;

-- name: note_alarm
-- What goes on being so. Told with the latest words, and counted as happening again once in a while only; the same when
-- it is about another order now.
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, %(order_id)s, %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET detail = excluded.detail, order_id = excluded.order_id,
    (times, last_at, cleared_at) = (
        SELECT alarms.times + again::integer, CASE WHEN again THEN now() ELSE alarms.last_at END,
               CASE WHEN NOT again THEN alarms.cleared_at END
        FROM (SELECT alarms.order_id IS DISTINCT FROM excluded.order_id
                  OR alarms.last_at < now() - %(again_after)s) AS happens (again))
RETURNING times;

-- name: drop_alarms
-- What is over by itself leaves no alarm: all of this sort at a carrier, but for those that still stand.
DELETE FROM alarms WHERE what = %(what)s AND carrier = %(carrier)s AND subject <> ALL(%(standing)s::text[]);

-- name: drop_alarms_unless
-- The same for alarms that are about an order, and over when it is in this state no more.
DELETE FROM alarms USING orders
WHERE alarms.order_id = orders.order_id AND what = %(what)s AND orders.state <> %(state)s;

-- name: alarms
SELECT * FROM alarms WHERE cleared_at IS NULL ORDER BY last_at DESC LIMIT %(limit)s;

-- name: clear_alarms
-- What happens again stands again. Without ids: all that stand.
UPDATE alarms SET cleared_at = now()
WHERE cleared_at IS NULL AND (%(alarm_ids)s::bigint[] IS NULL OR alarm_id = ANY(%(alarm_ids)s))
RETURNING *;

-- name: store_dead_letter
INSERT INTO dead_letters (queue, why, task_id, headers, body, size)
VALUES (%(queue)s, %(why)s, %(task_id)s, %(headers)s, %(body)s, %(size)s);

-- name: dead_letters
SELECT * FROM dead_letters ORDER BY letter_id DESC LIMIT %(limit)s;

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE letter_id = ANY(%(letter_ids)s::bigint[]) RETURNING *;

-- name: now
SELECT now() AS now;

-- name: read_orders
SELECT now() AS now, orders.* FROM orders WHERE order_id = ANY(%(order_ids)s);

-- name: find_by_key
SELECT now() AS now, orders.* FROM orders WHERE key = %(key)s ORDER BY accepted_at DESC;

-- name: find_by_carrier_order
SELECT order_id FROM orders WHERE carrier = %(carrier)s AND carrier_order_id = %(carrier_order_id)s;

-- name: numbers_of
SELECT order_id, e164, state, code, text FROM order_numbers WHERE order_id = ANY(%(order_ids)s) ORDER BY e164;

-- name: owed_to
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

-- name: story_of
SELECT version, at, event, state, late, detail FROM order_events WHERE order_id = %(order_id)s ORDER BY version;

-- name: trying_since
-- When the attempts began of which none left anything at the carrier; whatever else happened begins a new count.
SELECT min(at) AS since FROM order_events
WHERE order_id = %(order_id)s AND version > (
    SELECT max(version) FROM order_events
    WHERE order_id = %(order_id)s AND event NOT IN ('SubmissionBegun', 'NotSent', 'Hurried', 'ToldAgain'));

-- name: due_since
-- From when on an order was to be worked on: its producer may have wanted it to wait, and so may a rule, the first time.
SELECT greatest(accepted_at, (request ->> 'not_before')::timestamptz, (
    SELECT (detail ->> 'not_before')::timestamptz FROM order_events
    WHERE order_events.order_id = orders.order_id AND event IN ('Deferred', 'PartSettled') ORDER BY version LIMIT 1)) AS since
FROM orders WHERE order_id = %(order_id)s;

-- name: last_moves
-- What happened last to each of these orders that moved it. That somebody was impatient moved nothing.
SELECT DISTINCT ON (order_id) order_id, event FROM order_events
WHERE order_id = ANY(%(order_ids)s) AND NOT late AND event <> 'Hurried'
ORDER BY order_id, version DESC;

-- name: waiting_at
-- Orders that wait for their time at one carrier, on one lane or on any: so many, behind the last that was given.
SELECT DISTINCT order_id FROM owed
WHERE carrier = %(carrier)s AND (%(lane)s::text IS NULL OR lane = %(lane)s) AND not_before > now()
  AND lease_token IS NULL AND serial_key IS NULL AND (%(after)s::uuid IS NULL OR order_id > %(after)s)
ORDER BY order_id LIMIT %(limit)s;

-- name: receipts_of
SELECT at, request, status, trouble, sent, answer, elapsed_ms
FROM receipts WHERE order_id = %(order_id)s ORDER BY receipt_id;

-- name: list_orders
SELECT orders.order_id, key, carrier, kind, state, carrier_status, reason, accepted_at, moved_at, ended_at, request,
       now() AS now
FROM orders
WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(older_than)s::interval IS NULL OR accepted_at < now() - %(older_than)s)
  AND (%(younger_than)s::interval IS NULL OR accepted_at >= now() - %(younger_than)s)
ORDER BY accepted_at DESC
LIMIT %(limit)s;

-- name: count_by_state
SELECT state, count(*) AS orders FROM orders GROUP BY state;

-- name: forget_receipts
WITH old AS (
    SELECT receipt_id FROM receipts WHERE at < now() - %(older_than)s ORDER BY at LIMIT %(at_once)s
), forgotten AS (
    DELETE FROM receipts USING old WHERE receipts.receipt_id = old.receipt_id RETURNING receipts.receipt_id
)
SELECT count(*) AS forgotten FROM forgotten;
