"""A process logs one event per line, its own and its libraries', with the task bound to each."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import logging
import structlog
from workers import logs
logs.set_up("INFO", as_json={as_json})
logs.bind_task("0199", "orders.work")
ours = structlog.get_logger("number_orders.fulfilment.recorder")
ours.debug("not_worth_a_line")
ours.info("order_moved", to_state="OPEN")
logging.getLogger("celery.worker").warning("a library says %s", "so")
logging.getLogger("httpx").info("not worth a line either")
try:
    raise KeyError("it")
except KeyError as wrong:
    ours.error("attempt_broke", exc_info=wrong)
"""


def logged(*, as_json: bool) -> list[str]:
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(as_json=as_json)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout == ""
    return process.stderr.splitlines()


def test_json_lines_name_task_and_logger() -> None:
    lines = [json.loads(line) for line in logged(as_json=True)]

    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("order_moved", "info", "number_orders.fulfilment.recorder"),
        ("a library says so", "warning", "celery.worker"),
        ("attempt_broke", "error", "number_orders.fulfilment.recorder"),
    ]
    assert all((line["task_id"], line["task"]) == ("0199", "orders.work") for line in lines)
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["to_state"] == "OPEN"
    assert lines[2]["exception"].endswith("KeyError: 'it'")


def test_text_lines_are_readable() -> None:
    moved, library, *_ = logged(as_json=False)

    assert "order_moved" in moved
    assert "to_state=OPEN" in moved
    assert "a library says so" in library


TOKEN, KEY = "no_" + "aB3_-" * 8 + "xyz", "whsec_" + "aB3+/" * 8 + "xyz="


def test_no_token_and_no_signing_key_is_written() -> None:
    """Wherever they come from: a header, an error, a library."""
    script = f"""
import logging, structlog
from workers import logs
for as_json in (True, False):
    logs.set_up("INFO", as_json=as_json)
    structlog.get_logger("ours").info("asked", header="Bearer {TOKEN}", no_answer=True)
    logging.getLogger("theirs").warning("refused %s and %s", "{TOKEN}", "{KEY}")
"""
    process = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.count("no_…") for line in process.stderr.splitlines()] == [1, 1, 1, 1]
    assert process.stderr.count("whsec_…") == 2
    assert "no_answer" in process.stderr
    assert TOKEN not in process.stderr
    assert KEY not in process.stderr


def test_lines_that_nobody_takes_stop_nothing() -> None:
    """A full disk under the log, as `/dev/full` is."""
    script = """
import sys
from workers import logs
import structlog
logs.set_up("INFO", as_json=True)
sys.stderr = open("/dev/full", "w")
structlog.get_logger("test").info("order_moved")
sys.stderr = sys.__stderr__
print("goes on")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "goes on\n"
