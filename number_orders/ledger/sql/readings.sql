-- name: put_question
-- Note an order's question about a list, and see to it that a reading comes which answers it. A question that waits
-- already keeps its time. `reading_id` is of the latest whole reading that began after the question was put.
WITH put AS (
    INSERT INTO list_questions (order_id, list_name, question, carrier, asked_at)
    SELECT order_id, %(list_name)s, %(question)s, %(carrier)s, clock_timestamp() FROM orders WHERE order_id = %(order_id)s
    ON CONFLICT (order_id, list_name, question) DO UPDATE SET carrier = excluded.carrier
    RETURNING asked_at
), answering AS (
    SELECT reading_id FROM put, readings
    WHERE carrier = %(carrier)s AND list_name = %(list_name)s AND whole_at IS NOT NULL AND began_at > asked_at
    ORDER BY began_at DESC LIMIT 1
), wanted AS (
    -- It begins a little later, so that orders which ask together are answered together.
    INSERT INTO readings (carrier, list_name, not_before)
    SELECT %(carrier)s, %(list_name)s, now() + %(begins_after)s WHERE NOT EXISTS (SELECT FROM answering)
    ON CONFLICT (carrier, list_name) WHERE whole_at IS NULL DO NOTHING
)
SELECT now() AS now, answering.reading_id, under_way.pages, under_way.trouble, last.lasted
FROM put
LEFT JOIN answering ON true
LEFT JOIN readings AS under_way
    ON under_way.carrier = %(carrier)s AND under_way.list_name = %(list_name)s AND under_way.whole_at IS NULL
LEFT JOIN LATERAL (
    SELECT whole_at - began_at AS lasted FROM readings
    WHERE carrier = %(carrier)s AND list_name = %(list_name)s AND whole_at IS NOT NULL ORDER BY began_at DESC LIMIT 1
) AS last ON true;

-- name: find_in_reading
-- What a whole reading has of some numbers, and of those inserted since a moment. The question is answered by that. The
-- first row has only the time of the reading. No row: the reading is gone.
WITH reading AS MATERIALIZED (
    SELECT reading_id, began_at FROM readings WHERE reading_id = %(reading_id)s AND whole_at IS NOT NULL
), answered AS (
    DELETE FROM list_questions
    WHERE order_id = %(order_id)s AND list_name = %(list_name)s AND question = %(question)s AND EXISTS (SELECT FROM reading)
)
SELECT began_at, NULL AS e164, NULL::timestamptz AS inserted_at, NULL::jsonb AS detail FROM reading
UNION ALL
SELECT reading.began_at, number.e164, number.inserted_at, number.detail
FROM reading JOIN listed_numbers AS number USING (reading_id)
WHERE number.e164 = ANY(%(numbers)s::text[])
UNION ALL
-- By itself, not by OR: each part has an index.
SELECT reading.began_at, number.e164, number.inserted_at, number.detail
FROM reading JOIN listed_numbers AS number USING (reading_id)
WHERE number.inserted_at >= %(since)s::timestamptz AND number.e164 <> ALL(%(numbers)s::text[]);

-- name: lease_reading
-- Lease one reading of a carrier that is due to one worker. Its time is that of its first lease, before any page is asked
-- for. Nothing is read while the lane `ask` is paused, or the carrier has paused a limit of the lane. While the breaker is
-- open, one page is the probe if no order is: orders may wait for the reading before they send anything. `probe_at` says so.
-- A reading that nobody waits for is deleted: the last question is older than a day, and its order is owed nothing.
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT list_name FROM list_questions AS question
    WHERE carrier = %(carrier)s AND (
        asked_at > now() - '1 day'::interval
        OR EXISTS (SELECT FROM owed WHERE owed.order_id = question.order_id AND lane IN ('submit', 'ask')))
), unwanted AS (
    DELETE FROM readings
    WHERE carrier = %(carrier)s AND whole_at IS NULL AND not_before <= now() AND list_name NOT IN (SELECT list_name FROM wanted)
    RETURNING reading_id
), unwanted_numbers AS (
    DELETE FROM listed_numbers WHERE reading_id = ANY(ARRAY(SELECT reading_id FROM unwanted))
), breaker AS MATERIALIZED (
    SELECT held_until <= now() AND (probe_until IS NULL OR probe_until <= now()) AS may_be_probed
    FROM breakers WHERE carrier = %(carrier)s AND held_until IS NOT NULL
    FOR UPDATE
), due AS MATERIALIZED (
    SELECT reading_id FROM readings
    WHERE carrier = %(carrier)s AND whole_at IS NULL AND not_before <= now() AND list_name IN (SELECT list_name FROM wanted)
      AND NOT EXISTS (SELECT FROM pauses WHERE carrier = %(carrier)s AND lane = 'ask' AND resumed_at IS NULL)
      AND NOT EXISTS (SELECT FROM breaker WHERE NOT may_be_probed)
      AND NOT EXISTS (
          SELECT FROM draws JOIN budgets USING (carrier, limit_group)
          WHERE carrier = %(carrier)s AND lane = 'ask' AND paused_until > now())
    ORDER BY not_before, reading_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), probe_taken AS (
    UPDATE breakers SET probe_token = %(token)s, probe_until = now() + %(probe)s
    WHERE carrier = %(carrier)s AND EXISTS (SELECT FROM breaker) AND EXISTS (SELECT FROM due)
)
UPDATE readings SET
    not_before = now() + %(lease)s, lease_token = %(token)s, began_at = coalesce(began_at, clock_timestamp())
