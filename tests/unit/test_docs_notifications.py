"""What docs/notifications.md tells producers to write verifies our messages, and nothing else."""

import json
import re
import shutil
import subprocess
from typing import Any, Final
from uuid import UUID

import pytest

from number_orders.fulfilment.webhooks.messages import new_secret, webhook_message
from number_orders.orders.model import OrderId
from tests.processes import REPOSITORY
from workers.clock import utc_now

PAGE: Final = (REPOSITORY / "docs" / "notifications.md").read_text(encoding="utf-8")
MARK: Final = "<!-- tests/unit/test_docs_notifications.py runs this -->"
DOCUMENT: Final = {"key": "crm-1", "state": "COMPLETED", "reason": "Zürich ☎"}
SECRET: Final = new_secret()
MESSAGE: Final = webhook_message(OrderId(UUID("018f0000-0000-7000-8000-000000000001")), 4, DOCUMENT)


def code(language: str) -> str:
    """Return the code of the page, as a reader would copy it."""
    blocks = re.findall(rf"{re.escape(MARK)}\n```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def headers(*secrets: str) -> dict[str, str]:
    return MESSAGE.headers(secrets, utc_now())


def in_python(secret: str, given: dict[str, str], body: bytes) -> Any:
    names: dict[str, Any] = {"secret": secret, "headers": given, "body": body}
    exec(code("python"), names)  # noqa: S102  it is the page's
    return names["document"]


def in_node(secret: str, given: dict[str, str], body: bytes) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    call = f"console.log(JSON.stringify(verify(...{json.dumps([secret, given, body.decode()])})))"
    ran = subprocess.run(
        [node, "-e", code("js") + call], capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    if ran.returncode:
        raise ValueError(ran.stderr)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("verify", [in_python, in_node])
def test_code_of_the_page_verifies_a_message(verify: Any) -> None:
    """Also during a change of secrets, with two signatures."""
    assert verify(SECRET, headers(SECRET), MESSAGE.body) == DOCUMENT
    assert verify(SECRET, headers(new_secret(), SECRET), MESSAGE.body) == DOCUMENT


@pytest.mark.parametrize("verify", [in_python, in_node])
def test_code_of_the_page_refuses_a_forged_message(verify: Any) -> None:
    old = {**headers(SECRET), "webhook-timestamp": "1700000000"}
    forged: list[tuple[dict[str, str], bytes]] = [
        (headers(new_secret()), MESSAGE.body),
        (headers(SECRET), MESSAGE.body.replace(b"COMPLETED", b"FAILED")),
        ({**headers(SECRET), "webhook-id": "msg_2"}, MESSAGE.body),
        (old, MESSAGE.body),
    ]
    for given, body in forged:
        with pytest.raises(Exception, match=r"signature|too old|not from"):
            verify(SECRET, given, body)
