-- Orders of 0.1.0 keep their id as their reference, and so do those that its workers may still send: on a ledger with
-- orders, references are derived from a day after this revision.
ALTER TABLE orders ADD COLUMN reference text;
ALTER TABLE orders ADD COLUMN history_lost_at timestamptz;

-- Workers of 0.1.0 read `orders.*` with prepared statements, which fail for good when a column is added. They connect
-- again, and wait for this transaction. Another role's sessions, which this role may not end, are theirs to restart.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'number-orders' AND pid <> pg_backend_pid()
  AND pg_has_role(current_user, usesysid, 'MEMBER');

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
    identity        text,                        -- of the server, its timeline and the tables; null: not looked at yet
    seen_at         timestamptz NOT NULL DEFAULT now(), -- when a worker last wrote this row
    began_at        timestamptz,                 -- null: there was no guard period
    ends_at         timestamptz,
    why             text,
    who             text,
    references_from timestamptz NOT NULL,        -- orders that are accepted later have derived references
    CONSTRAINT guard_has_an_end CHECK ((began_at IS NULL) = (ends_at IS NULL))
);
INSERT INTO guard (references_from)
SELECT CASE WHEN EXISTS (SELECT FROM orders) THEN now() + '1 day'::interval ELSE '-infinity' END;
