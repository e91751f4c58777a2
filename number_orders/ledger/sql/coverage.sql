-- name: keep_coverage
INSERT INTO coverage_snapshots (carrier, query, entry, quantity)
SELECT %(carrier)s, %(query)s, entry, quantity
FROM jsonb_to_recordset(%(entries)s) AS i (entry text, quantity integer)
ON CONFLICT DO NOTHING;

-- name: coverage_history
-- The snapshots since a moment, the newest first.
SELECT carrier, taken_at, query, entry, quantity FROM coverage_snapshots
WHERE taken_at >= now() - %(within)s AND (%(carrier)s::text IS NULL OR carrier = %(carrier)s)
ORDER BY taken_at DESC, carrier, query, entry;

-- name: coverage_totals
-- How many numbers each carrier had in all, the oldest snapshot first.
SELECT carrier, taken_at, quantity FROM coverage_snapshots
WHERE entry = '' AND taken_at >= now() - %(within)s
ORDER BY carrier, taken_at;

-- name: forget_coverage
WITH old AS (
    SELECT carrier, query, entry, taken_at FROM coverage_snapshots
    WHERE taken_at < now() - %(older_than)s ORDER BY taken_at LIMIT %(at_once)s
), forgotten AS (
    DELETE FROM coverage_snapshots USING old
    WHERE (coverage_snapshots.carrier, coverage_snapshots.query, coverage_snapshots.entry, coverage_snapshots.taken_at)
          = (old.carrier, old.query, old.entry, old.taken_at)
    RETURNING old.taken_at
)
SELECT count(*) AS forgotten FROM forgotten;
