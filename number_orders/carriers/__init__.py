"""Carriers: one adapter for each, which translates orders; one courier, which sends every adapter's requests."""
