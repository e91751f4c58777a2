"""The index behind a producer's list of its orders."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the index. Writes to `orders` wait meanwhile, some seconds for a million orders."""
    op.execute("CREATE INDEX orders_of_producer ON orders (producer, accepted_at, order_id)")
