"""Carrier orders that have the reference of an order, besides the one that it follows."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the column `other_carrier_orders` of orders."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
