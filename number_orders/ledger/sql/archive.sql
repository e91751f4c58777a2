-- part: owes_nothing
      -- Nothing is owed to the order, nobody is to look at it, and nothing of it would be lost: no work item (a late look is
      -- one), no undelivered document, no notice, no receipt, no alarm that nobody has cleared.
      NOT EXISTS (SELECT FROM owed WHERE owed.order_id = orders.order_id)
      AND NOT EXISTS (SELECT FROM turns WHERE turns.order_id = orders.order_id)
      AND NOT EXISTS (SELECT FROM webhook_deliveries AS queued WHERE queued.order_id = orders.order_id)
      AND NOT EXISTS (SELECT FROM list_questions AS question WHERE question.order_id = orders.order_id)
      AND NOT EXISTS (SELECT FROM notices WHERE notices.order_id = orders.order_id)
      AND NOT EXISTS (SELECT FROM receipts WHERE receipts.order_id = orders.order_id)
      AND NOT EXISTS (
          SELECT FROM alarms
          WHERE cleared_at IS NULL AND (alarms.order_id = orders.order_id OR alarms.subject = orders.order_id::text))
      AND NOT EXISTS (
          SELECT FROM tellings AS message
          WHERE message.order_id = orders.order_id AND message.told_at IS NULL AND NOT EXISTS (
              SELECT FROM tellings AS later
              WHERE later.order_id = message.order_id AND later.channel = message.channel
                AND later.version > message.version AND later.told_at IS NOT NULL))

-- part: no_guard_period
      -- In a guard period orders may be about to be found again.
      NOT EXISTS (SELECT FROM guard WHERE ends_at > now())

-- name: archive_orders
-- Copy orders that ended long ago into the archive, the oldest first. They stay in `orders` until `remove_archived`. What
-- ended before `ended_from` a statement before has looked at.
WITH old AS MATERIALIZED (
    SELECT order_id, ended_at FROM orders
    WHERE ended_at < now() - %(older_than)s AND ended_at >= %(ended_from)s
      AND NOT EXISTS (SELECT FROM restored_orders AS restored
                      WHERE restored.order_id = orders.order_id AND restored_at > now() - %(restored_stay)s)
      AND
-- include: no_guard_period
      AND NOT EXISTS (SELECT FROM archived_orders AS known WHERE known.order_id = orders.order_id)
      AND
-- include: owes_nothing
    ORDER BY ended_at LIMIT %(at_once)s
    FOR UPDATE OF orders SKIP LOCKED
), copied AS (
    INSERT INTO archived_orders (order_id, producer, key, fingerprint, reference, carrier, carrier_order_id, state, ended_at,
                                 whole, numbers, events, messages)
    SELECT orders.order_id, producer, key, fingerprint, coalesce(reference, orders.order_id::text), carrier, carrier_order_id,
           state, orders.ended_at, to_jsonb(orders),
           (SELECT coalesce(jsonb_agg(to_jsonb(number) - 'order_id' ORDER BY e164), '[]') FROM order_numbers AS number
            WHERE number.order_id = orders.order_id),
           (SELECT coalesce(jsonb_agg(to_jsonb(heard) - 'order_id' ORDER BY version), '[]') FROM order_events AS heard
            WHERE heard.order_id = orders.order_id),
           (SELECT coalesce(jsonb_agg(to_jsonb(message) - 'order_id' ORDER BY version, channel), '[]') FROM tellings AS message
            WHERE message.order_id = orders.order_id)
    FROM orders JOIN old USING (order_id)
    ON CONFLICT DO NOTHING
    RETURNING order_id
)
SELECT (SELECT count(*) FROM copied) AS copied, (SELECT max(ended_at) FROM old) AS ended_to;

-- name: remove_archived
-- Delete from `orders` what was copied at least `stays` ago, with everything that hangs on it. An intake statement looks for
-- its keys in the archive, and then stores what it has not found: by then every one is over that looked before the copy was
-- there. A copy of an order that has moved since is thrown away.
WITH copied AS MATERIALIZED (
    SELECT order_id, (whole ->> 'version')::integer AS version FROM archived_orders
    WHERE removed_at IS NULL AND archived_at <= now() - %(stays)s
      AND
-- include: no_guard_period
    ORDER BY archived_at LIMIT %(at_once)s
    FOR UPDATE SKIP LOCKED
), removed AS (
    DELETE FROM orders USING copied
    WHERE orders.order_id = copied.order_id AND orders.version = copied.version
      AND
-- include: owes_nothing
    RETURNING orders.order_id
), noted AS (
    UPDATE archived_orders SET removed_at = now() FROM removed WHERE archived_orders.order_id = removed.order_id
), thrown_away AS (
    DELETE FROM archived_orders USING copied
    WHERE archived_orders.order_id = copied.order_id
      AND NOT EXISTS (SELECT FROM removed WHERE removed.order_id = copied.order_id)
)
SELECT (SELECT count(*) FROM copied) AS looked_at, (SELECT count(*) FROM removed) AS removed;

