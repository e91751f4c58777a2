"""Thin Celery tasks: options spelled out, one call each, no decisions."""
