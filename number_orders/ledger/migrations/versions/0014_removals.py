"""Which numbers each producer may remove, and the index that finds who held a number last."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add two columns, which rewrites nothing, and an index."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
