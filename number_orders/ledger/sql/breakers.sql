-- name: count_faults
-- Add faults in a row, and open the breaker if there are enough. While it is open (held_until), only the probe's fault
-- counts, since other requests left before it opened. Each further opening lasts twice as long; a breaker that had been
-- closed for a minute starts with the first duration again.
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
-- The claim had the probe, and then there was nothing to send or ask. The next claim may take the probe at once.
UPDATE breakers SET probe_token = NULL, probe_until = NULL WHERE carrier = %(carrier)s AND probe_token = %(token)s;

-- name: reset_breaker
-- The carrier has answered. An open breaker is closed only by the answer to its probe.
UPDATE breakers SET
    faults = 0, probe_token = NULL, probe_until = NULL, held_until = NULL,
    closed_at = CASE WHEN held_until IS NULL THEN closed_at ELSE now() END
WHERE carrier = %(carrier)s
  AND CASE WHEN held_until IS NULL THEN faults > 0 ELSE probe_token = ANY(%(tokens)s::uuid[]) END;
