-- name: compare_holdings
-- Compare the numbers that a carrier lists with those that the ledger holds there. One row has no number, and how many
-- the ledger holds; each other row is a number that only one side has, in no order. Left out is what moved since
-- `moved_since`: numbers acquired or released since then, as the carrier's list may be older than that.
-- Everything known of each number is gathered by one hash aggregate. Joins would be planned for a handful of listed
-- numbers, and there may be hundreds of thousands.
WITH known AS (
    SELECT e164, account, since, true AS is_listed, NULL::uuid AS held_by, NULL::text AS held_at, NULL::timestamptz AS acquired_at,
           NULL::timestamptz AS released_at, NULL::uuid AS brought_by, NULL::uuid AS removed_by
    FROM unnest(%(numbers)s::text[], %(accounts)s::text[], %(dates)s::timestamptz[]) AS listed (e164, account, since)
    UNION ALL
    SELECT e164, account, NULL, false, acquired_by, carrier, acquired_at, NULL, NULL, NULL
    FROM held_numbers WHERE released_at IS NULL
    UNION ALL
    SELECT e164, NULL, NULL, false, NULL, NULL, NULL, released_at, NULL, NULL
    FROM held_numbers WHERE carrier = %(carrier)s AND released_at IS NOT NULL
    UNION ALL
    -- Unfinished orders that name the number.
    SELECT named.e164, NULL, NULL, false, NULL, NULL, NULL, NULL,
           CASE WHEN kind <> 'remove_numbers' THEN order_id END, CASE WHEN kind = 'remove_numbers' THEN order_id END
    FROM orders, jsonb_array_elements_text(request -> 'numbers') AS named (e164)
    WHERE carrier = %(carrier)s AND ended_at IS NULL AND request ? 'numbers'
), number AS MATERIALIZED (
    SELECT e164, max(account) AS account, max(since) AS since, bool_or(is_listed) AS is_listed,
           min(held_by::text)::uuid AS held_by, max(held_at) AS held_at,
           max(acquired_at) AS acquired_at, max(released_at) AS released_at,
           min(brought_by::text)::uuid AS brought_by, min(removed_by::text)::uuid AS removed_by
    FROM known GROUP BY e164
)
SELECT NULL AS e164, count(*) FILTER (WHERE held_at = %(carrier)s) AS ours, false AS is_listed, NULL AS account,
       NULL::timestamptz AS since, NULL::uuid AS held_by, NULL AS held_at, NULL::timestamptz AS acquired_at,
       NULL::timestamptz AS released_at, NULL::uuid AS brought_by, NULL::uuid AS removed_by, false AS holder_unfinished
FROM number
UNION ALL
SELECT number.e164, NULL, is_listed, number.account, since, held_by, held_at, acquired_at, released_at, brought_by, removed_by,
       coalesce(holder.ended_at IS NULL AND holder.order_id IS NOT NULL, false)
FROM number LEFT JOIN orders AS holder ON holder.order_id = held_by
WHERE is_listed <> (held_at IS NOT DISTINCT FROM %(carrier)s)
  AND (NOT is_listed OR released_at IS NULL OR released_at < %(moved_since)s)
  AND (is_listed OR acquired_at < %(moved_since)s);

-- name: purchases_by_criteria
-- The unfinished orders at one carrier that name no numbers, and that may have been sent.
SELECT now() AS now, orders.* FROM orders
WHERE carrier = %(carrier)s AND ended_at IS NULL AND kind <> 'remove_numbers' AND NOT request ? 'numbers'
  AND (sends > 0 OR history_lost_at IS NOT NULL)
ORDER BY order_id;

-- name: purchases_with
-- The orders at one carrier that have one of these carrier order ids, or one of these references. Archived ones too.
SELECT now() AS now, orders.* FROM orders
WHERE carrier = %(carrier)s AND kind <> 'remove_numbers'
  AND (carrier_order_id = ANY(%(carrier_order_ids)s) OR coalesce(reference, order_id::text) = ANY(%(references)s))
UNION ALL
SELECT now(), orders.*
FROM archived_orders AS archived, LATERAL jsonb_populate_record(NULL::orders, archived.whole) AS orders
WHERE archived.carrier = %(carrier)s AND archived.removed_at IS NOT NULL AND orders.kind <> 'remove_numbers'
  AND (archived.carrier_order_id = ANY(%(carrier_order_ids)s) OR archived.reference = ANY(%(references)s));

-- name: keep_reconciliation
-- What a comparison has found; with `trouble`, that none was possible, and then the figures of the last one stay.
INSERT INTO reconciliations (carrier, at, theirs, ours, orphans, ghosts, failed_at, trouble)
VALUES (%(carrier)s, CASE WHEN %(trouble)s::text IS NULL THEN now() END, %(theirs)s, %(ours)s, %(orphans)s, %(ghosts)s,
        CASE WHEN %(trouble)s::text IS NOT NULL THEN now() END, %(trouble)s)
ON CONFLICT (carrier) DO UPDATE
SET at = coalesce(excluded.at, reconciliations.at), failed_at = excluded.failed_at, trouble = excluded.trouble,
    theirs = CASE WHEN excluded.trouble IS NULL THEN excluded.theirs ELSE reconciliations.theirs END,
    ours = CASE WHEN excluded.trouble IS NULL THEN excluded.ours ELSE reconciliations.ours END,
    orphans = CASE WHEN excluded.trouble IS NULL THEN excluded.orphans ELSE reconciliations.orphans END,
    ghosts = CASE WHEN excluded.trouble IS NULL THEN excluded.ghosts ELSE reconciliations.ghosts END;

-- name: reconciliations
SELECT * FROM reconciliations ORDER BY carrier;

-- name: store_adopted
-- Store orders that are born ended: each holds numbers that the carrier had as ours, and no order of ours had brought.
-- If one of the numbers is held by now, nothing is stored (`held_at_most_once`). Executed twice, it stores nothing more.
WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(orders)s) AS i (
        order_id uuid, producer text, key text, fingerprint text, carrier text, kind text, account text, request jsonb,
        reason text, event text, detail jsonb, numbers jsonb)
), new_order AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, account, request, reason, state, version, ended_at)
    SELECT order_id, producer, key, decode(fingerprint, 'hex'), carrier, kind, account, request, reason, 'COMPLETED', 1, now()
    FROM input
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
), new_events AS (
    INSERT INTO order_events (order_id, version, event, state, detail)
    SELECT order_id, 0, 'OrderAccepted', 'ACCEPTED', '{}' FROM new_order
    UNION ALL
    SELECT order_id, 1, event, 'COMPLETED', detail FROM input JOIN new_order USING (order_id)
), number AS MATERIALIZED (
    SELECT input.order_id, input.carrier, input.account, number.*
    FROM input JOIN new_order USING (order_id),
         jsonb_to_recordset(input.numbers) AS number (e164 text, state text, code text, text text, held_since timestamptz)
), new_numbers AS (
    INSERT INTO order_numbers (order_id, e164, state, code, text) SELECT order_id, e164, state, code, text FROM number
), held AS (
    INSERT INTO held_numbers (e164, carrier, account, acquired_by, acquired_at)
    SELECT e164, carrier, account, order_id, least(held_since, now()) FROM number
)
SELECT order_id FROM new_order;
