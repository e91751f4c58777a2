"""Prints one order: its story, its numbers, the commands that make sense now."""
