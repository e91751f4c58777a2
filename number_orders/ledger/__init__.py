"""PostgreSQL: schema and migrations, one store for each concern, and the named SQL statements that they run."""
