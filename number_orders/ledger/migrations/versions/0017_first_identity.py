"""A ledger has an identity from its migration on, not from the first look of a worker."""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Change the one row of a table."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
