"""Commands that ask carriers: searches, coverage, restrictions, reservations."""
