-- Limits, breakers and pauses. Workers of 0.1.0 may run beside this revision: a trigger adds the kind to their work
-- items, and the columns of `lanes` that they read stay. They obey no limit and no pause; see the CHANGELOG.
ALTER TABLE owed ADD COLUMN kind text;
UPDATE owed SET kind = orders.kind FROM orders WHERE orders.order_id = owed.order_id;
ALTER TABLE owed ALTER COLUMN kind SET NOT NULL;
DROP INDEX owed_due;
CREATE INDEX owed_due ON owed (carrier, lane, kind, not_before);
DROP INDEX orders_unfinished;  -- no statement used it, and every order had to maintain it
-- For workers of 0.1.0, which write no kind and may run beside this release. The next release drops it.
CREATE FUNCTION kind_of_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT kind INTO NEW.kind FROM orders WHERE order_id = NEW.order_id;
    RETURN NEW;
END $$;
CREATE TRIGGER owed_has_a_kind BEFORE INSERT ON owed
    FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION kind_of_owed();

-- Pauses of lanes by people, and who ended them. Never deleted. A pause has no end before a person resumes the lane.
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

-- The limit groups of each carrier: how many requests it takes, and when the next rate slot is.
CREATE TABLE budgets (
    carrier      text NOT NULL,
    limit_group  text NOT NULL,                  -- the carrier's word for what is limited together
    per_second   double precision CHECK (per_second > 0), -- null: not limited
    spacing      interval CHECK (spacing > '0'), -- between two rate slots: a little more than 1/per_second
    next_at      timestamptz NOT NULL DEFAULT 'epoch', -- the first rate slot that is not taken
    paused_until timestamptz,                    -- the carrier wants nothing before that (429)
    why          text,
    PRIMARY KEY (carrier, limit_group),
    CONSTRAINT limited_or_not CHECK ((per_second IS NULL) = (spacing IS NULL))
) WITH (fillfactor = 50);

-- The limit group that counts a request, by lane and kind of order. No row: no limit.
CREATE TABLE draws (
    carrier     text NOT NULL,
    lane        text NOT NULL,
    kind        text NOT NULL,
    limit_group text NOT NULL,
    PRIMARY KEY (carrier, lane, kind),
    FOREIGN KEY (carrier, limit_group) REFERENCES budgets
);

-- Circuit breakers, one a carrier. Until held_until an open breaker lets nothing be claimed. After that one claim at a
-- time takes one order, the probe; the carrier's answer closes the breaker, a fault opens it for longer.
CREATE TABLE breakers (
    carrier     text PRIMARY KEY,
    faults      integer NOT NULL DEFAULT 0,      -- in a row
    why         text,                            -- the last of them
    held_until  timestamptz,                     -- null: the breaker is closed
    opened_at   timestamptz,
    holds       integer NOT NULL DEFAULT 0,      -- how often it opened again without having been closed for long
    probe_token uuid,                            -- of the claim that has the probe
    probe_until timestamptz,                     -- after that the probe counts as lost, and another claim may take it
    closed_at   timestamptz
) WITH (fillfactor = 50);
