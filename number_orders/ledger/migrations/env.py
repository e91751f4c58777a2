"""Alembic's entry point. `number_orders.ledger.migrate` runs it and passes the connection."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
