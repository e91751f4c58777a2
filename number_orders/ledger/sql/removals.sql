-- name: find_not_removable
-- The numbers that removals name and their producers may not remove, each with its place in the order. Who holds a number
-- now counts; of one that nobody holds, who held it last. What reconciliation adopted is nobody's. A number that is not
-- held, and that another producer's unfinished purchase names, is that producer's. Left out is what an order has removed
-- already, and every order that a person has sent again. `guarded_until`: until then the ledger may have forgotten who
-- brought a number.
WITH named AS MATERIALIZED (
    SELECT i.order_id, i.producer, number.e164, number.place::integer - 1 AS place, coalesce(producers.removals, 'own') AS removals
    FROM jsonb_to_recordset(%(removals)s) AS i (order_id uuid, producer text, numbers text[])
    LEFT JOIN producers USING (producer),
    unnest(i.numbers) WITH ORDINALITY AS number (e164, place)
    WHERE producers.removals IS DISTINCT FROM 'any'
      AND NOT EXISTS (SELECT FROM order_events WHERE order_events.order_id = i.order_id AND event = 'SentAgain')
      AND NOT EXISTS (
          SELECT FROM order_numbers AS done
          WHERE done.order_id = i.order_id AND done.e164 = number.e164 AND done.state = 'released')
), known AS MATERIALIZED (
    SELECT named.*, latest.acquired_by IS NOT NULL AND latest.released_at IS NULL AS is_held,
           nullif(coalesce(bringer.producer, archived.producer), %(adopter)s) AS holder
    FROM named
    LEFT JOIN LATERAL (
        SELECT acquired_by, released_at FROM held_numbers WHERE e164 = named.e164 AND released_at IS NULL
        UNION ALL (
            SELECT acquired_by, released_at FROM held_numbers WHERE e164 = named.e164 AND released_at IS NOT NULL
            ORDER BY released_at DESC, held_id DESC LIMIT 1)
        ORDER BY released_at DESC NULLS FIRST LIMIT 1
    ) AS latest ON true
    LEFT JOIN orders AS bringer ON bringer.order_id = latest.acquired_by
    LEFT JOIN archived_orders AS archived ON archived.order_id = latest.acquired_by
), coming AS MATERIALIZED (
    SELECT number.e164, array_agg(DISTINCT orders.producer) AS producers
    FROM orders, jsonb_array_elements_text(orders.request -> 'numbers') AS number (e164)
    WHERE orders.request -> 'numbers' ?| ARRAY(
          SELECT e164 FROM known
          WHERE (NOT is_held OR holder IS NULL) AND (removals = 'unknown' OR holder = producer))  -- all others are refused anyway
      AND orders.request ? 'numbers' AND orders.ended_at IS NULL AND orders.kind <> 'remove_numbers'
    GROUP BY number.e164
)
SELECT order_id, place, removals, (SELECT ends_at FROM guard WHERE ends_at > now()) AS guarded_until
FROM known LEFT JOIN coming USING (e164)
WHERE NOT CASE
    WHEN is_held AND holder IS NOT NULL THEN holder = producer
    WHEN producers <> ARRAY[producer] THEN false  -- null: nobody buys it
    ELSE removals = 'unknown' OR (holder IS NOT NULL AND holder = producer) END
ORDER BY order_id, place;
