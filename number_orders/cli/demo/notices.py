"""Carriers' notices in the demo: where they go, and whether each that a carrier sent was stored and found its order."""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from config.settings import ReceiverSettings, Settings
from number_orders.cli.demo.ledger_view import LedgerReader
from number_orders.cli.exits import ExitCode
from number_orders.cli.operations.subscription_actions import Subscriptions
from number_orders.cli.operations.subscriptions import carry_out
from number_orders.cli.stack.processes import free_port
from number_orders.cli.stack.readiness import StackError
from number_orders.embedded.ports import LOOPBACK
from number_orders.ledger.notices import NoticeCount
from number_orders.sandbox.control import SandboxControl

_SECRET_BYTES: Final = 32
_ASKS_EVERY_S: Final = 1.0
_ARRIVED_WITHIN_S: Final = 60.0
"""A notice that was here before the answer that names its order is matched again at growing intervals."""
_LOOK_EVERY_S: Final = 0.2
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFacts:
    """What carriers sent, and what we have of it. Copies are counted."""

    sent: int
    """Genuine notices that we acknowledged."""
    forged: int
    """Forged ones that we acknowledged: they make us ask once."""
    received: int
    matched: int
    """Those whose order is known."""
    orders: int
    """The orders that notices were about; the others were asked about at intervals only."""

    @property
    def is_right(self) -> bool:
        """Whether everything acknowledged is stored, and every genuine notice found its order."""
        return 0 < self.sent <= self.matched <= self.received == self.sent + self.forged


def bandwidth_settings() -> dict[str, object]:
    """Return what Bandwidth needs to send notices."""
    return {"notice_password": _secret()}


def notice_settings(wished_port: int) -> dict[str, object]:
    """Return the settings by which carriers send notices to the receiver, which is on a port chosen here."""
    port = free_port(wished_port)
    return {
        "receiver": ReceiverSettings(port=port),
        "public_url": f"http://{LOOPBACK}:{port}",
        "notice_secret": _secret(),
        "notice_asks_every_s": _ASKS_EVERY_S,
    }


def subscribe(settings: Settings) -> None:
    """Subscribe to the notices of the carriers that take subscriptions.

    Raises:
        StackError: A carrier refuses.
    """
    _, code = asyncio.run(carry_out(settings, Subscriptions.RENEW, None))
    if code is not ExitCode.DONE:
        raise StackError("the sandbox takes no subscription to its notices")


def notice_facts(control: SandboxControl, ledger: LedgerReader) -> NoticeFacts:
    """Compare both sides, once the last notices have arrived."""
    until = time.monotonic() + _ARRIVED_WITHIN_S
    while not (facts := compare(control.report()["callbacks"], ledger.notices())).is_right and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    return facts


def compare(callbacks: Sequence[Mapping[str, Any]], counts: Sequence[NoticeCount]) -> NoticeFacts:
    """Count what the carriers' report and the ledger say of notices."""
    acknowledged = [each["forged"] for each in callbacks if each["answer"] == _ACCEPTED]
    return NoticeFacts(
        sent=acknowledged.count(False),
        forged=acknowledged.count(True),
        received=sum(count.copies for count in counts),
        matched=sum(count.matched for count in counts),
        orders=sum(count.orders for count in counts),
    )


def _secret() -> SecretStr:
    return SecretStr(secrets.token_hex(_SECRET_BYTES))
