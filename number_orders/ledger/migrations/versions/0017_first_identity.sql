-- A backup of a ledger that no worker had looked at yet had no identity to compare: its fall was not recognised. The heartbeat
-- stays as it is: it may be that of a backup, and a process that has seen a later one tells them apart by it.
UPDATE guard SET identity = ledger_identity() WHERE identity IS NULL;
ALTER TABLE guard ALTER COLUMN identity SET NOT NULL;
