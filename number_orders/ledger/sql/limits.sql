-- name: set_limits
-- What one carrier limits, and which work draws on it, as the settings have it. What it has paused stays paused.
WITH breaker AS (
    INSERT INTO breakers (carrier) VALUES (%(carrier)s) ON CONFLICT DO NOTHING
), budget AS (
    INSERT INTO budgets (carrier, limit_group, per_second, spacing)
    SELECT %(carrier)s, limit_group, per_second, make_interval(secs => spacing_s)
    FROM jsonb_to_recordset(%(limits)s) AS given (limit_group text, per_second float, spacing_s float)
    ORDER BY limit_group
    ON CONFLICT (carrier, limit_group) DO UPDATE SET per_second = excluded.per_second, spacing = excluded.spacing
    WHERE (budgets.per_second, budgets.spacing) IS DISTINCT FROM (excluded.per_second, excluded.spacing)
), gone AS (
    DELETE FROM draws
    WHERE carrier = %(carrier)s
      AND (lane, kind) NOT IN (SELECT lane, kind FROM jsonb_to_recordset(%(draws)s) AS given (lane text, kind text))
)
INSERT INTO draws (carrier, lane, kind, limit_group)
SELECT %(carrier)s, lane, kind, limit_group
FROM jsonb_to_recordset(%(draws)s) AS given (lane text, kind text, limit_group text)
ORDER BY lane, kind
ON CONFLICT (carrier, lane, kind) DO UPDATE SET limit_group = excluded.limit_group
WHERE draws.limit_group <> excluded.limit_group;

-- name: take_rate_slot
-- One more place in a limit, behind all that are taken. No row: it has no rate, and the carrier is not just back.
UPDATE budgets SET next_at = greatest(next_at, clock_timestamp()) + greatest(spacing, back.easing)
FROM (
    SELECT (SELECT CASE WHEN closed_at > now() - '16 s'::interval  -- as in `claim`
                        THEN '0.25 s'::interval * 0.5 ^ (extract(epoch FROM now() - closed_at) / 2)::double precision END
            FROM breakers WHERE carrier = %(carrier)s) AS easing
) AS back
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (spacing IS NOT NULL OR back.easing IS NOT NULL)
RETURNING next_at - greatest(spacing, back.easing) AS rate_slot_at, clock_timestamp() AS clock, paused_until;

-- name: pause_limit
-- The carrier wants no more of this before `until`. A later word wins over an earlier one, a longer pause over a shorter.
UPDATE budgets SET paused_until = %(until)s, why = %(why)s
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (paused_until IS NULL OR paused_until < %(until)s);
