CREATE TABLE scheduled_runs (
    name     text PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

CREATE TABLE coverage_snapshots (
    carrier     text NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now(),
    query       text NOT NULL,
    entry       text NOT NULL,
    quantity    integer NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (carrier, query, entry, taken_at)
);
CREATE INDEX coverage_snapshots_by_age ON coverage_snapshots (taken_at);

ALTER TABLE alarms ADD COLUMN cleared_by text;
CREATE INDEX alarms_cleared ON alarms (cleared_at) WHERE cleared_at IS NOT NULL;
