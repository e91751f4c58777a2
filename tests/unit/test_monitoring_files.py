"""The rules and the dashboard under `deploy/` name metrics that exist; `tests/engines` has promtool read the rules."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import CollectorRegistry

from number_orders.receiver.metrics import FIGURES, LEDGER_UP, PREFIX
from tests.processes import REPOSITORY
from workers.worker_metrics import WorkerMetrics

RULES = REPOSITORY / "deploy" / "alerts.yml"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "number-orders.json"
DOCUMENT = REPOSITORY / "docs" / "metrics.md"
NAME = re.compile(r"\bnumber_orders_\w+")


@pytest.fixture
def existing(monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    """Every name under which the code serves something."""
    registries: list[CollectorRegistry] = []

    class Kept(CollectorRegistry):
        def __init__(self) -> None:
            super().__init__()
            registries.append(self)

    monkeypatch.setattr("workers.worker_metrics.CollectorRegistry", Kept)
    WorkerMetrics()
    (registry,) = registries
    served = {name for name in registry._names_to_collectors if not name.endswith("_created")}
    return frozenset(served | {f"{PREFIX}{name}" for name in (*FIGURES, LEDGER_UP)})


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_every_metric_that_is_asked_for_exists(existing: frozenset[str]) -> None:
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(named) > 15
    assert named - existing == set()


def test_every_metric_is_described(existing: frozenset[str]) -> None:
    text = DOCUMENT.read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name.removeprefix(PREFIX)) for name in existing}
    described = set(re.findall(r"`(\w+)`", text))
    missing = {name for name in families if name not in described and f"{name}_total" not in described}
    assert missing == set()


def test_every_alert_says_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"]


def test_each_panel_has_its_own_place() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert len({panel["id"] for panel in panels}) == len(panels)
