-- Limits, breakers and pauses. Workers of 0.1.0 go on beside: what they owe without a kind gets one (a trigger), and the
-- columns of `lanes` that they read stay. They keep to no limit and no pause; see the CHANGELOG.
ALTER TABLE owed ADD COLUMN kind text;
UPDATE owed SET kind = orders.kind FROM orders WHERE orders.order_id = owed.order_id;
ALTER TABLE owed ALTER COLUMN kind SET NOT NULL;
DROP INDEX owed_due;
CREATE INDEX owed_due ON owed (carrier, lane, kind, not_before);
DROP INDEX orders_unfinished;  -- no statement asked it, and every order paid for it
-- For workers of 0.1.0, which know no kind and may run beside this release; the next one drops it.
CREATE FUNCTION kind_of_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT kind INTO NEW.kind FROM orders WHERE order_id = NEW.order_id;
    RETURN NEW;
END $$;
CREATE TRIGGER owed_has_a_kind BEFORE INSERT ON owed
    FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION kind_of_owed();

-- What people have paused, and who let it go on again: kept for good. A pause has no end but that somebody ends it.
CREATE TABLE pauses (
    pause_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier     text NOT NULL,
    lane        text NOT NULL,
    paused_at   timestamptz NOT NULL DEFAULT now(),
    paused_by   text NOT NULL,
    why         text NOT NULL,
    resumed_at  timestamptz,
    resumed_by  text,
    resumed_why text,
    CONSTRAINT resumed_by_somebody CHECK ((resumed_at IS NULL) = (resumed_by IS NULL)),
    FOREIGN KEY (carrier, lane) REFERENCES lanes
);
CREATE UNIQUE INDEX one_pause_at_a_time ON pauses (carrier, lane) WHERE resumed_at IS NULL;

-- How many requests a carrier takes, and when it will take the next. One row for each of its limits.
CREATE TABLE budgets (
    carrier      text NOT NULL,
    limit_group  text NOT NULL,                  -- the carrier's word for what is limited together
    per_second   double precision CHECK (per_second > 0), -- null: not limited
    spacing      interval CHECK (spacing > '0'), -- between the places of two requests: a little more than 1/per_second
    next_at      timestamptz NOT NULL DEFAULT 'epoch', -- the first place that nobody has taken
    paused_until timestamptz,                    -- the carrier wants nothing before that (429)
    why          text,
    PRIMARY KEY (carrier, limit_group),
    CONSTRAINT limited_or_not CHECK ((per_second IS NULL) = (spacing IS NULL))
) WITH (fillfactor = 50);

-- Which limit the work on a lane draws on, by the kind of order. No row: on none.
CREATE TABLE draws (
    carrier     text NOT NULL,
    lane        text NOT NULL,
    kind        text NOT NULL,
    limit_group text NOT NULL,
    PRIMARY KEY (carrier, lane, kind),
    FOREIGN KEY (carrier, limit_group) REFERENCES budgets
);

-- Whether a carrier can be reached. While it is held (held_until), nothing is claimed for it; then one claim at a
-- time takes one order, the probe, and what becomes of it decides.
CREATE TABLE breakers (
    carrier     text PRIMARY KEY,
    faults      integer NOT NULL DEFAULT 0,      -- in a row
    why         text,                            -- the last of them
    held_until  timestamptz,                     -- null: closed
    opened_at   timestamptz,
    holds       integer NOT NULL DEFAULT 0,      -- how often it was held again: each time for longer
    probe_token uuid,                            -- of the claim whose order is the probe
    probe_until timestamptz,                     -- after that it counts as lost, and another may try
    closed_at   timestamptz
) WITH (fillfactor = 50);
