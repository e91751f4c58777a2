-- name: read_metrics
-- Every figure of the service at one moment: one row a figure, with up to two labels. Ended orders are not counted, as
-- there may be millions; workers count ends as they happen.
WITH under_way AS MATERIALIZED (
    SELECT carrier, state, count(*) AS orders, min(accepted_at) AS first
    FROM orders WHERE ended_at IS NULL GROUP BY carrier, state
), waiting AS MATERIALIZED (
    SELECT carrier, lane, kind, count(*) AS work_items, count(*) FILTER (WHERE not_before <= now()) AS due,
           min(not_before) AS first
    FROM owed GROUP BY carrier, lane, kind
), lane AS MATERIALIZED (
    SELECT carrier, lane, sum(work_items) AS work_items, sum(due) AS due, min(first) AS first
    FROM waiting GROUP BY carrier, lane
), claimable AS MATERIALIZED (
    -- What only waits for a worker. Not so: work that a pause, a breaker or a carrier's 429 holds back, and work of a limit
    -- group whose next rate slot is yet to come.
    SELECT carrier, lane, min(first) AS first
    FROM waiting
    WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.carrier = waiting.carrier AND pauses.lane = waiting.lane AND resumed_at IS NULL)
      AND (lane = 'tell' OR NOT EXISTS (SELECT FROM breakers WHERE breakers.carrier = waiting.carrier AND held_until IS NOT NULL))
      AND NOT EXISTS (
          SELECT FROM draws JOIN budgets USING (carrier, limit_group)
          WHERE draws.carrier = waiting.carrier AND draws.lane = waiting.lane AND draws.kind = waiting.kind
            AND (paused_until > now() OR spacing IS NOT NULL AND next_at > now()))
    GROUP BY carrier, lane
)
SELECT 'orders' AS figure, carrier AS first_label, state AS second_label, orders::double precision AS value FROM under_way
UNION ALL
SELECT 'oldest_order_seconds', carrier, state, extract(epoch FROM now() - first)::double precision FROM under_way
UNION ALL
SELECT 'lane_work_items', lanes.carrier, lanes.lane, coalesce(lane.work_items, 0)
FROM lanes LEFT JOIN lane USING (carrier, lane)
UNION ALL
SELECT 'lane_due', lanes.carrier, lanes.lane, coalesce(lane.due, 0) FROM lanes LEFT JOIN lane USING (carrier, lane)
UNION ALL
SELECT 'lane_late_seconds', lanes.carrier, lanes.lane, coalesce(greatest(extract(epoch FROM now() - lane.first), 0), 0)
FROM lanes LEFT JOIN lane USING (carrier, lane)
UNION ALL
SELECT 'lane_waits_for_worker_seconds', lanes.carrier, lanes.lane,
       coalesce(greatest(extract(epoch FROM now() - claimable.first), 0), 0)
FROM lanes LEFT JOIN claimable USING (carrier, lane)
UNION ALL
SELECT 'lane_paused', lanes.carrier, lanes.lane,
       (EXISTS (SELECT FROM pauses
                WHERE pauses.carrier = lanes.carrier AND pauses.lane = lanes.lane AND resumed_at IS NULL))::integer
FROM lanes
UNION ALL
SELECT 'breaker_open', carrier, NULL, (held_until IS NOT NULL)::integer FROM breakers
UNION ALL
SELECT 'limit_paused', carrier, limit_group, coalesce(paused_until > now(), false)::integer FROM budgets
UNION ALL
SELECT 'alarms', what, NULL, count(*) FROM alarms WHERE cleared_at IS NULL GROUP BY what
UNION ALL
SELECT 'documents_waiting', NULL, NULL, count(*) FROM owed WHERE lane = 'tell'
UNION ALL
SELECT 'webhooks_waiting', NULL, NULL, count(*) FROM webhook_deliveries
UNION ALL
SELECT 'dead_letters', NULL, NULL, count(*) FROM dead_letters
UNION ALL
SELECT 'guard_active', NULL, NULL, coalesce(ends_at > now(), false)::integer FROM guard
UNION ALL
-- Of the present hour or day; what was given back since the last intake is not taken off yet.
SELECT 'budget_numbers_taken', producer, span, CASE WHEN now() < began_at + ('1 ' || span)::interval THEN taken ELSE 0 END
FROM allowances WHERE carrier = '' AND span <> 'order'
UNION ALL
SELECT 'budget_numbers_max', producer, span, numbers_max
FROM allowances WHERE carrier = '' AND span <> 'order' AND numbers_max IS NOT NULL;
