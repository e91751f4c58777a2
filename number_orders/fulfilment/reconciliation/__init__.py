"""Numbers that a carrier says we hold against those that the ledger holds: orphans and ghosts."""
