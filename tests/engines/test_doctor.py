"""`doctor` tries what a worker does, and names a pooler that keeps no prepared statements."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from number_orders.ledger.migrate import migrate
from tests.acceptance.demo_processes import NUMBER_ORDERS
from tests.acceptance.installation import hire_clerk
from tests.engines.debian import debian
from tests.engines.servers import PgBouncer, Postgres

pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]


def database_check(tmp_path: Path, url: str, **settings: str) -> dict[str, Any]:
    """Return what `doctor` says of the database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBER_ORDERS_")}
    own = {f"NUMBER_ORDERS_{name}": value for name, value in settings.items()}
    env = {**kept, "NUMBER_ORDERS_DATABASE_URL": url, "NUMBER_ORDERS_VAR_DIR": str(tmp_path), **own}
    done = subprocess.run(
        [*NUMBER_ORDERS, "doctor", "--json"], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout, done.stderr[-3000:]
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    return dict(checks["database"])


@pytest.mark.parametrize(("release", "kept"), [("bookworm", None), ("trixie", 0), ("trixie", 200)])
def test_prepared_statements_behind_pgbouncer(release: str, kept: int | None, tmp_path: Path) -> None:
    with Postgres(debian(release)) as postgres, PgBouncer(postgres, prepared_statements=kept) as pooler:
        migrate(postgres.url)
        hire_clerk(postgres.url)

        check = database_check(tmp_path, pooler.url)
        mended = database_check(
            tmp_path, pooler.url, DATABASE_POOLER="transaction", DATABASE_PREPARED_STATEMENTS="false"
        )

    if kept:
        assert check["verdict"] == "good"
    else:
        assert check["verdict"] == "wrong"
        assert "keeps no prepared statements" in check["says"]
        assert "NUMBER_ORDERS_DATABASE_PREPARED_STATEMENTS=false" in check["mend"]
    assert mended["verdict"] == "good"
