-- name: check_identity
-- Compare server, timeline, database and tables with those of the last look, and the heartbeat with what this process has
-- seen. If they differ, the ledger was restored, or another server took over: it has fallen back in time. Then the guard
-- period begins, and every order under way is marked. All processes may do this at once: one begins the period.
WITH present AS MATERIALIZED (
    SELECT ledger_identity() AS identity
), looked AS (
    UPDATE guard
    SET identity = present.identity, seen_at = greatest(now(), guard.seen_at),
        began_at = CASE WHEN guard.identity <> present.identity OR guard.seen_at < %(seen_at)s THEN now() ELSE began_at END,
        ends_at = CASE WHEN guard.identity <> present.identity OR guard.seen_at < %(seen_at)s THEN now() + %(lasts)s ELSE ends_at END,
        who = CASE WHEN guard.identity <> present.identity OR guard.seen_at < %(seen_at)s THEN 'number-orders' ELSE who END,
        why = CASE WHEN guard.identity <> present.identity OR guard.seen_at < %(seen_at)s
                   THEN format('the ledger fell back in time: a backup was restored, or another server took over. It knows nothing after %%s',
                               to_char(guard.seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
                   ELSE why END
    FROM present
    WHERE present.identity IS NOT NULL
      AND (guard.identity <> present.identity OR guard.seen_at < %(seen_at)s OR guard.seen_at < now() - %(heartbeat)s)
    RETURNING guard.*, guard.began_at IS NOT DISTINCT FROM now() AS fell
), marked AS (
    UPDATE orders SET history_lost_at = now()
    WHERE ended_at IS NULL AND EXISTS (SELECT FROM looked WHERE fell)
), slots AS (
    -- Rate slots that were given out before may still be used: the next ones come after them.
    UPDATE budgets SET next_at = greatest(next_at, now() + '1 minute'::interval)
    WHERE spacing IS NOT NULL AND EXISTS (SELECT FROM looked WHERE fell)
), alarmed AS (
    INSERT INTO alarms (what, subject, detail)
    SELECT %(alarm)s, 'ledger', why FROM looked WHERE fell
    ON CONFLICT (what, subject) DO UPDATE
    SET detail = excluded.detail, times = alarms.times + 1, last_at = now(), cleared_at = NULL
)
SELECT now() AS now, seen_at, began_at, ends_at, why, who, fell FROM looked
UNION ALL
SELECT now(), seen_at, began_at, ends_at, why, who, false FROM guard WHERE NOT EXISTS (SELECT FROM looked);

-- name: begin_guard
-- Begin a guard period by hand, and mark every order under way.
WITH begun AS (
    UPDATE guard SET began_at = now(), ends_at = now() + %(lasts)s, why = %(why)s, who = %(who)s
    RETURNING *
), marked AS (
    UPDATE orders SET history_lost_at = now() WHERE ended_at IS NULL
)
SELECT now() AS now, seen_at, began_at, ends_at, why, who, true AS fell FROM begun;

-- name: end_guard
-- End the guard period by hand. No row: there is none.
UPDATE guard SET ends_at = now(), why = %(why)s, who = %(who)s WHERE ends_at > now()
RETURNING now() AS now, seen_at, began_at, ends_at, why, who, false AS fell;

-- name: read_guard
SELECT now() AS now, seen_at, began_at, ends_at, why, who, false AS fell FROM guard;
