CREATE TABLE archived_orders (
    order_id         uuid PRIMARY KEY,
    producer         text NOT NULL,
    key              text NOT NULL,
    fingerprint      bytea NOT NULL,
    reference        text NOT NULL,
    carrier          text NOT NULL,
    carrier_order_id text,
    state            text NOT NULL,
    ended_at         timestamptz NOT NULL,
    whole            jsonb NOT NULL,
    numbers          jsonb NOT NULL,
    events           jsonb NOT NULL,
    messages         jsonb NOT NULL,
    archived_at      timestamptz NOT NULL DEFAULT now(),
    removed_at       timestamptz,
    purged_at        timestamptz,
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

CREATE INDEX orders_by_end ON orders (ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX alarms_of_order ON alarms (order_id) WHERE order_id IS NOT NULL;

-- The orders that held_numbers names may be archived.
ALTER TABLE held_numbers DROP CONSTRAINT held_numbers_acquired_by_fkey;
ALTER TABLE held_numbers DROP CONSTRAINT held_numbers_released_by_fkey;
