"""Thin Celery tasks: options spelled out, one call, no decisions."""
