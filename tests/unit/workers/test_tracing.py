"""A process without `traces_url` imports nothing of ours that needs OpenTelemetry; one that lacks it says so."""

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from workers.tracing import NotInstalled, require_installed, tracing
now = None
"""


def run(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_not_configured_it_need_not_be_installed() -> None:
    run(
        "import workers.bootstrap, workers.apps, workers.senders\n"
        "require_installed(None)\n"
        "with tracing(None, now=now) as traces: assert traces is None\n"
        "assert 'workers.traces' not in sys.modules"
    )


def test_configured_and_not_installed_it_says_what_to_install() -> None:
    run(
        "try:\n"
        "    require_installed('http://127.0.0.1:4318')\n"
        "    raise SystemExit('went on')\n"
        "except NotInstalled as missing: assert 'pip install -r requirements-service.lock' in str(missing), missing"
    )
