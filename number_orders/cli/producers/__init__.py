"""Commands that operate the service: pause, resume, alarms, migrate, simulate."""
