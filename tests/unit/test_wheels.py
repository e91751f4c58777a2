"""The wheels install the documented import names, with everything that they need at run time, and nothing else."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


def build(project: Path, target: Path) -> set[str]:
    """Build the wheel of a project, offline; return the paths in it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = target.glob("*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def import_names(paths: set[str]) -> set[str]:
    return {path.split("/")[0] for path in paths if ".dist-info/" not in path}


def sources(*packages: str) -> set[str]:
    """Return every file of these packages that the service reads at run time."""
    files = (file for package in packages for file in (ROOT / package).rglob("*"))
    needed = {".py", ".sql", ".mako", ".typed", ".html", ".css", ".js", ".svg", ".pem", ".key"}
    return {str(file.relative_to(ROOT)) for file in files if file.suffix in needed}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return build(ROOT, tmp_path_factory.mktemp("service"))


def test_the_service_installs_four_import_names(service: set[str]) -> None:
    """A fifth could hide a module of another distribution, or be hidden by one."""
    assert import_names(service) == {"number_orders", "workers", "tasks", "config"}


def test_the_service_installs_every_file_it_reads_at_run_time(service: set[str]) -> None:
    """The ledger's statements, schema and migrations, and the marks that the packages are typed."""
    needed = sources("number_orders", "workers", "tasks", "config")
    assert {"number_orders/ledger/schema.sql", "number_orders/py.typed"} <= needed
    assert {path for path in service if ".dist-info/" not in path} == needed


def test_the_client_installs_one_import_name(tmp_path: Path) -> None:
    paths = build(ROOT / "client", tmp_path)

    assert import_names(paths) == {"number_orders_client"}
    assert "number_orders_client/py.typed" in paths
