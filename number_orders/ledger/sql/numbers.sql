-- name: numbers_of
SELECT order_id, e164, state, code, text FROM order_numbers WHERE order_id = ANY(%(order_ids)s)
UNION ALL
SELECT archived.order_id, number.e164, number.state, number.code, number.text
FROM archived_orders AS archived, LATERAL jsonb_populate_recordset(NULL::order_numbers, numbers) AS number
WHERE archived.order_id = ANY(%(order_ids)s) AND removed_at IS NOT NULL
ORDER BY e164;

-- name: recall
-- What is known of some numbers at one carrier: who holds each, whether an unfinished order other than this one is to
-- acquire it, and which other order released it last. The first row has only the time.
SELECT now() AS now, NULL AS e164, NULL::timestamptz AS held_since, NULL::uuid AS held_by, false AS named,
       NULL::uuid AS released_by, NULL::timestamptz AS released_at
UNION ALL
SELECT now(), number.e164, held.acquired_at, held.acquired_by, naming.e164 IS NOT NULL,
       release.order_id, release.changed_at
FROM unnest(%(numbers)s::text[]) AS number (e164)
LEFT JOIN held_numbers AS held ON held.e164 = number.e164 AND held.carrier = %(carrier)s AND held.released_at IS NULL
LEFT JOIN (
    -- All numbers in one query: one by one, a thousand numbers would read the unfinished orders a thousand times.
    SELECT DISTINCT named.e164
    FROM orders, jsonb_array_elements_text(orders.request -> 'numbers') AS named (e164)
    WHERE orders.request -> 'numbers' ?| %(numbers)s::text[] AND orders.request ? 'numbers' AND orders.ended_at IS NULL
      AND orders.carrier = %(carrier)s AND orders.kind <> 'remove_numbers' AND orders.order_id <> %(order_id)s
) AS naming ON naming.e164 = number.e164
LEFT JOIN LATERAL (
    SELECT told.order_id, told.changed_at
    FROM order_numbers AS told JOIN orders USING (order_id)
    WHERE told.e164 = number.e164 AND told.state = 'released' AND told.order_id <> %(order_id)s
      AND orders.carrier = %(carrier)s
    UNION ALL
    SELECT archived.order_id, told.changed_at
    FROM archived_orders AS archived, LATERAL jsonb_populate_recordset(NULL::order_numbers, numbers) AS told
    WHERE archived.numbers @> jsonb_build_array(jsonb_build_object('e164', number.e164, 'state', 'released'))
      AND told.e164 = number.e164 AND archived.order_id <> %(order_id)s AND archived.carrier = %(carrier)s
      AND archived.removed_at IS NOT NULL
    ORDER BY changed_at DESC, order_id DESC LIMIT 1
) AS release ON true;

-- name: ended_references
-- Those of some references whose order has ended. Reads all orders: asked only after the ledger fell back in time.
SELECT coalesce(reference, order_id::text) AS reference FROM orders
WHERE carrier = %(carrier)s AND ended_at IS NOT NULL AND coalesce(reference, order_id::text) = ANY(%(references)s)
UNION
SELECT reference FROM archived_orders WHERE carrier = %(carrier)s AND reference = ANY(%(references)s);

-- name: owners
SELECT carrier_order_id, state = 'COMPLETED' AS is_complete, request -> 'criteria' AS criteria FROM orders
WHERE carrier = %(carrier)s AND carrier_order_id = ANY(%(carrier_orders)s::text[])
UNION ALL
SELECT carrier_order_id, state = 'COMPLETED', whole -> 'request' -> 'criteria' FROM archived_orders
WHERE carrier = %(carrier)s AND carrier_order_id = ANY(%(carrier_orders)s::text[]) AND removed_at IS NOT NULL;

-- name: parked_orders_bringing
-- Parked orders of a carrier that are to acquire one of these numbers, which nobody holds yet. Each with one number.
SELECT DISTINCT ON (bringer.order_id) bringer.order_id, named.e164
FROM orders AS bringer, jsonb_array_elements_text(bringer.request -> 'numbers') AS named (e164)
WHERE bringer.request -> 'numbers' ?| %(numbers)s::text[] AND bringer.request ? 'numbers' AND bringer.ended_at IS NULL
  AND bringer.state = 'PARKED' AND bringer.carrier = %(carrier)s AND bringer.kind <> 'remove_numbers'
  AND named.e164 = ANY(%(numbers)s::text[])
  AND NOT EXISTS (SELECT FROM held_numbers AS held WHERE held.e164 = named.e164 AND released_at IS NULL)
ORDER BY bringer.order_id, named.e164;

-- name: holdings_of_number
-- How often we have held a number, the present or last time first, with the orders that brought it and released it. A
-- producer is not told the order of another that released it.
SELECT now() AS now, held.e164, held.carrier, held.account, acquired_at, acquired_by,
       coalesce(bringer.producer, archived.producer) AS producer, coalesce(bringer.key, archived.key) AS key,
       released_at, CASE WHEN %(producer)s::text IS NULL OR %(producer)s::text IN (
           SELECT remover.producer FROM orders AS remover WHERE remover.order_id = released_by
           UNION ALL
           SELECT remover.producer FROM archived_orders AS remover WHERE remover.order_id = released_by) THEN released_by END AS released_by
FROM held_numbers AS held
LEFT JOIN orders AS bringer ON bringer.order_id = acquired_by
LEFT JOIN archived_orders AS archived ON archived.order_id = acquired_by
WHERE held.e164 = %(e164)s AND (%(producer)s::text IS NULL OR coalesce(bringer.producer, archived.producer) = %(producer)s)
ORDER BY held.released_at DESC NULLS FIRST, held_id DESC LIMIT %(limit)s;

-- name: orders_of_number
-- What became of a number in the orders that name or brought it, newest first.
SELECT orders.order_id, producer, key, kind, orders.carrier, orders.state, told.state AS number_state, told.changed_at
FROM order_numbers AS told JOIN orders USING (order_id)
WHERE told.e164 = %(e164)s AND (%(producer)s::text IS NULL OR producer = %(producer)s)
UNION ALL
SELECT archived.order_id, producer, key, whole ->> 'kind', archived.carrier, archived.state, told.state, told.changed_at
FROM archived_orders AS archived, LATERAL jsonb_populate_recordset(NULL::order_numbers, numbers) AS told
WHERE archived.numbers @> jsonb_build_array(jsonb_build_object('e164', %(e164)s::text)) AND removed_at IS NOT NULL
  AND told.e164 = %(e164)s AND (%(producer)s::text IS NULL OR producer = %(producer)s)
ORDER BY changed_at DESC, order_id DESC LIMIT %(limit)s;
