"""What comparisons with the carriers have found, and orders by all their ids there."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add an empty table and an index that nearly no order is in."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
