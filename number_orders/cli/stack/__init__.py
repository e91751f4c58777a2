"""`number-orders up`: the embedded stack and its processes."""
