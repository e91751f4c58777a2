"""Alembic's way in. Called through `number_orders.ledger.migrate`, which hands down a connection."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
