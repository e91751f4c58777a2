-- name: pending_messages
SELECT order_id, version, document
FROM tellings
WHERE order_id = ANY(%(order_ids)s) AND told_at IS NULL AND channel = %(channel)s
ORDER BY order_id, version;

-- name: mark_delivered
-- The work item of an order is deleted unless it was renewed since the claim (`turn` has moved on): then the order has a
-- new message, which is due.
WITH done AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(done)s) AS done (order_id uuid, generation integer)
), marked AS (
    UPDATE tellings SET told_at = now(), tries = tries + 1, trouble = NULL
    FROM jsonb_to_recordset(%(delivered)s) AS delivered (order_id uuid, version integer)
    WHERE tellings.order_id = delivered.order_id AND tellings.version = delivered.version AND tellings.channel = %(channel)s
)
DELETE FROM owed USING done
WHERE owed.order_id = done.order_id AND owed.lane = 'tell' AND owed.lease_token = %(token)s AND owed.turn = done.generation;

-- name: mark_undelivered
UPDATE tellings SET tries = tries + 1, trouble = failed.trouble
FROM jsonb_to_recordset(%(failed)s) AS failed (order_id uuid, version integer, trouble text)
WHERE tellings.order_id = failed.order_id AND tellings.version = failed.version AND channel = %(channel)s;
