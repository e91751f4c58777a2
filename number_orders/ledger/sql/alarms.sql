-- name: raise_alarm
-- A repetition is counted in the row of the matter, and makes a cleared alarm active again.
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, (SELECT order_id FROM orders WHERE order_id = %(order_id)s), %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET times = alarms.times + 1, last_at = now(), detail = excluded.detail, cleared_at = NULL
RETURNING times;

-- name: note_alarm
-- For a condition that persists: the detail is always updated, but the alarm counts as happening again only once in
-- `again_after`, and whenever the condition is about another order than before.
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, (SELECT order_id FROM orders WHERE order_id = %(order_id)s), %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET detail = excluded.detail, order_id = excluded.order_id,
    (times, last_at, cleared_at) = (
        SELECT alarms.times + again::integer, CASE WHEN again THEN now() ELSE alarms.last_at END,
               CASE WHEN NOT again THEN alarms.cleared_at END
        FROM (SELECT alarms.order_id IS DISTINCT FROM excluded.order_id
                  OR alarms.last_at < now() - %(again_after)s) AS happens (again))
RETURNING times;

-- name: drop_alarms
-- A condition that is over needs no person: delete the alarms of this sort at a carrier, except those in `keep`. Null: at none.
DELETE FROM alarms WHERE what = %(what)s AND carrier IS NOT DISTINCT FROM %(carrier)s AND subject <> ALL(%(keep)s::text[]);

-- name: drop_alarms_unless
-- Delete the alarms of one sort whose orders are no longer in this state.
DELETE FROM alarms USING orders
WHERE alarms.order_id = orders.order_id AND what = %(what)s AND orders.state <> %(state)s;

-- name: active_alarms
SELECT * FROM alarms WHERE cleared_at IS NULL ORDER BY last_at DESC LIMIT %(limit)s;

-- name: clear_alarms
-- The row stays, so that the alarm becomes active again if it happens again. Without ids: all active alarms. `times`: only
-- if it has not happened again since.
UPDATE alarms SET cleared_at = now(), cleared_by = %(by)s
WHERE cleared_at IS NULL AND (%(alarm_ids)s::bigint[] IS NULL OR alarm_id = ANY(%(alarm_ids)s))
  AND (%(times)s::integer IS NULL OR times = %(times)s)
RETURNING *;

-- name: read_alarm
SELECT * FROM alarms WHERE alarm_id = %(alarm_id)s;

-- name: cleared_alarms
SELECT * FROM alarms WHERE cleared_at > now() - %(since)s ORDER BY cleared_at DESC LIMIT %(limit)s;
