"""The receiver: the orders API over HTTP. Writes to the ledger, rings the bell, and asks carriers only for searches."""
