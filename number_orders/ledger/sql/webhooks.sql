-- name: queue_webhooks
-- Orders that have documents for their URL. An order that is queued already has one more document (`generation`).
WITH input AS MATERIALIZED (
    SELECT i.order_id, orders.producer, i.host
    FROM jsonb_to_recordset(%(orders)s) AS i (order_id uuid, host text) JOIN orders USING (order_id)
    WHERE EXISTS (
        SELECT FROM tellings
        WHERE tellings.order_id = i.order_id AND channel = 'url' AND told_at IS NULL AND gave_up_at IS NULL)
), hosts AS (
    INSERT INTO webhook_hosts (producer, host) SELECT DISTINCT producer, host FROM input
    ON CONFLICT DO NOTHING
)
INSERT INTO webhook_deliveries (order_id, producer, host) SELECT order_id, producer, host FROM input ORDER BY order_id
ON CONFLICT (order_id) DO UPDATE SET generation = webhook_deliveries.generation + 1
RETURNING order_id;

-- name: claim_webhooks
-- Lease due deliveries to one worker: of each host no more than may be under way at the same time, and one while it
-- cannot be reached; of each producer no more than its share. Producers take turns, who has fewest under way first. Each
-- comes with the oldest document that is to be sent, and the secrets of its producer. A share may be exceeded by what one
-- host may have, if that host became due while another claim was counting.
WITH host AS MATERIALIZED (
    SELECT producer, host, CASE WHEN faults > 0 THEN 1 ELSE %(per_host)s END AS together
    FROM webhook_hosts
    WHERE coalesce(held_until <= now(), true)
      AND EXISTS (
          SELECT FROM webhook_deliveries AS waiting
          WHERE waiting.producer = webhook_hosts.producer AND waiting.host = webhook_hosts.host AND not_before <= now()
          OFFSET 0)
    FOR NO KEY UPDATE SKIP LOCKED  -- two claims at once would each count without the other
), free AS MATERIALIZED (
    SELECT producer, host, greatest(0, together - (
        SELECT count(*) FROM webhook_deliveries AS busy
        WHERE busy.producer = host.producer AND busy.host = host.host AND not_before > now() AND lease_token IS NOT NULL)) AS places
    FROM host
), share AS MATERIALIZED (
    SELECT producer, (
        SELECT count(*) FROM webhook_deliveries AS busy
        WHERE busy.producer = named.producer AND not_before > now() AND lease_token IS NOT NULL) AS under_way
    FROM (SELECT DISTINCT producer FROM host) AS named
), due AS MATERIALIZED (
    SELECT free.producer, item.* FROM free, LATERAL (
        SELECT ctid AS row_id, order_id, not_before FROM webhook_deliveries
        WHERE webhook_deliveries.producer = free.producer AND webhook_deliveries.host = free.host AND not_before <= now()
        ORDER BY not_before
        LIMIT free.places
        FOR UPDATE SKIP LOCKED
    ) AS item
), queue AS MATERIALIZED (
    SELECT row_id, order_id, not_before,
           under_way + row_number() OVER (PARTITION BY producer ORDER BY not_before, order_id) AS place
    FROM due JOIN share USING (producer)
), taken AS MATERIALIZED (
    SELECT row_id FROM queue WHERE place <= %(per_producer)s ORDER BY place, not_before, order_id LIMIT %(limit)s
), claimed AS (
    UPDATE webhook_deliveries SET not_before = now() + %(lease)s, lease_token = %(token)s
    WHERE ctid = ANY(ARRAY(SELECT row_id FROM taken))
    RETURNING order_id, producer, host, generation
)
SELECT now() AS now, claimed.*, orders.request -> 'notify' ->> 'url' AS url, orders.trace_parent,
       message.version, message.document, coalesce(message.tries, 0) AS tries, message.tried_since,
       ARRAY(SELECT secret FROM webhook_secrets AS known
             WHERE known.producer = claimed.producer AND removed_at IS NULL ORDER BY secret_id) AS secrets
FROM claimed JOIN orders USING (order_id) LEFT JOIN LATERAL (
    SELECT version, document, tries, tried_since FROM tellings
    WHERE tellings.order_id = claimed.order_id AND channel = 'url' AND told_at IS NULL AND gave_up_at IS NULL
    ORDER BY version LIMIT 1
) AS message ON true;

