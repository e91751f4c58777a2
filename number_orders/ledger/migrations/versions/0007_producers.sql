ALTER TABLE orders ADD COLUMN charged_at timestamptz;

-- Workers of 0.1.0 read `orders.*` with prepared statements, which fail for good when a column is added. They connect
-- again, and wait for this transaction. Another role's sessions, which this role may not end, are theirs to restart.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'number-orders' AND pid <> pg_backend_pid()
  AND pg_has_role(current_user, usesysid, 'MEMBER');

-- Producers that have tokens or signing keys. Operators are here too: they see every order and decide about it.
CREATE TABLE producers (
    producer text PRIMARY KEY,
    role     text NOT NULL CHECK (role IN ('producer', 'operator')),
    added_at timestamptz NOT NULL DEFAULT now(),
    added_by text NOT NULL
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
