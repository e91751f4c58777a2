-- name: unfinished_orders
-- The orders under way, by carrier and state. Only an index of unfinished orders is read, and those orders.
SELECT carrier, state, count(*) AS orders, min(accepted_at) AS oldest_at
FROM orders WHERE ended_at IS NULL
GROUP BY carrier, state ORDER BY carrier, state;

-- name: recent_ends
-- The orders that ended within a time, by carrier and state; how many of them within the last hour, and how long half of
-- them took at most.
SELECT carrier, state, count(*) AS orders, count(*) FILTER (WHERE ended_at > now() - '1 h'::interval) AS last_hour,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY ended_at - accepted_at) AS median
FROM orders WHERE ended_at > now() - %(within)s
GROUP BY carrier, state ORDER BY carrier, state;

-- name: count_accepted
SELECT now() AS now, count(*) AS orders, count(*) FILTER (WHERE accepted_at > now() - '1 h'::interval) AS last_hour
FROM orders WHERE accepted_at > now() - %(within)s;

-- name: lane_depths
-- What is owed on each lane: due and not taken, in the hands of workers, and waiting for its time; and since when the
-- longest due item has been due.
SELECT carrier, lane, count(*) FILTER (WHERE not_before <= now()) AS due,
       count(*) FILTER (WHERE not_before > now() AND lease_token IS NOT NULL) AS in_hand,
       count(*) FILTER (WHERE not_before > now() AND lease_token IS NULL) AS waiting,
       min(not_before) FILTER (WHERE not_before <= now()) AS due_since
FROM owed GROUP BY carrier, lane
UNION ALL
SELECT 'webhooks', 'tell', count(*) FILTER (WHERE not_before <= now()),
       count(*) FILTER (WHERE not_before > now() AND lease_token IS NOT NULL),
       count(*) FILTER (WHERE not_before > now() AND lease_token IS NULL),
       min(not_before) FILTER (WHERE not_before <= now())
FROM webhook_deliveries HAVING count(*) > 0
ORDER BY carrier, lane;

-- name: last_answers
-- The last request to each carrier of which a receipt is among the newest ones, and what came of it.
SELECT DISTINCT ON (orders.carrier) orders.carrier, recent.at, recent.request, recent.status, recent.trouble
FROM (SELECT * FROM receipts ORDER BY at DESC LIMIT %(among)s) AS recent
JOIN orders USING (order_id)
ORDER BY orders.carrier, recent.at DESC, recent.receipt_id DESC;
