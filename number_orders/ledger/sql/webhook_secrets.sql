-- name: add_webhook_secret
-- Takes the free place of the two that a producer has. Returns no row if there is none.
INSERT INTO webhook_secrets (producer, place, secret, added_by)
SELECT %(producer)s, free.place, %(secret)s, %(by)s FROM unnest(ARRAY[1, 2]) AS free (place)
WHERE NOT EXISTS (
    SELECT FROM webhook_secrets AS known
    WHERE known.producer = %(producer)s AND known.place = free.place AND removed_at IS NULL)
ORDER BY free.place LIMIT 1
ON CONFLICT DO NOTHING
RETURNING secret_id;

-- name: webhook_secrets_of
SELECT secret_id, producer, added_at, added_by, removed_at, removed_by, now() AS now
FROM webhook_secrets WHERE producer = %(producer)s ORDER BY secret_id;

-- name: remove_webhook_secret
-- The row stays, for the record; the secret does not.
UPDATE webhook_secrets SET secret = NULL, removed_at = now(), removed_by = %(by)s
WHERE producer = %(producer)s AND secret_id = %(secret_id)s AND removed_at IS NULL
RETURNING secret_id;

-- name: producers_with_webhook_secret
SELECT DISTINCT producer FROM webhook_secrets WHERE producer = ANY(%(producers)s) AND removed_at IS NULL;
