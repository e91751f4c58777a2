-- A number that the carrier showed as bought and no longer shows. Workers of 0.1.0 write no such state.
ALTER TABLE order_numbers DROP CONSTRAINT order_numbers_state_check;
ALTER TABLE order_numbers ADD CONSTRAINT order_numbers_state_check
    CHECK (state IN ('requested', 'acquired', 'usable', 'failed', 'released', 'withdrawn')) NOT VALID;
ALTER TABLE order_numbers VALIDATE CONSTRAINT order_numbers_state_check;

-- How often the carrier showed the same again. Adds no rewrite of the table; workers of 0.1.0 leave it at 0.
ALTER TABLE owed ADD COLUMN confirmed integer NOT NULL DEFAULT 0;
