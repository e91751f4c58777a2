"""The Celery processes: made from the settings, and wired to the services they run."""
