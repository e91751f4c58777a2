"""A sandbox that accepts the samples as the carriers would, and a plain client with its credentials."""

from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox

AT_ONCE = {
    "processing_s": 0,
    "cm_review_s": 0,
    "latency_s": dict.fromkeys(
        ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"), 0
    ),
}
_SIGNED_IN: Mapping[str, Mapping[str, str]] = {
    "/api/v2": {"Authorization": "Bearer sandbox-token"},
    "/api/v1": {"Authorization": "Bearer apik_sandbox"},
    "/voice-": {"X-CM-PRODUCTTOKEN": "0c0ffee0-0000-4000-8000-00000000c0de"},
}

Send = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def sample_sandbox() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE)) as control:
        yield control


@pytest.fixture
def send(sample_sandbox: SandboxControl) -> Iterator[Send]:
    """Send a printed request line, with its placeholders filled in, to a sandbox that was reset."""
    sample_sandbox.reset()
    with httpx.Client(base_url=sample_sandbox.url, trust_env=False, timeout=30) as client:

        def send(line: str, body: bytes = b"", **places: str) -> httpx.Response:
            method, _, target = line.partition(" ")
            for name, value in {"accountId": "9900000", **places}.items():
                target = target.replace(f"{{{name}}}", value)
            headers = next(headers for start, headers in _SIGNED_IN.items() if target.startswith(start))
            return client.request(method, target, content=body, headers=headers)

        yield send
