-- The whole schema of the ledger. Alembic's revisions (ledger/migrations) build exactly this; a test compares the two.
-- The names of constraints and unique indexes say what they promise.

CREATE TABLE orders (
    order_id         uuid PRIMARY KEY,
    producer         text NOT NULL,
    key              text NOT NULL,
    fingerprint      bytea NOT NULL,             -- of the request: the same key with another request is a conflict
    carrier          text NOT NULL,
    kind             text NOT NULL,
    account          text,
    request          jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN (
                         'ACCEPTED', 'SUBMITTING', 'IN_DOUBT', 'OPEN', 'PARKED',
                         'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED')),
    version          integer NOT NULL DEFAULT 0, -- counts the events; guards every step
    carrier_order_id text,
    carrier_status   text,
    reason           text,
    progress         jsonb NOT NULL DEFAULT '{}',
    cancel_asked_at  timestamptz,                -- cancellation asked for after the carrier had the order
    sends            integer NOT NULL DEFAULT 0,
    losses           integer NOT NULL DEFAULT 0,
    doubt_since      timestamptz,
    doubt_asks       integer NOT NULL DEFAULT 0,
    accepted_at      timestamptz NOT NULL DEFAULT now(),
    moved_at         timestamptz NOT NULL DEFAULT now(),
    ended_at         timestamptz,
    reference        text,                       -- the order's name at its carrier; null: its id
    history_lost_at  timestamptz,                -- what was done with it before that may be forgotten
    other_carrier_orders text[] NOT NULL DEFAULT '{}', -- with its reference, besides the one that it follows
    charged_at       timestamptz,                -- when its numbers were taken from its producer's allowances; null: not
    is_proven        boolean,                    -- by a token or signature of its producer; null: not
    trace_parent     text,                       -- its acceptance in its trace, as W3C Trace Context writes it
    CONSTRAINT one_order_per_key UNIQUE (producer, key),
    CONSTRAINT ended_means_final CHECK ((ended_at IS NOT NULL) = (state IN (
                         'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED'))),
    CONSTRAINT open_means_known CHECK (state <> 'OPEN' OR carrier_order_id IS NOT NULL),
    CONSTRAINT doubt_has_a_beginning CHECK (state <> 'IN_DOUBT' OR doubt_since IS NOT NULL),
    CONSTRAINT sent_before_lost CHECK (losses <= sends)
) WITH (fillfactor = 80);

-- A carrier's order belongs to at most one order of ours.
CREATE UNIQUE INDEX one_order_per_carrier_order ON orders (carrier, carrier_order_id)
    WHERE carrier_order_id IS NOT NULL;
CREATE INDEX orders_by_age ON orders (accepted_at);
CREATE INDEX orders_by_end ON orders (ended_at) WHERE ended_at IS NOT NULL; -- for what ended lately, and for the archive
CREATE INDEX orders_of_producer ON orders (producer, accepted_at, order_id); -- for a producer's list of its orders
-- For the board: which orders are unfinished, the oldest first. Of orders that move it changes nothing.
CREATE INDEX orders_unfinished ON orders (accepted_at, order_id) WHERE ended_at IS NULL;
-- For the question which unfinished order a notice is about.
CREATE INDEX orders_by_reference ON orders (carrier, coalesce(reference, order_id::text)) WHERE ended_at IS NULL;
-- For the question which unfinished order names a number.
CREATE INDEX orders_naming ON orders USING gin ((request -> 'numbers'))
    WHERE ended_at IS NULL AND request ? 'numbers';

-- For a person who looks for an order by a carrier order that it does not follow. Few orders have any.
CREATE INDEX orders_by_other_carrier_order ON orders USING gin (other_carrier_orders)
    WHERE other_carrier_orders <> '{}';

CREATE TABLE order_numbers (
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    e164       text NOT NULL CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    state      text NOT NULL CHECK (state IN ('requested', 'acquired', 'usable', 'failed', 'released', 'withdrawn')),
    code       text,
    text       text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, e164)
);
CREATE INDEX order_numbers_by_e164 ON order_numbers (e164);

