"""The processes: where settings become rooms, and rooms become Celery workers."""
