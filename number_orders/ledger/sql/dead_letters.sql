-- name: store_dead_letter
INSERT INTO dead_letters (queue, why, task_id, headers, body, size)
VALUES (%(queue)s, %(why)s, %(task_id)s, %(headers)s, %(body)s, %(size)s);

-- name: dead_letters
SELECT * FROM dead_letters ORDER BY letter_id DESC LIMIT %(limit)s;

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE letter_id = ANY(%(letter_ids)s::bigint[]) RETURNING *;
