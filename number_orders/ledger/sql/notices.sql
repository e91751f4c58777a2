-- name: store_notices
-- Store a group of notices, each once. A copy of a stored one is a hint like any other: the order is matched again. Of what
-- cannot be read an alarm is raised, one for each carrier. The input is sorted, so that two groups cannot wait for each other.
WITH input AS MATERIALIZED (
    SELECT *, carrier_order_id IS NOT NULL OR reference IS NOT NULL AS names_order
    FROM jsonb_to_recordset(%(notices)s) AS i (
        carrier text, digest text, carrier_order_id text, reference text, body text, trouble text, copies integer)
), stored AS (
    INSERT INTO notices (carrier, digest, carrier_order_id, reference, body, trouble, copies, match_at, handled_at)
    SELECT carrier, decode(digest, 'hex'), carrier_order_id, reference, body, trouble, copies,
           CASE WHEN names_order THEN now() END, CASE WHEN NOT names_order THEN now() END
    FROM input
    ON CONFLICT (carrier, digest) DO UPDATE
    SET copies = notices.copies + excluded.copies, received_at = now(), match_at = excluded.match_at,
        handled_at = excluded.handled_at
), raised AS (
    INSERT INTO alarms (what, subject, carrier, detail, times)
    SELECT %(alarm)s, carrier, carrier, min(trouble), sum(copies) FROM input WHERE trouble IS NOT NULL GROUP BY carrier
    ON CONFLICT (what, subject) DO UPDATE
    SET times = alarms.times + excluded.times, last_at = now(), detail = excluded.detail, cleared_at = NULL
)
SELECT count(*) AS stored FROM input;

-- name: apply_notices
-- Make the questions due that the waiting notices call for. An order that is open or in doubt is asked about now, or
-- `every` after the last question that a notice brought, whichever is later: many notices are one question. A question
-- that is under way may have been answered before the notice: its notice waits until it is over. So does a notice about
-- an order that is being sent, and one about no order of ours, at growing intervals, for three days. An early question does not count as
-- an attempt, so notices never slow down the questions that come without them.
WITH waiting AS MATERIALIZED (
    SELECT notice_id, carrier, carrier_order_id, reference, received_at FROM notices
    WHERE handled_at IS NULL AND match_at <= now()
    ORDER BY match_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), matched AS MATERIALIZED (
    SELECT waiting.notice_id, orders.order_id, orders.state
    FROM waiting JOIN orders ON orders.carrier = waiting.carrier AND orders.carrier_order_id = waiting.carrier_order_id
    UNION
    SELECT waiting.notice_id, orders.order_id, orders.state
    FROM waiting JOIN orders ON orders.carrier = waiting.carrier AND orders.ended_at IS NULL
                            AND coalesce(orders.reference, orders.order_id::text) = waiting.reference
), asked AS (
    UPDATE owed
    SET (not_before, attempts, hurried_at) = (
        SELECT CASE WHEN sooner THEN at ELSE owed.not_before END, greatest(owed.attempts - sooner::integer, 0),
               CASE WHEN sooner THEN at ELSE owed.hurried_at END
        FROM (SELECT at, at < owed.not_before AS sooner
              FROM (SELECT CASE WHEN owed.hurried_at > now() THEN owed.hurried_at
                                ELSE greatest(now(), owed.hurried_at + %(every)s) END AS at) AS earliest) AS next)
    WHERE owed.order_id = ANY(ARRAY(SELECT order_id FROM matched WHERE state IN ('OPEN', 'IN_DOUBT')))
      AND owed.lane = 'ask' AND owed.lease_token IS NULL AND owed.serial_key IS NULL
    RETURNING owed.order_id, owed.carrier, owed.not_before
), outcome AS (
    SELECT waiting.notice_id, waiting.received_at, min(matched.order_id::text)::uuid AS order_id,
           coalesce(bool_or(matched.state NOT IN ('ACCEPTED', 'SUBMITTING', 'OPEN', 'IN_DOUBT') OR asked.order_id IS NOT NULL),
                    false) OR waiting.received_at < now() - '3 days'::interval AS is_done
    FROM waiting LEFT JOIN matched USING (notice_id) LEFT JOIN asked ON asked.order_id = matched.order_id
    GROUP BY waiting.notice_id, waiting.received_at
), noted AS (
    UPDATE notices
    SET order_id = coalesce(outcome.order_id, notices.order_id), handled_at = CASE WHEN is_done THEN now() END,
        match_at = now() + least('1 hour'::interval, CASE
            WHEN outcome.order_id IS NULL THEN greatest('5 s'::interval, 2 * (now() - outcome.received_at))
            ELSE greatest('0.5 s'::interval, now() - outcome.received_at) END)
    FROM outcome WHERE notices.notice_id = outcome.notice_id
)
SELECT (SELECT count(*) FROM waiting) AS looked_at,
       coalesce(array_agg(DISTINCT carrier) FILTER (WHERE not_before <= now()), '{}') AS due
FROM asked;

-- name: orders_named_in_notices
-- The carrier orders that notices about these orders have named, each since a moment of its own.
SELECT DISTINCT order_id, carrier_order_id
FROM unnest(%(order_ids)s::uuid[], %(since)s::timestamptz[]) AS wanted (order_id, since) JOIN notices USING (order_id)
WHERE carrier_order_id IS NOT NULL AND trouble IS NULL AND received_at >= since
ORDER BY order_id, carrier_order_id;

-- name: forget_notices
-- Deletes a limited number at once, to stay below the statement timeout.
WITH old AS (
    SELECT notice_id FROM notices WHERE received_at < now() - %(older_than)s ORDER BY received_at LIMIT %(at_once)s
), forgotten AS (
    DELETE FROM notices USING old WHERE notices.notice_id = old.notice_id RETURNING notices.notice_id
)
SELECT count(*) AS forgotten FROM forgotten;

-- name: notices_by_carrier
SELECT carrier, count(*) AS notices, sum(copies) AS copies, max(received_at) AS last_at,
       coalesce(sum(copies) FILTER (WHERE order_id IS NOT NULL), 0) AS matched, count(DISTINCT order_id) AS orders,
       count(*) FILTER (WHERE trouble IS NOT NULL) AS unreadable, count(*) FILTER (WHERE handled_at IS NULL) AS waiting
FROM notices WHERE received_at > now() - %(since)s GROUP BY carrier ORDER BY carrier;
