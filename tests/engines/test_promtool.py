"""Prometheus' own tool, of Debian's package `prometheus`, can read the alert rules."""

import pytest

from tests.debian_packages import may_install, run, unpack
from tests.engines.debian import TREES
from tests.processes import REPOSITORY


def test_prometheus_can_read_the_rules() -> None:
    if not may_install():
        pytest.skip("unpacks Debian's package `prometheus`: needs root, and a machine with apt-get")
    package = TREES / "prometheus"
    unpack("prometheus", package)
    run(str(package / "usr" / "bin" / "promtool"), "check", "rules", str(REPOSITORY / "deploy" / "alerts.yml"))
