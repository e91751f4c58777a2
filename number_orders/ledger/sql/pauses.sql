-- name: pause_lanes
-- A lane that is paused already keeps its first pause, with its reason.
INSERT INTO pauses (carrier, lane, paused_by, why)
SELECT carrier, lane, %(by)s, %(why)s FROM lanes WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[])
ON CONFLICT (carrier, lane) WHERE resumed_at IS NULL DO NOTHING
RETURNING *;

-- name: resume_lanes
UPDATE pauses SET resumed_at = now(), resumed_by = %(by)s, resumed_why = %(why)s
WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[]) AND resumed_at IS NULL
RETURNING *;

-- name: holds
-- Everything that keeps due work from being claimed now: pauses of lanes, open breakers, pauses of limit groups.
SELECT now() AS now, carrier, lane, NULL AS limit_group, 'person' AS held_by, paused_at AS since, NULL::timestamptz AS until,
       why, paused_by AS who
FROM pauses WHERE resumed_at IS NULL
UNION ALL
SELECT now(), carrier, NULL, NULL, 'breaker', opened_at, held_until, why, NULL FROM breakers WHERE held_until IS NOT NULL
UNION ALL
SELECT now(), carrier, NULL, limit_group, 'limit', NULL, paused_until, why, NULL FROM budgets WHERE paused_until > now()
ORDER BY carrier, held_by, lane, limit_group;
