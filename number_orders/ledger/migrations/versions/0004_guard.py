"""The references of orders, and the guard after a ledger that fell back in time."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the columns `reference` and `history_lost_at` of orders, and the table `guard`."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
