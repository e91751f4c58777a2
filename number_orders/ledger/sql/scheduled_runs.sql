-- name: begin_run
-- A row: the run may begin. None: another began within `not_within`.
INSERT INTO scheduled_runs (name) VALUES (%(name)s)
ON CONFLICT (name) DO UPDATE SET began_at = now(), ended_at = NULL WHERE scheduled_runs.began_at <= now() - %(not_within)s
RETURNING began_at;

-- name: end_run
-- Not if another has begun meanwhile: this one took longer than a run may.
UPDATE scheduled_runs SET ended_at = now() WHERE name = %(name)s AND began_at = %(began_at)s;

-- name: last_run
-- When the last run began; none while it runs, nor after its worker was killed.
SELECT began_at FROM scheduled_runs WHERE name = %(name)s AND ended_at IS NOT NULL;
