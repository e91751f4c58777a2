-- The ledger, whole. Alembic's revisions (ledger/migrations) build exactly this, and a test compares.
-- Constraints carry the promises; the comment beside each says which one.

CREATE TABLE orders (
    order_id         uuid PRIMARY KEY,
    producer         text NOT NULL,
    key              text NOT NULL,
    fingerprint      bytea NOT NULL,             -- of the request: the same key with another body is a conflict
    carrier          text NOT NULL,
    kind             text NOT NULL,
    account          text,
    request          jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN (
                         'ACCEPTED', 'SUBMITTING', 'IN_DOUBT', 'OPEN', 'PARKED',
                         'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')),
    version          integer NOT NULL DEFAULT 0, -- every move is guarded by it
    carrier_order_id text,
    carrier_status   text,
    reason           text,
    progress         jsonb NOT NULL DEFAULT '{}',
    cancel_asked_at  timestamptz,                -- called back although the carrier had it
    sends            integer NOT NULL DEFAULT 0,
    losses           integer NOT NULL DEFAULT 0,
    doubt_since      timestamptz,
    doubt_asks       integer NOT NULL DEFAULT 0,
    accepted_at      timestamptz NOT NULL DEFAULT now(),
    moved_at         timestamptz NOT NULL DEFAULT now(),
    ended_at         timestamptz,
    CONSTRAINT one_order_per_key UNIQUE (producer, key),
    CONSTRAINT ended_means_final CHECK ((ended_at IS NOT NULL) = (state IN (
                         'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED'))),
    CONSTRAINT open_means_known CHECK (state <> 'OPEN' OR carrier_order_id IS NOT NULL),
    CONSTRAINT doubt_has_a_beginning CHECK (state <> 'IN_DOUBT' OR doubt_since IS NOT NULL),
    CONSTRAINT sent_before_lost CHECK (losses <= sends)
) WITH (fillfactor = 80);

-- An order at the carrier belongs to one order of ours.
CREATE UNIQUE INDEX one_order_per_carrier_order ON orders (carrier, carrier_order_id)
    WHERE carrier_order_id IS NOT NULL;
CREATE INDEX orders_by_age ON orders (accepted_at);
-- Which unfinished order is to bring this number?
CREATE INDEX orders_naming ON orders USING gin ((request -> 'numbers'))
    WHERE ended_at IS NULL AND request ? 'numbers';

CREATE TABLE order_numbers (
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    e164       text NOT NULL CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    state      text NOT NULL CHECK (state IN ('requested', 'acquired', 'usable', 'failed', 'released')),
    code       text,
    text       text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, e164)
);
CREATE INDEX order_numbers_by_e164 ON order_numbers (e164);

-- The story: append-only, one row a version.
CREATE TABLE order_events (
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    version  integer NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    event    text NOT NULL,
    state    text NOT NULL,                      -- where the order stood after it
    late     boolean NOT NULL DEFAULT false,     -- came after the end, moved nothing
    detail   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, version)
);

-- What passed between us and the carrier, secrets removed, capped, kept for a while.
CREATE TABLE receipts (
    receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT now(),
    request    text NOT NULL,                    -- method and path
    status     integer,                          -- none: no answer came
    trouble    text,                             -- what came instead of an answer
    sent       text,
    answer     text,
    elapsed_ms integer NOT NULL
);
CREATE INDEX receipts_of_order ON receipts (order_id, receipt_id);
CREATE INDEX receipts_by_age ON receipts (at);