-- name: settle_webhooks
-- Record what became of deliveries, free their leases, raise the alarms about those that were given up. A delivery that
-- took longer than its lease is recorded all the same; its lease is another's by now, or free.
WITH result AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(results)s) AS r (
        order_id uuid, producer text, host text, version integer, generation integer, outcome text, trouble text,
        wait_s double precision, detail text)
), marked AS (
    UPDATE tellings
    SET tries = tries + 1, trouble = result.trouble,
        told_at = CASE WHEN outcome = 'delivered' THEN now() END,
        tried_since = CASE WHEN outcome <> 'delivered' THEN coalesce(tried_since, now()) END,
        gave_up_at = CASE WHEN outcome = 'given_up' THEN now() END
    FROM result
    WHERE tellings.order_id = result.order_id AND tellings.version = result.version AND channel = 'url' AND told_at IS NULL
), leased AS MATERIALIZED (
    SELECT result.*, webhook_deliveries.generation <> result.generation OR EXISTS (
               SELECT FROM tellings AS next
               WHERE next.order_id = result.order_id AND channel = 'url' AND told_at IS NULL AND gave_up_at IS NULL
                 AND next.version <> coalesce(result.version, -1)) AS has_more
    FROM result JOIN webhook_deliveries USING (order_id)
    WHERE lease_token = %(token)s
    ORDER BY order_id
    FOR UPDATE OF webhook_deliveries
), due_again AS (
    UPDATE webhook_deliveries
    SET lease_token = NULL,
        not_before = now() + CASE WHEN outcome = 'failed' THEN make_interval(secs => wait_s) ELSE '0' END
    FROM leased
    WHERE webhook_deliveries.order_id = leased.order_id AND (outcome = 'failed' OR has_more)
), done AS (
    DELETE FROM webhook_deliveries USING leased
    WHERE webhook_deliveries.order_id = leased.order_id AND outcome <> 'failed' AND NOT has_more
), seen AS MATERIALIZED (
    SELECT webhook_hosts.producer, webhook_hosts.host, reached FROM webhook_hosts
    JOIN jsonb_to_recordset(%(hosts)s) AS h (producer text, host text, reached boolean) USING (producer, host)
    -- Attempts that were under way together count as one fault.
    WHERE CASE WHEN reached THEN faults > 0 ELSE faulted_at IS NULL OR faulted_at < %(claimed_at)s END
    ORDER BY producer, host
    FOR NO KEY UPDATE OF webhook_hosts
), hosts AS (
    UPDATE webhook_hosts
    SET faults = CASE WHEN reached THEN 0 ELSE faults + 1 END,
        faulted_at = CASE WHEN reached THEN faulted_at ELSE now() END,
        held_until = CASE WHEN NOT reached AND faults + 1 >= %(faults_max)s
            THEN now() + least(%(hold_first)s * 2 ^ least(20, faults + 1 - %(faults_max)s), %(hold_max)s::interval) END
    FROM seen
    WHERE webhook_hosts.producer = seen.producer AND webhook_hosts.host = seen.host
)
INSERT INTO alarms (what, subject, carrier, order_id, detail, times)
SELECT %(alarm)s, producer || ' at ' || host, NULL, (array_agg(order_id ORDER BY order_id DESC))[1],
       (array_agg(detail ORDER BY order_id DESC))[1], count(*)
FROM result
WHERE outcome = 'given_up'
GROUP BY producer, host
ON CONFLICT (what, subject) DO UPDATE
SET times = alarms.times + excluded.times, last_at = now(), order_id = excluded.order_id, detail = excluded.detail, cleared_at = NULL;

-- name: undelivered_webhooks
-- Which of these orders have documents for their URL that were not delivered, given up or not. One that was given up does
-- not count when a later one was delivered: each is the whole order.
SELECT DISTINCT order_id FROM tellings
WHERE order_id = ANY(%(order_ids)s) AND channel = 'url' AND told_at IS NULL AND (gave_up_at IS NULL OR NOT EXISTS (
    SELECT FROM tellings AS later
    WHERE later.order_id = tellings.order_id AND later.channel = 'url' AND later.version > tellings.version
      AND later.told_at IS NOT NULL));

-- name: send_webhooks_now
-- A person asks for it: what was given up is tried again for as long as a new document, and nothing waits.
WITH again AS (
    UPDATE tellings SET gave_up_at = NULL, tried_since = NULL
    WHERE order_id = ANY(%(order_ids)s) AND channel = 'url' AND told_at IS NULL AND NOT EXISTS (
        SELECT FROM tellings AS later
        WHERE later.order_id = tellings.order_id AND later.channel = 'url' AND later.version > tellings.version
          AND later.told_at IS NOT NULL)
), due AS (
    UPDATE webhook_deliveries SET not_before = now()
    WHERE order_id = ANY(%(order_ids)s) AND lease_token IS NULL
    RETURNING producer, host
)
UPDATE webhook_hosts SET held_until = NULL
WHERE held_until IS NOT NULL AND (producer, host) IN (SELECT producer, host FROM due);

-- name: owe_lost_webhooks
-- Documents for URLs that nothing is to be done about: written by a worker of 0.1.0, which knows no URLs. The lane tell
-- queues them. Returns how many orders there were.
WITH lost AS (
    INSERT INTO owed (order_id, lane, carrier, kind, not_before)
    SELECT DISTINCT order_id, 'tell', orders.carrier, orders.kind, now()
    FROM tellings JOIN orders USING (order_id)
    WHERE channel = 'url' AND told_at IS NULL AND gave_up_at IS NULL
      AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE webhook_deliveries.order_id = tellings.order_id)
    ON CONFLICT DO NOTHING
    RETURNING order_id
)
SELECT count(*) AS orders FROM lost;

-- name: forget_webhook_hosts
-- Hosts that nothing is to be sent to, and that could be reached when something was.
DELETE FROM webhook_hosts
WHERE faults = 0 AND NOT EXISTS (
    SELECT FROM webhook_deliveries AS waiting
    WHERE waiting.producer = webhook_hosts.producer AND waiting.host = webhook_hosts.host);
