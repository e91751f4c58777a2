-- name: pause_lanes
-- A lane that is paused already keeps its first pause, with its reason. `after`: the lane's last pause that the person has
-- seen (0: none); nothing is paused if there was another since.
INSERT INTO pauses (carrier, lane, paused_by, why)
SELECT carrier, lane, %(by)s, %(why)s FROM lanes WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[])
  AND (%(after)s::bigint IS NULL OR NOT EXISTS (
      SELECT FROM pauses WHERE pauses.carrier = lanes.carrier AND pauses.lane = lanes.lane AND pause_id > %(after)s))
ON CONFLICT (carrier, lane) WHERE resumed_at IS NULL DO NOTHING
RETURNING *;

-- name: resume_lanes
UPDATE pauses SET resumed_at = now(), resumed_by = %(by)s, resumed_why = %(why)s
WHERE carrier = %(carrier)s AND lane = ANY(%(lanes)s::text[]) AND resumed_at IS NULL
  AND (%(pause_id)s::bigint IS NULL OR pause_id = %(pause_id)s)
RETURNING *;

-- name: latest_pause
SELECT * FROM pauses WHERE carrier = %(carrier)s AND lane = %(lane)s ORDER BY pause_id DESC LIMIT 1;

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
