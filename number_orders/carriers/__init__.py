"""Translators between orders and carriers' dialects, and the one courier that carries both ways."""