-- The story of each order: append-only, one row a version.
CREATE TABLE order_events (
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    version  integer NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    event    text NOT NULL,
    state    text NOT NULL,                      -- of the order after the event
    late     boolean NOT NULL DEFAULT false,     -- heard when the order had ended or was parked; moved nothing
    detail   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, version)
);
-- For the board: which orders have ended or were parked, and when.
CREATE INDEX events_to_ends ON order_events (state, at) INCLUDE (order_id, event)
    WHERE NOT late AND state IN ('PARKED', 'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED');

-- Requests to carriers and their answers: without secrets, cut to a maximum length, deleted after some days.
CREATE TABLE receipts (
    receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT now(),
    request    text NOT NULL,                    -- method and path
    status     integer,                          -- null: no answer came
    trouble    text,                             -- what came instead of an answer
    sent       text,
    answer     text,
    elapsed_ms integer NOT NULL
);
CREATE INDEX receipts_of_order ON receipts (order_id, receipt_id);
CREATE INDEX receipts_by_age ON receipts (at);

-- Work items: what is to be done for an order, on which lane, not before when. Small, and changed by every claim.
-- While a worker has an item, lease_token is set and not_before is the end of the lease.
CREATE TABLE owed (
    order_id    uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    lane        text NOT NULL CHECK (lane IN ('submit', 'ask', 'tell')),
    carrier     text NOT NULL,
    not_before  timestamptz NOT NULL,
    lease_token uuid,
    attempts    integer NOT NULL DEFAULT 0,      -- claims since it was added or renewed
    confirmed   integer NOT NULL DEFAULT 0,      -- looks since then in which the carrier showed the same again
    turn        integer NOT NULL DEFAULT 0,      -- generation: how often it was renewed while it existed
    reason      text,
    serial_key  text,                            -- the serial lock that the order waits for
    kind        text NOT NULL,                   -- of the order; with the lane, it selects the limit group (draws)
    hurried_at  timestamptz,                     -- for when a notice last made it due earlier
    CONSTRAINT one_debt_per_order_and_lane PRIMARY KEY (order_id, lane)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX owed_due ON owed (carrier, lane, kind, not_before);
CREATE INDEX owed_in_line ON owed (carrier, serial_key, order_id) WHERE serial_key IS NOT NULL;
-- For workers of 0.1.0, which write no kind and may run beside this release. The next release drops it.
CREATE FUNCTION kind_of_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT kind INTO NEW.kind FROM orders WHERE order_id = NEW.order_id;
    RETURN NEW;
END $$;
CREATE TRIGGER owed_has_a_kind BEFORE INSERT ON owed
    FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION kind_of_owed();

-- Serial locks: where a carrier does not say which numbers an order brought, orders that it could confuse are sent one
-- after the other. A row is the lock that an order has.
CREATE TABLE turns (
    carrier    text NOT NULL,
    serial_key text NOT NULL,
    order_id   uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    since      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT one_at_a_time PRIMARY KEY (carrier, serial_key)
);
CREATE INDEX turns_of_order ON turns (order_id);

-- The archive: orders that ended long ago, each with its numbers, story and documents in one row. Its key stays taken for
-- ever. A later revision that adds a column to `orders` which may not be null has to add it to `whole` too.
CREATE TABLE archived_orders (
    order_id         uuid PRIMARY KEY,
    producer         text NOT NULL,
    key              text NOT NULL,
    fingerprint      bytea NOT NULL,
    reference        text NOT NULL,              -- its id, where the order has none
    carrier          text NOT NULL,
    carrier_order_id text,
    state            text NOT NULL,
    ended_at         timestamptz NOT NULL,
    whole            jsonb NOT NULL,             -- its row of `orders`, as to_jsonb writes it
    numbers          jsonb NOT NULL,
    events           jsonb NOT NULL,
    messages         jsonb NOT NULL,
    archived_at      timestamptz NOT NULL DEFAULT now(),
    removed_at       timestamptz,                -- from `orders`; null: it is still there, and that one counts
    purged_at        timestamptz,                -- story and free text are gone, and it cannot be brought back
    CONSTRAINT one_archived_order_per_key UNIQUE (producer, key),
    CONSTRAINT purged_after_removed CHECK (purged_at IS NULL OR removed_at IS NOT NULL)
);
CREATE INDEX archived_orders_copied ON archived_orders (archived_at) WHERE removed_at IS NULL;
CREATE INDEX archived_orders_by_end ON archived_orders (ended_at) WHERE purged_at IS NULL;
CREATE INDEX archived_orders_by_carrier_order ON archived_orders (carrier, carrier_order_id) WHERE carrier_order_id IS NOT NULL;
CREATE INDEX archived_orders_by_reference ON archived_orders (carrier, reference);
CREATE INDEX archived_orders_by_number ON archived_orders USING gin (numbers jsonb_path_ops);

-- Orders that were brought back from the archive, and when: they are not archived again at once.
CREATE TABLE restored_orders (
    order_id    uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    restored_at timestamptz NOT NULL DEFAULT now()
);

-- What is unique in `orders` stays so although a part of them is archived. Workers of 0.1.0 do not look into the archive; they
-- write no references. They take this error for a ledger that does not answer, and give the message back to the broker.
CREATE FUNCTION refuse_archived_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM archived_orders AS archived
               WHERE archived.producer = NEW.producer AND archived.key = NEW.key AND archived.removed_at IS NOT NULL) THEN
        RAISE query_canceled USING MESSAGE = format('the key %s belongs to an archived order', NEW.key);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER archived_keys_stay_taken AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.reference IS NULL) EXECUTE FUNCTION refuse_archived_key();
