"""The board: sessions of operators, and the indexes by which it finds what it shows."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the table and the indexes. Writes to orders and events wait meanwhile, seconds for a million orders."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
