"""The ledger's statements, in memory."""
