-- name: count_faults
-- So many faults more. While it is held only the probe's word counts: others have left before.
UPDATE breakers SET
    faults = breakers.faults + %(faults)s, why = %(why)s, probe_token = NULL, probe_until = NULL,
    holds = CASE WHEN next.opens THEN next.holds ELSE breakers.holds END,
    held_until = CASE WHEN next.opens THEN now() + least(%(hold_max)s, %(hold_first)s * 2 ^ least(next.holds, 20)) END,
    opened_at = CASE WHEN next.opens THEN coalesce(CASE WHEN held_until IS NOT NULL THEN opened_at END, now()) END
FROM (
    SELECT carrier, held_until IS NOT NULL OR faults + %(faults)s >= %(faults_max)s AS opens,
           CASE WHEN held_until IS NOT NULL OR closed_at > now() - '1 min'::interval THEN holds + 1 ELSE 0 END AS holds
    FROM breakers WHERE carrier = %(carrier)s
    FOR UPDATE
) AS next
WHERE breakers.carrier = next.carrier AND (held_until IS NULL OR probe_token = ANY(%(tokens)s::uuid[]))
RETURNING held_until, faults;

-- name: return_probe
-- It was claimed, and then there was nothing to ask or send: another may try at once.
UPDATE breakers SET probe_token = NULL, probe_until = NULL WHERE carrier = %(carrier)s AND probe_token = %(token)s;

-- name: reset_breaker
-- It has answered: nothing is counted any more. While it is held, only the probe's answer opens the way again.
UPDATE breakers SET
    faults = 0, probe_token = NULL, probe_until = NULL, held_until = NULL,
    closed_at = CASE WHEN held_until IS NULL THEN closed_at ELSE now() END
WHERE carrier = %(carrier)s
  AND CASE WHEN held_until IS NULL THEN faults > 0 ELSE probe_token = ANY(%(tokens)s::uuid[]) END;
