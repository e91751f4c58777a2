-- name: open_allowances
-- The first row of producers that order for the first time: the limit of the settings holds until somebody sets one.
INSERT INTO allowances (producer, carrier, span, is_default)
SELECT producer, '', 'hour', true FROM unnest(%(producers)s::text[]) AS producer ORDER BY producer
ON CONFLICT DO NOTHING
RETURNING producer;

-- name: set_allowances
-- Set limits of a producer. Any of them ends the default, so the row that bears it is written too.
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(limits)s) AS i (carrier text, span text, numbers_max integer)
)
INSERT INTO allowances (producer, carrier, span, numbers_max, above)
SELECT %(producer)s, carrier, span, numbers_max, %(above)s FROM given
UNION ALL
SELECT %(producer)s, '', 'hour', NULL, %(above)s WHERE NOT EXISTS (SELECT FROM given WHERE carrier = '' AND span = 'hour')
ORDER BY carrier, span
ON CONFLICT (producer, carrier, span) DO UPDATE SET is_default = false,
    numbers_max = CASE WHEN EXISTS (SELECT FROM given WHERE given.carrier = excluded.carrier AND given.span = excluded.span)
                       THEN excluded.numbers_max ELSE allowances.numbers_max END,
    above = CASE WHEN EXISTS (SELECT FROM given WHERE given.carrier = excluded.carrier AND given.span = excluded.span)
                 THEN excluded.above ELSE allowances.above END;

-- name: read_allowances
-- The allowances of one producer or of all, with what is taken of each now, corrections included (see `accept_orders`).
SELECT allowances.producer, allowances.carrier, span, above, is_default, current.numbers_max,
       CASE WHEN span <> 'order' THEN greatest(0,
           CASE WHEN current.began_at = allowances.began_at THEN allowances.taken ELSE 0 END + coalesce(corrected.numbers, 0)) END AS taken,
       CASE WHEN span <> 'order' THEN current.began_at + lasts END AS until
FROM allowances
CROSS JOIN LATERAL (SELECT CASE WHEN span = 'order' THEN '0 s' ELSE '1 ' || span END::interval AS lasts) AS span_of
CROSS JOIN LATERAL (
    SELECT CASE WHEN is_default THEN %(numbers_per_hour)s::integer ELSE allowances.numbers_max END AS numbers_max,
           CASE WHEN allowances.began_at + lasts > now() THEN allowances.began_at ELSE (
               SELECT min(charged_at) FROM allowance_corrections AS c
               WHERE c.producer = allowances.producer AND allowances.carrier IN ('', c.carrier) AND numbers > 0
                 AND charged_at >= greatest(allowances.began_at, now() - lasts)) END AS began_at
) AS current
CROSS JOIN LATERAL (
    SELECT sum(numbers) AS numbers FROM allowance_corrections AS c
    WHERE c.producer = allowances.producer AND allowances.carrier IN ('', c.carrier) AND charged_at >= current.began_at
) AS corrected
WHERE %(producer)s::text IS NULL OR allowances.producer = %(producer)s
ORDER BY allowances.producer, allowances.carrier, span;

-- name: forget_corrections
-- Those of days that are over count for nothing. The next intake of a producer without limit does not delete its own.
DELETE FROM allowance_corrections WHERE charged_at < now() - '1 day'::interval;
