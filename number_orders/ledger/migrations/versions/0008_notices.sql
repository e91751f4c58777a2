-- Notices of carriers: whose order each is about, when to look for it again, and why one cannot be read. Nothing has
-- received any before.
ALTER TABLE notices ADD COLUMN reference text, ADD COLUMN trouble text, ADD COLUMN copies integer NOT NULL DEFAULT 1,
    ADD COLUMN match_at timestamptz;
CREATE INDEX notices_waiting ON notices (match_at) WHERE handled_at IS NULL;
CREATE INDEX notices_by_age ON notices (received_at);
CREATE INDEX notices_of_order ON notices (order_id) WHERE order_id IS NOT NULL;

-- For when a notice last made a question due earlier. Workers of 0.1.0 leave it alone.
ALTER TABLE owed ADD COLUMN hurried_at timestamptz;

-- For the question which unfinished order a notice is about. Orders wait to be written while it is built: three
-- seconds for a million unfinished ones.
CREATE INDEX orders_by_reference ON orders (carrier, coalesce(reference, order_id::text)) WHERE ended_at IS NULL;
