-- What the service may do in the ledger at run time: read and write rows, and change no table.
--
-- As a superuser, once:
--     CREATE ROLE number_orders_service LOGIN PASSWORD '…';
-- As the role that migrates and so owns the tables (NUMBER_ORDERS_MIGRATION_URL), before or after the first `migrate`:
--     psql "$NUMBER_ORDERS_MIGRATION_URL" -f deploy/grants.sql
-- Running it again does no harm. The default privileges cover the tables that later migrations of that role create.

GRANT USAGE ON SCHEMA public TO number_orders_service;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO number_orders_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO number_orders_service;

ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO number_orders_service;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO number_orders_service;

-- Only `migrate` says which schema this is. Before the first `migrate` its table is made here, as `migrate` would make it;
-- made later, the default privileges would let the service write to it.
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM number_orders_service;
