"""Every error that the client raises. No exception of Celery, redis-py, httpx or pydantic leaves it.

NumberOrdersError
├── OrderRefused       the order breaks a rule: nothing was stored; correct it
│   └── KeyConflict    the key belongs to another order
├── NoTicket           no answer in time: send the same again
│   └── TooManyRequests    not now: send the same again after `retry_after_s`
├── UnknownOrder       there is no such order of this producer
├── NotCancellable     it is too late to cancel the order
├── NotEnded           the order goes on; wait again at any time
├── NotAllowed         the token, or the signature of a message, is not accepted
├── UntrustedNotice    a webhook was not signed with this secret, or is no order document
└── ServiceFailed      the service failed over this call; its operators find the call in their logs
"""

from collections.abc import Mapping, Sequence
from typing import Final

from number_orders_client.contract import PROBLEM_PREFIX, Fault, OrderDocument, Problem


class NumberOrdersError(Exception):
    """Any error of this client."""


class OrderRefused(NumberOrdersError, ValueError):
    """The order breaks rules, each of which is in `faults`. Nothing was stored, and no carrier was asked."""

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail, faults)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return f"order refused: {self.args[0]}"


class KeyConflict(OrderRefused):
    """The key, or the chosen id, belongs to another order."""


class NoTicket(NumberOrdersError, TimeoutError):
    """No answer came in time. What was sent may be stored or not; sending it again with the same key is safe."""


class TooManyRequests(NoTicket):
    """The producer is over its rate. Nothing was stored."""

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownOrder(NumberOrdersError, LookupError):
    """There is no such order, or it is another producer's."""


class NotCancellable(NumberOrdersError):
    """The order cannot be cancelled any more, and goes on. The message says why."""


class NotEnded(NumberOrdersError, TimeoutError):
    """The order has not ended in the time given for it. `document` is how it stood at last."""

    def __init__(self, detail: str, document: OrderDocument) -> None:
        super().__init__(detail, document)
        self.document = document

    def __str__(self) -> str:
        return str(self.args[0])


class NotAllowed(NumberOrdersError, PermissionError):
    """The service does not accept the token or the signature, or it does not permit this call."""


class UntrustedNotice(NumberOrdersError, ValueError):
    """A webhook is not signed with the secret, is too old, or is no order document. Do not act on it."""


class ServiceFailed(NumberOrdersError):
    """The service failed over this call. It may have been carried out; sending it again is safe."""


_KINDS: Final[Mapping[str, type[NumberOrdersError]]] = {
    "order-refused": OrderRefused,
    "key-conflict": KeyConflict,
    "unknown-order": UnknownOrder,
    "not-cancellable": NotCancellable,
    "unauthorized": NotAllowed,
    "forbidden": NotAllowed,
    "too-many-requests": TooManyRequests,
    "ledger-unavailable": NoTicket,
}


def error_of(problem: Problem, *, retry_after_s: float | None = None) -> NumberOrdersError:
    """Return the error that a problem stands for."""
    kind = _KINDS.get(problem.type.removeprefix(PROBLEM_PREFIX), ServiceFailed)
    detail = problem.detail or problem.title or problem.type
    if issubclass(kind, OrderRefused):
        return kind(detail, problem.faults)
    return TooManyRequests(detail, retry_after_s) if kind is TooManyRequests else kind(detail)
