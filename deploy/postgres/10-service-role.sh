#!/bin/sh
# Run once by the PostgreSQL image, when the database is made: the role of the service, and what it may do (grants.sql).
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$(cat /run/secrets/postgres_service_password)" <<'SQL'
CREATE ROLE number_orders_service LOGIN PASSWORD :'password';
SQL
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file /deploy/grants.sql
