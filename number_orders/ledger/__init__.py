"""What happened, and what is owed: PostgreSQL, in its own words (`queries.sql`, `schema.sql`)."""
