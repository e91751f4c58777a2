"""Plain values. Only `workers` and `console` read them; every other room is handed what it needs."""
