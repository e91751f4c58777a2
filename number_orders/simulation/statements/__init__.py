"""What each statement of `ledger/sql` does to the tables in memory: one module for each file there."""