CREATE FUNCTION refuse_archived_carrier_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM archived_orders AS archived
               WHERE archived.carrier = NEW.carrier AND archived.carrier_order_id = NEW.carrier_order_id
                 AND archived.order_id <> NEW.order_id AND archived.removed_at IS NOT NULL) THEN
        RAISE unique_violation USING
            MESSAGE = format('the carrier order %s of %s belongs to an archived order', NEW.carrier_order_id, NEW.carrier);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER archived_carrier_orders_stay_taken AFTER UPDATE ON orders
    FOR EACH ROW WHEN (NEW.carrier_order_id IS NOT NULL AND NEW.carrier_order_id IS DISTINCT FROM OLD.carrier_order_id)
    EXECUTE FUNCTION refuse_archived_carrier_order();

-- Which order acquired each number, and which released it. A number is held at most once.
CREATE TABLE held_numbers (
    held_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    e164        text NOT NULL CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    carrier     text NOT NULL,
    account     text,
    acquired_by uuid,                            -- an order, perhaps archived
    acquired_at timestamptz NOT NULL DEFAULT now(),
    released_by uuid,
    released_at timestamptz,
    CONSTRAINT released_after_acquired CHECK (released_at >= acquired_at)
);
CREATE UNIQUE INDEX held_at_most_once ON held_numbers (e164) WHERE released_at IS NULL;
-- For the question who held a number last.
CREATE INDEX held_before ON held_numbers (e164, released_at) WHERE released_at IS NOT NULL;

-- The outbox: order documents for producers, delivered in order for each order. When is the work item on the lane tell.
CREATE TABLE tellings (
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    version  integer NOT NULL,
    channel  text NOT NULL CHECK (channel IN ('task', 'url')),
    document jsonb NOT NULL,
    told_at  timestamptz,
    tries    integer NOT NULL DEFAULT 0,
    trouble  text,
    tried_since timestamptz,                     -- by HTTP: when the first attempt of the present series failed
    gave_up_at  timestamptz,                     -- by HTTP: not tried any more, until a person asks for it
    PRIMARY KEY (order_id, version, channel)
);
CREATE INDEX tellings_untold ON tellings (order_id, version) WHERE told_at IS NULL;

