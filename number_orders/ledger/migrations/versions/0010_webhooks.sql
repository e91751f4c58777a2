ALTER TABLE tellings
    ADD COLUMN tried_since timestamptz,          -- by HTTP: when the first attempt of the present series failed
    ADD COLUMN gave_up_at  timestamptz;          -- by HTTP: not tried any more, until a person asks for it

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
