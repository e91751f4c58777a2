-- name: add_producer
INSERT INTO producers (producer, role, added_by) VALUES (%(producer)s, %(role)s, %(by)s)
ON CONFLICT DO NOTHING
RETURNING producer;

-- name: find_producer
SELECT producer, role, added_at, added_by, removals FROM producers WHERE producer = %(producer)s;

-- name: list_producers
SELECT producer, role, added_at, added_by, removals,
       (SELECT count(*) FROM signing_keys WHERE signing_keys.producer = producers.producer AND retired_at IS NULL) AS signing_keys
FROM producers ORDER BY producer;

-- name: set_removals
UPDATE producers SET removals = %(removals)s WHERE producer = %(producer)s RETURNING producer;

-- name: list_tokens
SELECT token_id, producer, label, made_at, made_by, expires_at, revoked_at, revoked_by, last_used_at, now() AS now
FROM tokens ORDER BY producer, made_at;

-- name: add_token
INSERT INTO tokens (token_id, producer, digest, label, made_by, expires_at)
SELECT %(token_id)s, producer, %(digest)s, %(label)s, %(by)s, now() + %(lasts)s::interval
FROM producers WHERE producer = %(producer)s
ON CONFLICT (token_id) DO UPDATE SET label = excluded.label  -- the statement is repeated when its connection breaks
RETURNING token_id, expires_at;

-- name: revoke_token
UPDATE tokens SET revoked_at = now(), revoked_by = %(by)s
WHERE token_id = %(token_id)s AND revoked_at IS NULL
RETURNING token_id, producer, label;

-- name: find_token
-- Whose a valid token is. That it was used is written at most once a minute, whatever the number of requests and processes.
WITH found AS MATERIALIZED (
    SELECT token_id, producer, role, expires_at, last_used_at FROM tokens JOIN producers USING (producer)
    WHERE digest = %(digest)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
), used AS (
    UPDATE tokens SET last_used_at = now()
    FROM found
    WHERE tokens.token_id = found.token_id AND (found.last_used_at IS NULL OR found.last_used_at < now() - '1 minute'::interval)
)
SELECT token_id, producer, role, extract(epoch FROM expires_at - now())::double precision AS valid_for_s FROM found;

-- name: add_signing_key
-- The newest key before it stays valid, so that the producer can go over to the new one; older ones are retired.
WITH others AS (
    SELECT key_id, row_number() OVER (ORDER BY made_at DESC, key_id DESC) AS age
    FROM signing_keys WHERE producer = %(producer)s AND retired_at IS NULL AND key_id <> %(key_id)s
), retired AS (
    UPDATE signing_keys SET retired_at = now() FROM others WHERE signing_keys.key_id = others.key_id AND age > 1
)
INSERT INTO signing_keys (key_id, producer, secret, made_by)
SELECT %(key_id)s, producer, %(secret)s, %(by)s FROM producers WHERE producer = %(producer)s
ON CONFLICT (key_id) DO UPDATE SET secret = excluded.secret
RETURNING key_id;

-- name: retire_signing_keys
-- All but the newest.
UPDATE signing_keys SET retired_at = now()
WHERE producer = %(producer)s AND retired_at IS NULL
  AND key_id <> (SELECT key_id FROM signing_keys WHERE producer = %(producer)s AND retired_at IS NULL
                 ORDER BY made_at DESC, key_id DESC LIMIT 1)
RETURNING key_id;

-- name: signing_keys_of
SELECT producer, role, secret
FROM producers JOIN signing_keys USING (producer)
WHERE producer = ANY(%(producers)s) AND retired_at IS NULL
ORDER BY producer, made_at DESC, key_id DESC;

-- name: owners_of
SELECT order_id, producer FROM orders WHERE order_id = ANY(%(order_ids)s)
UNION
SELECT order_id, producer FROM archived_orders WHERE order_id = ANY(%(order_ids)s);
