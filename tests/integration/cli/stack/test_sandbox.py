"""`sandbox` serves until it is stopped, and prints the settings that point at it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.processes import REPOSITORY


def test_the_sandbox_serves_until_it_is_stopped(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-c", "from number_orders.cli.app import main; main()", "sandbox", "--ready-file", str(ready)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 90
    while not ready.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    url = ready.read_text().strip()
    with SandboxControl(url) as control:
        assert control.health()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=90)

    assert process.returncode == 0
    assert out == f"{url}\n"
    assert "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID=9900000" in err
