"""The archive of ended orders, and the index by which they are found."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the archive. Writes to `orders` wait while the index is built, some seconds for a million orders."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
