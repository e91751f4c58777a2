"""CM.com's callbacks: one POST with the whole request for every change of its status.

Whether CM.com retries is not known. The sandbox does not unless told to, so that no client depends on being called.
"""

import json
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Final

from number_orders.sandbox.cm import json as cm_json
from number_orders.sandbox.cm.order_book import Request
from number_orders.sandbox.cm.stages import CANCELLED, COMPLETED, REJECTED, Stage
from number_orders.sandbox.notices import Notice
from number_orders.sandbox.state import SandboxState

_CARRIER: Final = "cm"


class CallbackSender:
    """Calls customers at each change of their requests."""

    def __init__(self, sandbox: SandboxState) -> None:
        self._sandbox = sandbox

    def schedule(self, request: Request, after: datetime) -> None:
        """Schedule a callback for each stage from `after` on, except the first stage of the request."""
        if request.sent.callback_url is None:
            return
        for stage in request.stages[1:]:
            if stage.at >= after:
                self._sandbox.notices.schedule(stage.at, partial(self._callbacks, request, stage), _forged)

    def _callbacks(self, request: Request, stage: Stage) -> list[Notice]:
        """Return the callback of a change; nothing, if a cancellation prevented it."""
        if stage not in request.stages:
            return []
        behaviour = self._sandbox.behaviour
        callback = Notice(
            carrier=_CARRIER,
            url=request.sent.callback_url or "",
            order_id=request.guid,
            customer_order_id=request.reference,
            status=stage.status,
            body=json.dumps(cm_json.request(request, stage, behaviour)).encode(),
            content_type="application/json",
            times=behaviour.cm_callback_times,
        )
        return [callback]

    def callbacks_as_json(self, since: datetime | None) -> list[dict[str, Any]]:
        """Return the callbacks made since then."""
        return self._sandbox.notices.as_json(_CARRIER, since)


def _forged(callback: Notice, dice: Random) -> Notice:
    """Return a callback to the same address with another end and no numbers, or with what is not JSON."""
    if dice.random() < 0.2:  # noqa: PLR2004  a fifth cannot be read
        return replace(callback, body=callback.body[: len(callback.body) // 2], status="(unreadable)")
    status = dice.choice([word for word in (COMPLETED, REJECTED, CANCELLED) if word != callback.status])
    shown = json.loads(callback.body) | {"status": status, "ranges": []}
    return replace(callback, body=json.dumps(shown).encode(), status=status)
