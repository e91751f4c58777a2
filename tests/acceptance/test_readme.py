"""The script in README works exactly as it is printed."""

import os
import re
import subprocess
import sys

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.processes import REPOSITORY, Processes

pytestmark = pytest.mark.acceptance

MARK = "<!-- tests/acceptance/test_readme.py runs this -->"


def shown() -> str:
    """Return the script in README, as a reader would copy it."""
    _, after = (REPOSITORY / "README.md").read_text().split(MARK)
    found = re.match(r"\s*```python\n(.*?)```", after, re.DOTALL)
    assert found
    return found[1]


def test_ten_lines_of_plain_celery_order_numbers_and_print_the_end(
    processes: Processes, broker_url: str, carrier: SandboxControl
) -> None:
    """The script runs in a Python that has nothing of ours on its path."""
    script = shown()
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    assert not re.search(r"import (number_orders|orders|tasks)", script)
    processes.beat()
    processes.worker()
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script],
        env={**os.environ, "NUMBER_ORDERS_BROKER_URL": broker_url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    state, *numbers = ran.stdout.split()
    (sold,) = carrier.report()["orders"]
    assert (state, sorted(numbers)) == ("COMPLETED", sorted(sold["bought"]))
