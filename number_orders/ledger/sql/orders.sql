-- name: record_steps
-- Write the steps of a group of orders, each whole: event, order, numbers, work items, document for the producer, alarms.
-- Of an order that has moved since it was read nothing is written, and it is not returned. The others are, each with the
-- numbers that it acquired while another order holds them: the carrier sold one twice, or we misread it. That is an alarm too.
-- A step's new work items replace those on the lanes submit and ask, unless it keeps them. Late news brings none.
WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(steps)s) AS i (
        order_id uuid, from_version integer, from_state text, state text, ends boolean, carrier_order_id text, carrier_status text,
        reason text, progress jsonb, cancel_asked_at timestamptz, sends integer, losses integer, doubt_since timestamptz, doubt_asks integer,
        history_lost_at timestamptz, other_carrier_orders text[],
        event text, late boolean, keeps_work boolean, reminds boolean, releases_serial_lock boolean, detail jsonb, numbers jsonb, effects jsonb,
        wanted integer, approves boolean, unbought integer, notification jsonb, channels text[], alarms jsonb)
), moved AS (
    UPDATE orders
    SET state = input.state, version = input.from_version + 1, reason = input.reason,
        carrier_order_id = input.carrier_order_id, carrier_status = input.carrier_status,
        progress = coalesce(input.progress, orders.progress),  -- null: keep what was stored since the order was read
        cancel_asked_at = input.cancel_asked_at,
        sends = input.sends, losses = input.losses, doubt_since = input.doubt_since, doubt_asks = input.doubt_asks,
        history_lost_at = greatest(input.history_lost_at, orders.history_lost_at),
        other_carrier_orders = input.other_carrier_orders,
        charged_at = CASE WHEN input.approves THEN coalesce(orders.charged_at, clock_timestamp()) ELSE orders.charged_at END,
        moved_at = CASE WHEN input.reminds THEN orders.moved_at ELSE now() END,
        ended_at = CASE WHEN input.ends THEN coalesce(orders.ended_at, now()) END
    FROM input
    -- A ledger that fell back in time gives versions out again.
    WHERE orders.order_id = input.order_id AND orders.version = input.from_version AND orders.state = input.from_state
    RETURNING orders.order_id, orders.version, orders.carrier, orders.kind, orders.account, orders.state, orders.ended_at,
              orders.producer, orders.charged_at
), step AS MATERIALIZED (
    SELECT input.*, moved.version, moved.carrier, moved.kind, moved.account, moved.ended_at, moved.producer, moved.charged_at FROM moved JOIN input USING (order_id)
), new_events AS (
    INSERT INTO order_events (order_id, version, event, state, late, detail)
    SELECT order_id, version, event, state, late, detail FROM step
), result AS MATERIALIZED (
    SELECT step.order_id, step.carrier, step.kind, step.account, number.*
    FROM step, jsonb_to_recordset(step.numbers) AS number (e164 text, state text, code text, text text, held_since timestamptz)
    WHERE NOT step.late
), numbers AS (
    INSERT INTO order_numbers (order_id, e164, state, code, text)
    SELECT order_id, e164, state, code, text FROM result
    ON CONFLICT (order_id, e164) DO UPDATE
    SET state = excluded.state, code = excluded.code, text = excluded.text, changed_at = now()
), sent AS NOT MATERIALIZED (
    SELECT order_id, at FROM order_events WHERE event = 'SubmissionBegun'
), released AS (
    -- `acquired_at` may be later than now(): the transaction that acquired the number may have begun after this one.
    UPDATE held_numbers SET released_by = result.order_id, released_at = greatest(now(), acquired_at)
    FROM result
    WHERE held_numbers.e164 = result.e164 AND held_numbers.carrier = result.carrier
      AND result.state IN ('released', 'withdrawn')
      -- A removal releases whatever holds the number. A purchase loses what it has brought itself.
      AND ((result.kind = 'remove_numbers' AND result.state = 'released') OR held_numbers.acquired_by = result.order_id)
      -- An order releases a number once. When it reports the number again, another order may hold it again.
      AND NOT EXISTS (
          SELECT FROM order_numbers AS known
          WHERE known.order_id = result.order_id AND known.e164 = result.e164 AND known.state = 'released')
      -- A number that its holder was sent for after this order has come again since.
      AND (result.state = 'withdrawn' OR coalesce((SELECT max(at) FROM sent WHERE order_id = acquired_by), acquired_at)
                                         <= coalesce((SELECT max(at) FROM sent WHERE order_id = result.order_id), 'infinity'))
      AND released_at IS NULL
    RETURNING held_numbers.held_id, held_numbers.e164, held_numbers.carrier, result.order_id, result.state
), came_again AS (
    -- So has one that another order was sent for after this one, and has brought already: that one holds it now.
    SELECT DISTINCT ON (released.e164) released.e164, released.carrier, holder.account, holder.order_id
    FROM released
    JOIN order_numbers AS known ON known.e164 = released.e164 AND known.state IN ('acquired', 'usable')
    JOIN orders AS holder ON holder.order_id = known.order_id AND holder.carrier = released.carrier
    WHERE released.state = 'released'
      AND (SELECT max(at) FROM sent WHERE order_id = holder.order_id) > (SELECT max(at) FROM sent WHERE order_id = released.order_id)
    ORDER BY released.e164, holder.order_id DESC
), acquired AS MATERIALIZED (
    SELECT * FROM result
    WHERE state IN ('acquired', 'usable')
      -- An order acquires a number once. When it reports the number again, another order may have released it meanwhile.
      AND NOT EXISTS (
          SELECT FROM order_numbers AS known
          WHERE known.order_id = result.order_id AND known.e164 = result.e164 AND known.state IN ('acquired', 'usable'))
), held AS (
    -- Counting the released rows makes PostgreSQL release first: a group may release a number and acquire it again.
    INSERT INTO held_numbers (e164, carrier, account, acquired_by, acquired_at)
    SELECT e164, carrier, account, order_id, least(held_since, now()) FROM acquired WHERE (SELECT count(*) FROM released) >= 0
    UNION ALL
    SELECT e164, carrier, account, order_id, now() FROM came_again
    ON CONFLICT (e164) WHERE released_at IS NULL DO NOTHING
    RETURNING e164, acquired_by
), held_elsewhere AS (
    -- By an order of this group, by one of before, or by one that is written at this moment, which cannot be seen.
    SELECT acquired.order_id, acquired.e164, acquired.carrier, coalesce(held.acquired_by, before.acquired_by) AS holder
    FROM acquired
    LEFT JOIN held USING (e164)
    LEFT JOIN held_numbers AS before ON before.e164 = acquired.e164 AND before.released_at IS NULL
    WHERE acquired.order_id IS DISTINCT FROM held.acquired_by AND acquired.order_id IS DISTINCT FROM before.acquired_by
), new_work AS (
    SELECT step.order_id, step.carrier, step.kind, effect.*,
           -- A reminder brings the next look forward, and the looks before it still count.
           CASE WHEN step.reminds THEN coalesce((
               SELECT confirmed FROM owed WHERE owed.order_id = step.order_id AND owed.lane = effect.lane), 0)
           ELSE 0 END AS confirmed
    FROM step, jsonb_to_recordset(step.effects) AS effect (lane text, not_before timestamptz, reason text)
), corrected AS (
    -- What a parked order takes when it is approved, and what an order that has ended gives back (`allowance_corrections`).
    INSERT INTO allowance_corrections (producer, carrier, charged_at, numbers)
    SELECT producer, carrier, charged_at, wanted FROM step WHERE approves AND charged_at >= now()
    UNION ALL
    SELECT producer, carrier, charged_at, -unbought FROM step WHERE unbought > 0 AND charged_at > now() - '1 day'::interval
), done_work AS (
    DELETE FROM owed USING step
    WHERE owed.order_id = step.order_id AND owed.lane IN ('submit', 'ask') AND NOT step.keeps_work
      AND NOT EXISTS (SELECT FROM new_work WHERE new_work.order_id = owed.order_id AND new_work.lane = owed.lane)
), released_lock AS (
    DELETE FROM turns USING step
    WHERE turns.order_id = step.order_id AND step.releases_serial_lock
      -- The numbers that an order names stay its own until it has ended, or nothing of it can have been sent: an attempt
      -- that was in doubt may have arrived after all.
      AND (step.ends OR turns.serial_key NOT LIKE 'number +%%'
           OR (step.state = 'ACCEPTED' AND step.losses = 0 AND step.doubt_since IS NULL))
    RETURNING turns.carrier, turns.serial_key
), woken AS (
    -- Wake the oldest order that waits for the lock. One that starts to wait at this moment may be missed: it tries again
    -- by itself (`wait_for_serial_locks`).
    UPDATE owed SET not_before = now(), serial_key = NULL
    FROM released_lock, LATERAL (
        SELECT order_id FROM owed AS waiting
        WHERE waiting.carrier = released_lock.carrier AND waiting.serial_key = released_lock.serial_key
          AND NOT EXISTS (SELECT FROM step WHERE step.order_id = waiting.order_id)  -- its work items are written below
        ORDER BY order_id LIMIT 1
    ) AS first
    WHERE owed.order_id = first.order_id AND owed.lane = 'submit' AND owed.lease_token IS NULL
), stored_work AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before, reason, confirmed)
    SELECT order_id, lane, carrier, kind, not_before, reason, confirmed FROM new_work
    ON CONFLICT (order_id, lane) DO UPDATE
    SET reason = excluded.reason, attempts = 0, confirmed = excluded.confirmed, turn = owed.turn + 1, serial_key = NULL,
        -- A delivery under way keeps its lease: otherwise a later document could overtake it.
        lease_token = CASE WHEN owed.lane = 'tell' THEN owed.lease_token END,
        not_before = CASE WHEN owed.lane = 'tell' AND owed.lease_token IS NOT NULL THEN owed.not_before
                          ELSE excluded.not_before END
), new_messages AS (
    INSERT INTO tellings (order_id, version, channel, document)
    SELECT order_id, version, channel, notification || jsonb_build_object('ended_at', to_char(ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
    FROM step, unnest(channels) AS channel
    WHERE notification IS NOT NULL
), raised AS (
    INSERT INTO alarms (what, subject, carrier, order_id, detail)
    SELECT alarm.what, order_id::text, carrier, order_id, alarm.detail
    FROM step, jsonb_to_recordset(step.alarms) AS alarm (what text, detail text)
    UNION ALL (
        SELECT DISTINCT ON (e164) %(held_twice)s, e164, carrier, order_id,
               format('%%s was acquired while %%s held it', e164, coalesce('order ' || holder, 'another order'))
        FROM held_elsewhere ORDER BY e164, order_id)
    ON CONFLICT (what, subject) DO UPDATE
    SET times = alarms.times + 1, last_at = now(), order_id = excluded.order_id, detail = excluded.detail, cleared_at = NULL
)
SELECT moved.order_id, ARRAY(SELECT e164 FROM held_elsewhere WHERE held_elsewhere.order_id = moved.order_id) AS held_elsewhere FROM moved;

-- name: keep_progress
-- Guarded by the version of the order when the conversation began, so a worker that has lost the order stores nothing; and
-- by the progress before, since two workers may ask about one order at once. Storing the same progress twice succeeds: the
-- statement is repeated when its connection breaks.
UPDATE orders SET progress = %(progress)s
WHERE order_id = %(order_id)s AND version = %(version)s AND progress IN (%(known)s, %(progress)s)
RETURNING order_id;

-- name: read_orders
-- Archived orders too.
SELECT now() AS now, orders.*, NULL::timestamptz AS archived_at, NULL::timestamptz AS purged_at
FROM orders WHERE order_id = ANY(%(order_ids)s)
UNION ALL
SELECT now(), orders.*, removed_at, purged_at FROM archived_orders AS archived, LATERAL jsonb_populate_record(NULL::orders, whole) AS orders
WHERE archived.order_id = ANY(%(order_ids)s) AND removed_at IS NOT NULL;

-- name: find_by_key
WITH RECURSIVE known (producer) AS (  -- one probe of the index for each producer
    SELECT min(producer) FROM orders
    UNION ALL
    SELECT (SELECT min(producer) FROM orders WHERE producer > known.producer) FROM known WHERE known.producer IS NOT NULL
), archived (producer) AS (
    SELECT min(producer) FROM archived_orders
    UNION ALL
    SELECT (SELECT min(producer) FROM archived_orders WHERE producer > archived.producer) FROM archived
    WHERE archived.producer IS NOT NULL
)
SELECT now() AS now, orders.*
FROM (
    SELECT found.* FROM known JOIN orders AS found ON found.producer = known.producer AND found.key = %(key)s
    UNION ALL
    SELECT restored.*
    FROM archived JOIN archived_orders AS kept ON kept.producer = archived.producer AND kept.key = %(key)s,
    LATERAL jsonb_populate_record(NULL::orders, kept.whole) AS restored
    WHERE kept.removed_at IS NOT NULL
) AS orders
ORDER BY accepted_at DESC;

-- name: find_by_carrier_order
SELECT order_id FROM orders WHERE carrier = %(carrier)s AND carrier_order_id = %(carrier_order_id)s
UNION
SELECT order_id FROM archived_orders WHERE carrier = %(carrier)s AND carrier_order_id = %(carrier_order_id)s;

-- name: list_orders
-- A page of orders, newest first. A plan serves all calls, so each way to find the orders is a statement of its own.
SELECT now() AS now, orders.* FROM orders
WHERE (accepted_at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid) AND accepted_at >= %(since)s::timestamptz
  AND state = ANY(%(states)s) AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY accepted_at DESC, order_id DESC
LIMIT %(limit)s;

-- name: list_orders_of_producer
SELECT now() AS now, orders.* FROM orders
WHERE producer = %(producer)s
  -- With the producer in the bounds, only the index of its orders serves them.
  AND (producer, accepted_at, order_id) < (%(producer)s, %(before)s::timestamptz, %(before_id)s::uuid)
  AND (producer, accepted_at) >= (%(producer)s, %(since)s::timestamptz)
  AND state = ANY(%(states)s) AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY accepted_at DESC, order_id DESC
LIMIT %(limit)s;

-- name: list_orders_among
SELECT now() AS now, orders.*
FROM (  -- found by their ids, then filtered
    SELECT * FROM orders WHERE order_id = ANY(%(order_ids)s)
    UNION ALL
    SELECT restored.* FROM archived_orders AS archived, LATERAL jsonb_populate_record(NULL::orders, whole) AS restored
    WHERE archived.order_id = ANY(%(order_ids)s) AND removed_at IS NOT NULL
    OFFSET 0
) AS orders
WHERE (%(producer)s::text IS NULL OR producer = %(producer)s)
  AND (accepted_at, order_id) < (%(before)s::timestamptz, %(before_id)s::uuid) AND accepted_at >= %(since)s::timestamptz
  AND state = ANY(%(states)s) AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY accepted_at DESC, order_id DESC
LIMIT %(limit)s;

-- name: find_by_producer_and_key
SELECT order_id FROM orders WHERE producer = %(producer)s AND key = %(key)s
UNION
SELECT order_id FROM archived_orders WHERE producer = %(producer)s AND key = %(key)s;

-- name: find_by_number
-- The orders in which something became of a number, and the unfinished ones that name it.
SELECT order_id FROM order_numbers WHERE e164 = %(number)s
UNION
SELECT order_id FROM orders
WHERE request -> 'numbers' ? %(number)s::text AND request ? 'numbers' AND ended_at IS NULL
UNION
SELECT order_id FROM archived_orders WHERE numbers @> jsonb_build_array(jsonb_build_object('e164', %(number)s::text));

-- name: count_by_state
SELECT state, count(*) AS orders FROM orders GROUP BY state;
