-- Readings: carriers' lists that are read whole, page by page, once for every order that waits. They can be read again,
-- so nothing of them is written to the WAL: after a crash of PostgreSQL, and on a promoted standby, they are gone.
CREATE UNLOGGED TABLE readings (
    reading_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    carrier     text NOT NULL,
    list_name   text NOT NULL,                   -- the adapter's name of the list
    not_before  timestamptz NOT NULL,            -- when a worker may go on with it; while one reads, the end of its lease
    lease_token uuid,
    began_at    timestamptz,                     -- it answers the questions that were put before; null: not begun
    cursor      text,                            -- of the next page; null: the first page is next
    pages       integer NOT NULL DEFAULT 0,
    faults      integer NOT NULL DEFAULT 0,      -- in a row
    trouble     text,                            -- the last of them
    whole_at    timestamptz                      -- null: not all pages are read
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX one_reading_at_a_time ON readings (carrier, list_name) WHERE whole_at IS NULL;
CREATE INDEX whole_readings ON readings (carrier, list_name, began_at) WHERE whole_at IS NOT NULL;

-- What the pages have shown. No foreign key: it would be checked for each of many thousand rows.
CREATE UNLOGGED TABLE listed_numbers (
    reading_id  bigint NOT NULL,
    e164        text NOT NULL,
    inserted_at timestamptz NOT NULL,            -- on the carrier's clock
    detail      jsonb NOT NULL,                  -- what else the list says of it, in the adapter's words
    PRIMARY KEY (reading_id, e164)
);
CREATE INDEX listed_since ON listed_numbers (reading_id, inserted_at);

-- The questions that wait for a reading. A question is deleted when it is answered.
CREATE UNLOGGED TABLE list_questions (
    order_id  uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    list_name text NOT NULL,
    question  text NOT NULL,
    carrier   text NOT NULL,
    asked_at  timestamptz NOT NULL,
    PRIMARY KEY (order_id, list_name, question)
);
CREATE INDEX questions_of_list ON list_questions (carrier, list_name, asked_at);
