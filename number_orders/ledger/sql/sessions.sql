-- name: open_session
WITH forgotten AS (
    DELETE FROM board_sessions WHERE digest IN (
        SELECT digest FROM board_sessions WHERE began_at < now() - '30 days'::interval LIMIT 1000)
)
INSERT INTO board_sessions (digest, operator, token_id) VALUES (%(digest)s, %(operator)s, %(token_id)s);

-- name: find_session
-- A session that is neither over nor idle for too long, and whose token is still valid. `touches` makes it count as used.
WITH found AS (
    SELECT session.*
    FROM board_sessions AS session LEFT JOIN tokens USING (token_id)
    WHERE session.digest = %(digest)s AND seen_at > now() - %(idle)s AND began_at > now() - %(lasts)s
      AND (session.token_id IS NULL
           OR tokens.token_id IS NOT NULL AND revoked_at IS NULL AND coalesce(expires_at > now(), true))
), touched AS (
    UPDATE board_sessions SET seen_at = now() FROM found
    WHERE board_sessions.digest = found.digest AND %(touches)s AND found.seen_at < now() - '10 s'::interval
)
SELECT operator, token_id FROM found;

-- name: close_session
DELETE FROM board_sessions WHERE digest = %(digest)s;
