"""The simulator: the real order service, lifecycle and adapters in a simulated world, all of it from one seed."""
