#!/bin/sh
# Make the files of `secrets/` that docker-compose.yml needs: new passwords for what has none yet, empty files for secrets
# of yours to fill in. What is there already stays. They belong to the user of the containers if root runs this.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
new() { test -s "secrets/$1" || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "secrets/$1"; }
put() { test -s "secrets/$1" || printf '%s' "$2" > "secrets/$1"; }
empty() { test -e "secrets/$1" || : > "secrets/$1"; }

new postgres_owner_password
new postgres_service_password
new valkey_password
new NUMBER_ORDERS_NOTICE_SECRET
new NUMBER_ORDERS_BANDWIDTH__NOTICE_PASSWORD
new NUMBER_ORDERS_METRICS_TOKEN
new NUMBER_ORDERS_FLOWER_PASSWORD
put NUMBER_ORDERS_MIGRATION_URL \
    "postgresql://number_orders_owner:$(cat secrets/postgres_owner_password)@postgres:5432/number_orders"
put NUMBER_ORDERS_DATABASE_URL \
    "postgresql://number_orders_service:$(cat secrets/postgres_service_password)@postgres:5432/number_orders"
put NUMBER_ORDERS_BROKER_URL "redis://:$(cat secrets/valkey_password)@valkey:6379/0"
empty NUMBER_ORDERS_BANDWIDTH__CLIENT_SECRET
empty NUMBER_ORDERS_CM__PRODUCT_TOKEN
empty NUMBER_ORDERS_SWIFT__API_KEY
empty NUMBER_ORDERS_NOTICE_SECRET_BEFORE

# The containers run as other users than root, and files of secrets keep their owner and mode.
if [ "$(id -u)" = 0 ]; then
    chmod 0711 secrets
    chown 10001:10001 secrets/NUMBER_ORDERS_*
    chown 999:999 secrets/postgres_* secrets/valkey_password
else
    echo "not root: make secrets/* readable for the users 10001 and 999 of the containers, and for nobody else" >&2
fi
for file in NUMBER_ORDERS_BANDWIDTH__CLIENT_SECRET NUMBER_ORDERS_CM__PRODUCT_TOKEN NUMBER_ORDERS_SWIFT__API_KEY; do
    test -s "secrets/$file" || echo "fill in secrets/$file if you order from that carrier; otherwise leave it empty"
done
