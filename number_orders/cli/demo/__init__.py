"""`number-orders demo`: the whole system at work, and every end checked."""
