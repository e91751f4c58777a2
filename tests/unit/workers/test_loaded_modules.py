"""A worker loads nothing that it never uses: each process of it would start later and hold more memory."""

import subprocess
import sys

from tests.processes import REPOSITORY

UNUSED = {"alembic", "fastapi", "jinja2", "pygal", "sqlalchemy", "starlette", "typer", "uvicorn"}
UNUSED_BY_BEAT = UNUSED | {"aiohttp", "httpx", "psycopg", "tasks.orders"}


OF_CELERYS_COMMAND_LINE = {"celery.bin.celery", "click_repl", "flower", "prompt_toolkit", "tornado"}


def loaded_with(module: str, program: str) -> set[str]:
    """Return what `python -m workers` has loaded when it starts the application of this module."""
    started = f"{module}.app.loader.init_worker(); {module}.app.{program}"
    command = [sys.executable, "-c", f"import workers.__main__, {module}, sys; {started}; print(*sys.modules)"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_worker_loads_neither_the_receiver_nor_the_command_line() -> None:
    loaded = loaded_with("workers.celery_app", "Worker")
    assert {"workers.worker_metrics", "tasks.orders"} <= loaded
    assert (UNUSED | OF_CELERYS_COMMAND_LINE) & loaded == set()


def test_beat_loads_no_task_and_nothing_that_only_tasks_need() -> None:
    loaded = loaded_with("workers.beat_app", "Beat")
    assert "workers.scheduler" in loaded
    assert (UNUSED_BY_BEAT | OF_CELERYS_COMMAND_LINE) & loaded == set()