FROM due WHERE readings.reading_id = due.reading_id
RETURNING readings.reading_id, list_name, cursor, pages, faults, (SELECT now() FROM breaker) AS probe_at;

-- name: add_page
-- Add one page to a leased reading, and renew the lease. `after` is the cursor of the next page; null: the reading is
-- whole. Then every order whose question it answers is due, an older reading is deleted, and the next reading is made for
-- questions that came too late for this one. An order that is being sent, or is in doubt, is due at its own time.
-- No row: the lease is another's, or the page was added before.
WITH reading AS (
    UPDATE readings SET
        cursor = %(after)s, pages = pages + 1, faults = 0, trouble = NULL, not_before = now() + %(lease)s,
        lease_token = CASE WHEN %(after)s::text IS NOT NULL THEN lease_token END,
        whole_at = CASE WHEN %(after)s::text IS NULL THEN clock_timestamp() END
    WHERE reading_id = %(reading_id)s AND lease_token = %(token)s AND whole_at IS NULL
      AND cursor IS NOT DISTINCT FROM %(cursor)s
    RETURNING reading_id, carrier, list_name, began_at, pages, whole_at
), added AS (
    INSERT INTO listed_numbers (reading_id, e164, inserted_at, detail)
    SELECT reading_id, e164, inserted_at, detail
    FROM reading, jsonb_to_recordset(%(numbers)s) AS number (e164 text, inserted_at timestamptz, detail jsonb)
    -- If a number has two entries, the later one counts.
    ON CONFLICT (reading_id, e164) DO UPDATE SET inserted_at = excluded.inserted_at, detail = excluded.detail
    WHERE listed_numbers.inserted_at <= excluded.inserted_at
), woken AS (
    UPDATE owed SET not_before = now()
    FROM reading, list_questions AS question, orders
    WHERE reading.whole_at IS NOT NULL AND question.carrier = reading.carrier AND question.list_name = reading.list_name
      AND question.asked_at < reading.began_at
      AND owed.order_id = question.order_id AND owed.lane IN ('submit', 'ask') AND owed.lease_token IS NULL
      AND owed.not_before > now() AND orders.order_id = question.order_id AND orders.state NOT IN ('SUBMITTING', 'IN_DOUBT')
), next AS (
    INSERT INTO readings (carrier, list_name, not_before)
    SELECT carrier, list_name, now() + %(begins_after)s FROM reading
    WHERE whole_at IS NOT NULL AND EXISTS (
        SELECT FROM list_questions AS question
        WHERE question.carrier = reading.carrier AND question.list_name = reading.list_name AND asked_at >= began_at)
    ON CONFLICT (carrier, list_name) WHERE whole_at IS NULL DO NOTHING
), older AS (
    DELETE FROM readings USING reading
    WHERE reading.whole_at IS NOT NULL AND readings.carrier = reading.carrier AND readings.list_name = reading.list_name
      AND readings.whole_at IS NOT NULL AND readings.reading_id <> reading.reading_id
    RETURNING readings.reading_id
), older_numbers AS (
    DELETE FROM listed_numbers WHERE reading_id = ANY(ARRAY(SELECT reading_id FROM older))
), forgotten AS (
    DELETE FROM list_questions AS question USING reading
    WHERE reading.whole_at IS NOT NULL AND question.carrier = reading.carrier AND question.list_name = reading.list_name
      AND asked_at < now() - '1 day'::interval
      AND NOT EXISTS (SELECT FROM owed WHERE owed.order_id = question.order_id AND lane IN ('submit', 'ask'))
)
SELECT pages, whole_at IS NOT NULL AS whole FROM reading;

-- name: put_back_reading
-- Give a leased reading back, due at `not_before`; null: now.
UPDATE readings SET not_before = greatest(now(), %(not_before)s::timestamptz), lease_token = NULL
WHERE reading_id = %(reading_id)s AND lease_token = %(token)s;

-- name: put_off_reading
-- Give a leased reading back after a fault, due after a pause, and not before `not_before`. With `restart`, it begins again at the first page.
WITH reading AS (
    UPDATE readings SET
        not_before = greatest(now() + %(pause)s, %(not_before)s::timestamptz), lease_token = NULL,
        faults = faults + 1, trouble = %(trouble)s,
        began_at = CASE WHEN %(restart)s THEN NULL ELSE began_at END,
        cursor = CASE WHEN %(restart)s THEN NULL ELSE cursor END,
        pages = CASE WHEN %(restart)s THEN 0 ELSE pages END
    WHERE reading_id = %(reading_id)s AND lease_token = %(token)s
    RETURNING reading_id
)
DELETE FROM listed_numbers WHERE %(restart)s AND reading_id = ANY(ARRAY(SELECT reading_id FROM reading));
