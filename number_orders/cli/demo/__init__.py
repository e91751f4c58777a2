"""The command `demo`: the whole system at work, with every result checked."""
