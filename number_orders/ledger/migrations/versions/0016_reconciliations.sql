CREATE TABLE reconciliations (
    carrier   text PRIMARY KEY,
    at        timestamptz,                       -- of the last one that was possible; null: none was yet
    theirs    integer NOT NULL DEFAULT 0,
    ours      integer NOT NULL DEFAULT 0,
    orphans   integer NOT NULL DEFAULT 0,        -- that are left after what a person decided
    ghosts    integer NOT NULL DEFAULT 0,
    failed_at timestamptz,                       -- one after it was not possible
    trouble   text
);

CREATE INDEX orders_by_other_carrier_order ON orders USING gin (other_carrier_orders)
    WHERE other_carrier_orders <> '{}';
