-- Sessions of operators in the browser. Only the SHA-256 of the cookie is kept.
CREATE TABLE board_sessions (
    digest   bytea PRIMARY KEY,
    operator text NOT NULL,
    token_id uuid REFERENCES tokens,             -- that the operator came with; null: a proxy has named the operator
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at  timestamptz NOT NULL DEFAULT now()  -- when the operator last used it, within some seconds
);
CREATE INDEX board_sessions_by_age ON board_sessions (began_at);

-- For the board: which orders are unfinished, the oldest first. Of orders that move it changes nothing.
CREATE INDEX orders_unfinished ON orders (accepted_at, order_id) WHERE ended_at IS NULL;
-- For the board: which orders have ended or were parked, and when.
CREATE INDEX events_to_ends ON order_events (state, at) INCLUDE (order_id, event)
    WHERE NOT late AND state IN ('PARKED', 'COMPLETED', 'PARTIAL', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED');
CREATE INDEX alarms_active ON alarms (last_at) WHERE cleared_at IS NULL;