-- What is to be done next, and when. Small and hot: the schedule of the whole house.
-- While a worker has it, lease_token is set and not_before is the end of the lease.
CREATE TABLE owed (
    order_id    uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    lane        text NOT NULL CHECK (lane IN ('submit', 'ask', 'tell')),
    carrier     text NOT NULL,
    not_before  timestamptz NOT NULL,
    lease_token uuid,
    attempts    integer NOT NULL DEFAULT 0,      -- claims since it was last owed
    turn        integer NOT NULL DEFAULT 0,      -- how often it was owed anew while it stood
    reason      text,
    serial_key  text,                            -- whose turn it waits for
    kind        text NOT NULL,                   -- the order's: it tells which of the carrier's limits applies
    CONSTRAINT one_debt_per_order_and_lane PRIMARY KEY (order_id, lane)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX owed_due ON owed (carrier, lane, kind, not_before);
CREATE INDEX owed_in_line ON owed (carrier, serial_key, order_id) WHERE serial_key IS NOT NULL;
-- For workers of 0.1.0, which know no kind and may run beside this release; the next one drops it.
CREATE FUNCTION kind_of_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT kind INTO NEW.kind FROM orders WHERE order_id = NEW.order_id;
    RETURN NEW;
END $$;
CREATE TRIGGER owed_has_a_kind BEFORE INSERT ON owed
    FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION kind_of_owed();

-- Where a carrier does not say what an order brought, orders that could be taken for each other go one by one.
CREATE TABLE turns (
    carrier    text NOT NULL,
    serial_key text NOT NULL,
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    since      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT one_at_a_time PRIMARY KEY (carrier, serial_key)
);
CREATE INDEX turns_of_order ON turns (order_id);

-- Who holds which number now. A number is held at most once.
CREATE TABLE held_numbers (
    held_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    e164        text NOT NULL CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    carrier     text NOT NULL,
    account     text,
    acquired_by uuid REFERENCES orders,
    acquired_at timestamptz NOT NULL DEFAULT now(),
    released_by uuid REFERENCES orders,
    released_at timestamptz,
    CONSTRAINT released_after_acquired CHECK (released_at >= acquired_at)
);
CREATE UNIQUE INDEX held_at_most_once ON held_numbers (e164) WHERE released_at IS NULL;

-- Order documents that the producer is still to get, in order per order. Their schedule is owed(tell).
CREATE TABLE tellings (
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    version  integer NOT NULL,
    channel  text NOT NULL CHECK (channel IN ('task', 'url')),
    document jsonb NOT NULL,
    told_at  timestamptz,
    tries    integer NOT NULL DEFAULT 0,
    trouble  text,
    PRIMARY KEY (order_id, version, channel)
);
CREATE INDEX tellings_untold ON tellings (order_id, version) WHERE told_at IS NULL;

-- What carriers told us unasked. A notice is a hint to look, never an end.
CREATE TABLE notices (
    notice_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier          text NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(),
    digest           bytea NOT NULL,
    carrier_order_id text,
    order_id         uuid REFERENCES orders,
    body             text NOT NULL,
    handled_at       timestamptz,
    CONSTRAINT one_notice_once UNIQUE (carrier, digest)
);

CREATE TABLE lanes (
    carrier      text NOT NULL,
    lane         text NOT NULL,
    paused_until timestamptz,                    -- this and what follows: 0.1.0 reads it; the next release drops it
    why          text,
    paused_by    text,
    PRIMARY KEY (carrier, lane)
);

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

-- What a person should know. One row per matter, however often it happens.
CREATE TABLE alarms (
    alarm_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what       text NOT NULL,
    subject    text NOT NULL,
    carrier    text,
    order_id   uuid REFERENCES orders ON DELETE CASCADE,
    detail     text,
    times      integer NOT NULL DEFAULT 1,
    first_at   timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz,
    CONSTRAINT one_alarm_per_matter UNIQUE (what, subject)
);

-- Messages that nobody could read, kept where an operator sees them.
CREATE TABLE dead_letters (
    letter_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    queue       text NOT NULL,
    why         text NOT NULL,
    task_id     text,
    headers     jsonb NOT NULL DEFAULT '{}',
    body        bytea NOT NULL,                  -- its first part, if it is long
    size        integer NOT NULL
);
