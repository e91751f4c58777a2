"""The routes of subscriptions at the sandbox Bandwidth."""

from collections.abc import Callable, Iterator
from datetime import datetime

from starlette.responses import Response

from number_orders.sandbox.bandwidth.subscriptions import Subscription, SubscriptionRefused, Subscriptions, refusal
from number_orders.sandbox.routes import Handler, ReceivedRequest
from number_orders.sandbox.state import SandboxState

_XML = "application/xml;charset=UTF-8"
Remember = Callable[[str, Subscription, datetime, bytes], None]
"""Remembers what was done, to which subscription, when, and with which body."""


class SubscriptionApi:
    """Makes, lists, changes and removes subscriptions."""

    def __init__(self, sandbox: SandboxState, current: Callable[[], Subscriptions], remember: Remember) -> None:
        """Set up the routes; `current` returns the subscriptions, which a reset replaces."""
        self._sandbox = sandbox
        self._current = current
        self._remember = remember

    @property
    def _subscriptions(self) -> Subscriptions:
        return self._current()

    def routes(self) -> Iterator[tuple[str, str, Handler]]:
        """Yield method, path and handler of each route."""
        one = "/subscriptions/{subscriptionId}"
        yield "POST", "/subscriptions", _with_errors(self._create)
        yield "GET", "/subscriptions", _with_errors(self._list)
        yield "PUT", one, _with_errors(self._change)
        yield "DELETE", one, _with_errors(self._remove)

    def _create(self, received: ReceivedRequest) -> Response:
        now = self._sandbox.clock()
        made = self._subscriptions.create(received.body, now, subscription_id=self._sandbox.new_id())
        self._remember("subscription", made, now, received.body)
        where = f"{received.request.url.replace(query='')}/{made.order_id}"
        return Response(status_code=201, headers={"Location": where})

    def _list(self, received: ReceivedRequest) -> Response:
        return Response(self._subscriptions.as_xml(self._sandbox.clock()), media_type=_XML)

    def _change(self, received: ReceivedRequest) -> Response:
        now = self._sandbox.clock()
        changed = self._subscriptions.replace(_id_in(received), received.body, now)
        self._remember("subscription", changed, now, received.body)
        return Response(status_code=200)

    def _remove(self, received: ReceivedRequest) -> Response:
        now = self._sandbox.clock()
        removed = self._subscriptions.remove(_id_in(received), now)
        self._remember("subscription end", removed, now, b"")
        return Response(status_code=200)


def _id_in(received: ReceivedRequest) -> str:
    subscription_id: str = received.request.path_params["subscriptionId"]
    return subscription_id


def _with_errors(handler: Handler) -> Handler:
    """Answer a refused subscription as Bandwidth does."""

    def answer(received: ReceivedRequest) -> Response:
        try:
            return handler(received)
        except SubscriptionRefused as refused:
            return Response(refusal(refused), refused.status, media_type=_XML)

    return answer
