"""The simulator: the real desk, lifecycle and adapters, in a world that is made from one seed."""
