-- Revision 0001: the ledger as it was at the beginning. Never edited again; schema.sql is what stands today.


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
CREATE INDEX orders_unfinished ON orders (accepted_at) WHERE ended_at IS NULL;
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
    CONSTRAINT one_debt_per_order_and_lane PRIMARY KEY (order_id, lane)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX owed_due ON owed (carrier, lane, not_before);
CREATE INDEX owed_in_line ON owed (carrier, serial_key, order_id) WHERE serial_key IS NOT NULL;

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
    paused_until timestamptz,
    why          text,
    paused_by    text,
    PRIMARY KEY (carrier, lane)
);

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
