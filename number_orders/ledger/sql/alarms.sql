-- name: raise_alarm
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, %(order_id)s, %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET times = alarms.times + 1, last_at = now(), detail = excluded.detail, cleared_at = NULL
RETURNING times;

-- name: note_alarm
-- What goes on being so. Told with the latest words, and counted as happening again once in a while only; the same when
-- it is about another order now.
INSERT INTO alarms (what, subject, carrier, order_id, detail)
VALUES (%(what)s, %(subject)s, %(carrier)s, %(order_id)s, %(detail)s)
ON CONFLICT (what, subject) DO UPDATE
SET detail = excluded.detail, order_id = excluded.order_id,
    (times, last_at, cleared_at) = (
        SELECT alarms.times + again::integer, CASE WHEN again THEN now() ELSE alarms.last_at END,
               CASE WHEN NOT again THEN alarms.cleared_at END
        FROM (SELECT alarms.order_id IS DISTINCT FROM excluded.order_id
                  OR alarms.last_at < now() - %(again_after)s) AS happens (again))
RETURNING times;

-- name: drop_alarms
-- What is over by itself leaves no alarm: all of this sort at a carrier, but for those that still stand.
DELETE FROM alarms WHERE what = %(what)s AND carrier = %(carrier)s AND subject <> ALL(%(standing)s::text[]);

-- name: drop_alarms_unless
-- The same for alarms that are about an order, and over when it is in this state no more.
DELETE FROM alarms USING orders
WHERE alarms.order_id = orders.order_id AND what = %(what)s AND orders.state <> %(state)s;

-- name: active_alarms
SELECT * FROM alarms WHERE cleared_at IS NULL ORDER BY last_at DESC LIMIT %(limit)s;

-- name: clear_alarms
-- What happens again stands again. Without ids: all that stand.
UPDATE alarms SET cleared_at = now()
WHERE cleared_at IS NULL AND (%(alarm_ids)s::bigint[] IS NULL OR alarm_id = ANY(%(alarm_ids)s))
RETURNING *;
