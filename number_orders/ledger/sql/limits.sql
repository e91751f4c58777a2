-- name: set_limits
-- Set one carrier's limit groups (table `budgets`), and the group of its requests by lane and kind (table `draws`).
-- A pause of a group stays in force. The carrier gets its breaker here. In a ledger that has just fallen back in time, the rate
-- slots of a group that it does not know come after those that were given out before, as in `check_identity`.
WITH breaker AS (
    INSERT INTO breakers (carrier) VALUES (%(carrier)s) ON CONFLICT DO NOTHING
), budget AS (
    INSERT INTO budgets (carrier, limit_group, per_second, spacing, next_at)
    SELECT %(carrier)s, limit_group, per_second, make_interval(secs => spacing_s),
           coalesce((SELECT began_at + '1 minute'::interval FROM guard), 'epoch')
    FROM jsonb_to_recordset(%(limits)s) AS given (limit_group text, per_second float, spacing_s float)
    ORDER BY limit_group
    ON CONFLICT (carrier, limit_group) DO UPDATE SET per_second = excluded.per_second, spacing = excluded.spacing
    WHERE (budgets.per_second, budgets.spacing) IS DISTINCT FROM (excluded.per_second, excluded.spacing)
), gone AS (
    DELETE FROM draws
    WHERE carrier = %(carrier)s
      AND (lane, kind) NOT IN (SELECT lane, kind FROM jsonb_to_recordset(%(groups)s) AS given (lane text, kind text))
)
INSERT INTO draws (carrier, lane, kind, limit_group)
SELECT %(carrier)s, lane, kind, limit_group
FROM jsonb_to_recordset(%(groups)s) AS given (lane text, kind text, limit_group text)
ORDER BY lane, kind
ON CONFLICT (carrier, lane, kind) DO UPDATE SET limit_group = excluded.limit_group
WHERE draws.limit_group <> excluded.limit_group;

-- name: take_rate_slot
-- Take the next rate slot behind all that are taken. A carrier whose breaker has closed lately has a rate in every group,
-- which doubles every two seconds for sixteen seconds, as in `claim`. No row: the group has no rate. A ledger that may
-- have fallen back in time has forgotten which slots are taken: until it is recognised, every group counts as paused.
UPDATE budgets SET next_at = greatest(next_at, clock_timestamp()) + greatest(spacing, ramp.spacing_now)
FROM (
    SELECT (SELECT CASE WHEN closed_at > now() - '16 s'::interval
                        THEN '0.25 s'::interval * 0.5 ^ (extract(epoch FROM now() - closed_at) / 2)::double precision END
            FROM breakers WHERE carrier = %(carrier)s) AS spacing_now
) AS ramp
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (spacing IS NOT NULL OR ramp.spacing_now IS NOT NULL)
RETURNING next_at - greatest(spacing, ramp.spacing_now) AS rate_slot_at, clock_timestamp() AS clock,
          CASE WHEN (SELECT identity = ledger_identity() FROM guard) THEN paused_until ELSE now() + '1 s'::interval END AS paused_until;

-- name: pause_limit
-- The carrier wants no more requests of this group before `until`. Of two pauses the longer one stays.
UPDATE budgets SET paused_until = %(until)s, why = %(why)s
WHERE carrier = %(carrier)s AND limit_group = %(limit_group)s AND (paused_until IS NULL OR paused_until < %(until)s);
