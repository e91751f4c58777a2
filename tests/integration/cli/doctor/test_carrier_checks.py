"""`doctor` asks Swift a question that needs an answer, although an order that was never sent needs none."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from config.settings import BandwidthSettings, CMSettings, Settings, SwiftSettings
from number_orders.cli.doctor.carrier_checks import check_carriers
from number_orders.cli.doctor.checks import Verdict
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox


@pytest.fixture(scope="module")
def carrier() -> Iterator[SandboxControl]:
    with running_sandbox() as control:
        yield control


@pytest.mark.parametrize(
    ("key", "verdict", "says"),
    [
        ("apik_sandbox", Verdict.GOOD, "accepts our credentials"),
        ("apik_of_nobody", Verdict.WRONG, "HTTP 401: the API key was not accepted"),
        ("apik_sandbox_without_user", Verdict.WRONG, "HTTP 403: the API key has no user"),
    ],
)
def test_an_api_key_is_good_when_swift_answers(carrier: SandboxControl, key: str, verdict: Verdict, says: str) -> None:
    swift = SwiftSettings(base_url=carrier.url, api_key=SecretStr(key))
    (check,) = check_carriers(Settings.model_construct(bandwidth=BandwidthSettings(), cm=CMSettings(), swift=swift))
    assert check.verdict is verdict
    assert says in check.says
