"""Create the ledger."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Create every table. There is no downgrade: start with a new database instead."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
