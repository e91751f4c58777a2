-- name: pending_messages
-- One that was given up is pending until a later one was delivered.
SELECT order_id, version, document
FROM tellings
WHERE order_id = ANY(%(order_ids)s) AND told_at IS NULL AND channel = %(channel)s AND (gave_up_at IS NULL OR NOT EXISTS (
    SELECT FROM tellings AS later
    WHERE later.order_id = tellings.order_id AND later.channel = tellings.channel AND later.version > tellings.version
      AND later.told_at IS NOT NULL))
ORDER BY order_id, version;

-- name: messages_of
-- The documents of one order and what became of each; with those for a URL, when the next attempt is.
SELECT version, channel, document ->> 'state' AS state, told_at, tries, trouble, tried_since, gave_up_at,
       not_before AS next_at, lease_token IS NOT NULL AS in_hand
FROM tellings
LEFT JOIN webhook_deliveries AS delivery
    ON delivery.order_id = tellings.order_id AND channel = 'url' AND told_at IS NULL AND gave_up_at IS NULL
WHERE tellings.order_id = %(order_id)s
UNION ALL
SELECT message.version, message.channel, document ->> 'state', told_at, tries, trouble, tried_since, gave_up_at, NULL, false
FROM archived_orders AS archived, LATERAL jsonb_populate_recordset(NULL::tellings, messages) AS message
WHERE archived.order_id = %(order_id)s AND removed_at IS NOT NULL
ORDER BY version, channel;

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
