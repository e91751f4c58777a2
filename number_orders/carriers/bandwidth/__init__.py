"""Bandwidth: its XML, its rules, and its conversations about orders, disconnects and reservations."""