-- part: in_the_way
          SELECT order_id FROM orders
          WHERE orders.carrier = archived.carrier AND orders.carrier_order_id = archived.carrier_order_id
            AND orders.order_id <> archived.order_id
          UNION
          SELECT order_id FROM orders
          WHERE orders.producer = archived.producer AND orders.key = archived.key AND orders.order_id <> archived.order_id

-- name: find_in_the_way
-- Orders that have the carrier order or the key of an archived one, which can therefore not be brought back.
SELECT archived.order_id, other.order_id AS other_id
FROM archived_orders AS archived, LATERAL (
-- include: in_the_way
) AS other
WHERE archived.order_id = ANY(%(order_ids)s)
ORDER BY 1, 2;

-- name: restore_archived
-- Bring orders back from the archive, each as it was. Those that were purged stay, and those that `find_in_the_way` returns.
WITH back AS MATERIALIZED (
    DELETE FROM archived_orders AS archived
    WHERE order_id = ANY(%(order_ids)s) AND purged_at IS NULL
      AND NOT EXISTS (
-- include: in_the_way
      )
    RETURNING archived.*
), new_orders AS (
    INSERT INTO orders
    SELECT restored.* FROM back, LATERAL jsonb_populate_record(NULL::orders, whole) AS restored WHERE removed_at IS NOT NULL
), new_numbers AS (
    INSERT INTO order_numbers (order_id, e164, state, code, text, changed_at)
    SELECT back.order_id, number.e164, number.state, number.code, number.text, number.changed_at
    FROM back, LATERAL jsonb_populate_recordset(NULL::order_numbers, numbers) AS number WHERE removed_at IS NOT NULL
), new_events AS (
    INSERT INTO order_events (order_id, version, at, event, state, late, detail)
    SELECT back.order_id, event.version, event.at, event.event, event.state, event.late, event.detail
    FROM back, LATERAL jsonb_populate_recordset(NULL::order_events, events) AS event WHERE removed_at IS NOT NULL
), new_messages AS (
    INSERT INTO tellings (order_id, version, channel, document, told_at, tries, trouble, tried_since, gave_up_at)
    SELECT back.order_id, message.version, channel, document, told_at, tries, trouble, tried_since, gave_up_at
    FROM back, LATERAL jsonb_populate_recordset(NULL::tellings, messages) AS message WHERE removed_at IS NOT NULL
), noted AS (
    INSERT INTO restored_orders (order_id) SELECT order_id FROM back
    ON CONFLICT (order_id) DO UPDATE SET restored_at = now()
)
SELECT order_id FROM back ORDER BY order_id;

-- name: purge_archived
-- Delete of archived orders what no answer about them needs: the story, documents, free text, and the producer's address.
WITH old AS MATERIALIZED (
    SELECT order_id FROM archived_orders
    WHERE ended_at < now() - %(older_than)s AND removed_at IS NOT NULL AND purged_at IS NULL
    ORDER BY ended_at LIMIT %(at_once)s
    FOR UPDATE SKIP LOCKED
), purged AS (
    UPDATE archived_orders
    SET purged_at = now(), events = '[]', messages = '[]',
        whole = whole || jsonb_build_object(
            'request', (whole -> 'request') - '{name,notes,notify,options}'::text[], 'reason', NULL, 'progress', '{}'::jsonb)
    FROM old WHERE archived_orders.order_id = old.order_id
    RETURNING archived_orders.order_id
)
SELECT count(*) AS purged FROM purged;

-- name: archive_summary
SELECT count(*) FILTER (WHERE removed_at IS NULL) AS copied, count(*) FILTER (WHERE removed_at IS NOT NULL) AS removed,
       count(*) FILTER (WHERE purged_at IS NOT NULL) AS purged, min(ended_at) AS oldest, max(ended_at) AS newest,
       pg_total_relation_size('archived_orders') AS bytes
FROM archived_orders;

-- name: archived_since
-- A page of the orders that were archived since a moment and can be brought back.
SELECT order_id FROM archived_orders
WHERE archived_at >= %(since)s AND purged_at IS NULL AND order_id <> ALL(%(but)s::uuid[])
ORDER BY archived_at, order_id LIMIT %(limit)s;

-- name: archived_among
-- Those of some orders that are in the archive and no longer in `orders`.
SELECT order_id FROM archived_orders WHERE order_id = ANY(%(order_ids)s) AND removed_at IS NOT NULL;