-- The hosts that documents are sent to, each for one producer. Deliveries to one host are limited together, and a host
-- that cannot be reached is left alone for a while, so that it delays no other.
CREATE TABLE webhook_hosts (
    producer   text NOT NULL,
    host       text NOT NULL,                    -- name and port
    faults     integer NOT NULL DEFAULT 0,       -- how often in a row it could not be reached
    faulted_at timestamptz,                      -- when the last fault was counted
    held_until timestamptz,                      -- nothing is sent before that
    PRIMARY KEY (producer, host)
) WITH (fillfactor = 50);

-- Orders of which documents are to be sent to their URL. The documents are in the outbox; the oldest goes first.
CREATE TABLE webhook_deliveries (
    order_id    uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    producer    text NOT NULL,
    host        text NOT NULL,
    not_before  timestamptz NOT NULL DEFAULT now(), -- while one is under way, the end of its lease
    lease_token uuid,
    generation  integer NOT NULL DEFAULT 0,      -- how often a document was added while it existed
    FOREIGN KEY (producer, host) REFERENCES webhook_hosts
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX webhooks_due ON webhook_deliveries (producer, host, not_before);
CREATE INDEX webhooks_under_way ON webhook_deliveries (producer, host) WHERE lease_token IS NOT NULL;

-- The secrets that sign documents: up to two for each producer, so that it can change from one to the other. A secret
-- that was removed is not kept.
CREATE TABLE webhook_secrets (
    secret_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    producer   text NOT NULL,
    place      smallint NOT NULL CHECK (place IN (1, 2)),
    secret     text CHECK (secret ~ '^whsec_'),
    added_at   timestamptz NOT NULL DEFAULT now(),
    added_by   text NOT NULL,
    removed_at timestamptz,
    removed_by text,
    CONSTRAINT removed_is_forgotten CHECK ((secret IS NULL) = (removed_at IS NOT NULL)),
    CONSTRAINT removed_by_somebody CHECK ((removed_at IS NULL) = (removed_by IS NULL))
);
CREATE UNIQUE INDEX two_secrets_at_most ON webhook_secrets (producer, place) WHERE removed_at IS NULL;

-- Notices: what carriers send unasked. A notice is a hint to ask now, never proof of anything. One that names no order of
-- ours is matched again later: the order may be acknowledged after its notice.
CREATE TABLE notices (
    notice_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier          text NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(), -- of the latest copy
    digest           bytea NOT NULL,
    carrier_order_id text,
    order_id         uuid REFERENCES orders,
    body             text NOT NULL,              -- its beginning, if it is long
    handled_at       timestamptz,                -- when its order was made due, or needed no question; null: it waits
    reference        text,                       -- of the order, as the notice or its address names it
    trouble          text,                       -- why it cannot be read
    copies           integer NOT NULL DEFAULT 1,
    match_at         timestamptz,                -- when its order is looked for again
    CONSTRAINT one_notice_once UNIQUE (carrier, digest)
);
CREATE INDEX notices_waiting ON notices (match_at) WHERE handled_at IS NULL;
CREATE INDEX notices_by_age ON notices (received_at);
CREATE INDEX notices_of_order ON notices (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE lanes (
    carrier      text NOT NULL,
    lane         text NOT NULL,
    paused_until timestamptz,                    -- from here on for 0.1.0, which reads it; the next release drops it
    why          text,
    paused_by    text,
    PRIMARY KEY (carrier, lane)
);

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

-- Which ledger this is: the server, its timeline, the database and its tables. None of them stays when a backup is restored
-- or another server takes over. Null on a standby.
CREATE FUNCTION ledger_identity() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN -- in plpgsql, which keeps its plan for the session; before PostgreSQL 18 an SQL function is planned at each call
    RETURN CASE WHEN NOT pg_is_in_recovery() THEN
        concat_ws('/', (SELECT system_identifier FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_lsn()), 8),
                  (SELECT oid FROM pg_database WHERE datname = current_database()), 'orders'::regclass::oid) END;
END
$$;

-- Whether the ledger is still the one it was, and the guard period after it fell back in time. There is one row.
CREATE TABLE guard (
    guard_id        integer PRIMARY KEY DEFAULT 1 CHECK (guard_id = 1),
    identity        text NOT NULL,               -- of the server, its timeline and the tables
    seen_at         timestamptz NOT NULL DEFAULT now(), -- when a worker last wrote this row
    began_at        timestamptz,                 -- null: there was no guard period
    ends_at         timestamptz,
    why             text,
    who             text,
    references_from timestamptz NOT NULL,        -- orders that are accepted later have derived references
    CONSTRAINT guard_has_an_end CHECK ((began_at IS NULL) = (ends_at IS NULL))
);
-- Readings: carriers' lists that are read whole, page by page, once for every order that waits. They can be read again,
-- so nothing of them is written to the WAL: after a crash of PostgreSQL, and on a promoted standby, they are gone.
CREATE UNLOGGED TABLE readings (
    reading_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier     text NOT NULL,
    list_name   text NOT NULL,                   -- the adapter's name of the list
    not_before  timestamptz NOT NULL,            -- when a worker may go on with it; while one reads, the end of its lease
    lease_token uuid,
    began_at    timestamptz,                     -- it answers the questions that were put before; null: not begun
    cursor      text,                            -- of the next page; null: the first page is next
    pages       integer NOT NULL DEFAULT 0,
    faults      integer NOT NULL DEFAULT 0,      -- in a row
    trouble     text,                            -- the last of them
    whole_at    timestamptz                      -- null: not all pages are read
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX one_reading_at_a_time ON readings (carrier, list_name) WHERE whole_at IS NULL;
CREATE INDEX whole_readings ON readings (carrier, list_name, began_at) WHERE whole_at IS NOT NULL;

-- What the pages have shown. No foreign key: it would be checked for each of many thousand rows.
CREATE UNLOGGED TABLE listed_numbers (
    reading_id  bigint NOT NULL,
    e164        text NOT NULL,
    inserted_at timestamptz NOT NULL,            -- on the carrier's clock
    detail      jsonb NOT NULL,                  -- what else the list says of it, in the adapter's words
    PRIMARY KEY (reading_id, e164)
);
CREATE INDEX listed_since ON listed_numbers (reading_id, inserted_at);

-- The questions that wait for a reading. A question is deleted when it is answered.
CREATE UNLOGGED TABLE list_questions (
    order_id  uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    list_name text NOT NULL,
    question  text NOT NULL,
    carrier   text NOT NULL,
    asked_at  timestamptz NOT NULL,
    PRIMARY KEY (order_id, list_name, question)
);
CREATE INDEX questions_of_list ON list_questions (carrier, list_name, asked_at);

-- Producers that have tokens or signing keys. Operators are here too: they see every order and decide about it.
CREATE TABLE producers (
    producer text PRIMARY KEY,
    role     text NOT NULL CHECK (role IN ('producer', 'operator')),
    added_at timestamptz NOT NULL DEFAULT now(),
    added_by text NOT NULL,
    removals text NOT NULL DEFAULT 'own' CHECK (removals IN ('own', 'unknown', 'any')) -- the numbers that it may remove
);

-- Tokens over HTTP. Only the SHA-256 of a token is kept: it has 256 random bits, so that there is nothing to guess.
CREATE TABLE tokens (
    token_id     uuid PRIMARY KEY,
    producer     text NOT NULL REFERENCES producers,
    digest       bytea NOT NULL,
    label        text,
    made_at      timestamptz NOT NULL DEFAULT now(),
    made_by      text NOT NULL,
    expires_at   timestamptz,                    -- null: never
    revoked_at   timestamptz,
    revoked_by   text,
    last_used_at timestamptz,                    -- within a minute
    CONSTRAINT one_token_per_digest UNIQUE (digest),
    CONSTRAINT revoked_by_somebody CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX tokens_of_producer ON tokens (producer);

-- Sessions of operators in the browser. Only the SHA-256 of the cookie is kept.
CREATE TABLE board_sessions (
    digest   bytea PRIMARY KEY,
    operator text NOT NULL,
    token_id uuid REFERENCES tokens,             -- that the operator came with; null: a proxy has named the operator
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at  timestamptz NOT NULL DEFAULT now()  -- when the operator last used it, within some seconds
);
CREATE INDEX board_sessions_by_age ON board_sessions (began_at);

-- Keys by which producers sign queue messages, kept as they are: a signature is checked with the key that made it.
CREATE TABLE signing_keys (
    key_id     uuid PRIMARY KEY,
    producer   text NOT NULL REFERENCES producers,
    secret     text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    made_by    text NOT NULL,
    retired_at timestamptz                       -- null: valid; at most two of a producer are
);
CREATE INDEX signing_keys_of_producer ON signing_keys (producer);

-- How many numbers a producer may order, and how many of them it has in this hour or day. Every producer that has ordered
-- has a row without carrier for the hour.
CREATE TABLE allowances (
    producer    text NOT NULL,
    carrier     text NOT NULL,                   -- empty: at all carriers together
    span        text NOT NULL CHECK (span IN ('order', 'hour', 'day')),
    numbers_max integer CHECK (numbers_max >= 0), -- null: not limited, or the default
    is_default  boolean NOT NULL DEFAULT false,  -- nobody has set a limit of this producer: that of the settings holds
    above       text NOT NULL DEFAULT 'refuse' CHECK (above IN ('refuse', 'park')),
    began_at    timestamptz NOT NULL DEFAULT 'epoch', -- of the hour or day: when its first order was accepted
    taken       bigint NOT NULL DEFAULT 0,
    CONSTRAINT one_allowance_per_span PRIMARY KEY (producer, carrier, span)
) WITH (fillfactor = 50);

-- What changes `taken` apart from new orders: numbers that an order did not bring (negative), and orders that an operator
-- has approved. The next intake of the producer adds them up, so that the end of an order waits for no lock.
CREATE TABLE allowance_corrections (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    producer      text NOT NULL,
    carrier       text NOT NULL,
    charged_at    timestamptz NOT NULL,          -- when the order was: it counts in the hour and day of that moment
    numbers       integer NOT NULL
);
CREATE INDEX corrections_of_producer ON allowance_corrections (producer);

-- When each run of the schedule that may be made only once has begun last: two beats send every tick twice.
CREATE TABLE scheduled_runs (
    name     text PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz                         -- null: it runs, or its worker was killed
);

-- How many numbers carriers had for sale, by the groups of a question.
CREATE TABLE coverage_snapshots (
    carrier     text NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now(),
    query       text NOT NULL,                   -- what was asked: criteria and groups, such as `country=USA by state`
    entry       text NOT NULL,                   -- the group, such as `state=NC`; empty: all together
    quantity    integer NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (carrier, query, entry, taken_at)
);
CREATE INDEX coverage_snapshots_by_age ON coverage_snapshots (taken_at);

-- Alarms for people. One row for each matter, however often it happens.
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
    cleared_by text,                             -- who cleared it last; stays when it is active again
    CONSTRAINT one_alarm_per_matter UNIQUE (what, subject)
);
CREATE INDEX alarms_active ON alarms (last_at) WHERE cleared_at IS NULL;
CREATE INDEX alarms_cleared ON alarms (cleared_at) WHERE cleared_at IS NOT NULL;

-- What the last comparison of each carrier's numbers with the ledger has found.
CREATE TABLE reconciliations (
    carrier   text PRIMARY KEY,
    at        timestamptz,                       -- of the last one that was possible; null: none was yet
    theirs    integer NOT NULL DEFAULT 0,
    ours      integer NOT NULL DEFAULT 0,
    orphans   integer NOT NULL DEFAULT 0,        -- that are left after what a person decided
    ghosts    integer NOT NULL DEFAULT 0,
    failed_at timestamptz,                       -- one after it was not possible
    trouble   text
);
CREATE INDEX alarms_of_order ON alarms (order_id) WHERE order_id IS NOT NULL; -- also for the removal of archived orders

-- Dead letters: messages that cannot be read or that no worker survived, kept for an operator.
CREATE TABLE dead_letters (
    letter_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    queue       text NOT NULL,
    why         text NOT NULL,
    task_id     text,
    headers     jsonb NOT NULL DEFAULT '{}',
    body        bytea NOT NULL,                  -- its beginning, if it is long
    size        integer NOT NULL
);
