"""Who asks, and what he may see: tokens, rates, and whose order it is.

A producer sees its own orders alone. Another's order is answered like one that does not exist.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from number_orders.fulfilment.authority import Identity, Role
from number_orders.ledger.order_views import OrderView
from number_orders.orders.errors import UnknownOrder
from number_orders.orders.model import OrderId
from number_orders.receiver.parts import Receiver, receiver_of
from number_orders.receiver.problems import Problem

_TOKEN_MAX: Final = 512
_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of a producer or an operator: `Authorization: Bearer TOKEN`.",
)
QUESTION_COST: Final = 5
"""What a question to carriers costs of a producer's rate."""


async def identify(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Identity:
    """Return who asks.

    Raises:
        Problem: The token is missing or not valid, its owner is over his rate, or its address has tried too many.
    """
    receiver = receiver_of(request)
    if given is None or not given.credentials or len(given.credentials) > _TOKEN_MAX:
        raise Problem("unauthorized", "send the header Authorization: Bearer TOKEN", headers=_challenge())
    identity = await identify_token(receiver, given.credentials, address_of(request))
    if identity is None:
        words = "the token is unknown, expired or withdrawn"
        raise Problem("unauthorized", words, headers=_challenge('error="invalid_token"'))
    charge(receiver, identity, 1)
    return identity


async def identify_token(receiver: Receiver, token: str, address: str | None) -> Identity | None:
    """Return whose token this is; None if it is not valid.

    Raises:
        TooManyAttempts: This address has tried too many unknown ones.
    """
    return await receiver.attempts.look_up(token, lambda: receiver.authority.identify(token), address=address)


def address_of(request: Request) -> str | None:
    """Return the address of the client, as a trusted proxy names it."""
    return request.client.host if request.client else None


async def serving(request: Request) -> Receiver:
    """Return the receiver that serves this request. FastAPI would call a function that is not async in a thread."""
    return receiver_of(request)


Caller = Annotated[Identity, Depends(identify)]
Served = Annotated[Receiver, Depends(serving)]


def charge(receiver: Receiver, identity: Identity, cost: float) -> None:
    """Count a request against the rate of who asks.

    Raises:
        Problem: He is over it.
    """
    wait_s = receiver.buckets.take(owner_of_requests(identity), cost)
    if wait_s > 0:
        seconds = max(1, round(wait_s + 0.5))
        words = f"{identity.name} is over its rate; try again in {seconds} s"
        raise Problem("too-many-requests", words, headers={"Retry-After": str(seconds)})


def owner_of_requests(identity: Identity) -> str:
    """Return by which name the requests and streams of a producer or operator are counted."""
    return f"{identity.role}:{identity.name}"


def visible_producer(identity: Identity, wished: str | None = None) -> str | None:
    """Return whose orders the caller may see: its own; for an operator those of the wished producer, or None for all.

    Raises:
        Problem: A producer wishes to see another's.
    """
    if identity.role is Role.OPERATOR:
        return wished
    if wished not in {None, identity.name}:
        raise Problem("forbidden", "a producer sees its own orders only")
    return identity.name


def ordering_producer(identity: Identity) -> str:
    """Return for whom the caller orders.

    Raises:
        Problem: It is an operator.
    """
    if identity.role is Role.OPERATOR:
        raise Problem("forbidden", "an operator's token places no orders; use a token of the producer")
    return identity.name


async def visible_order(receiver: Receiver, identity: Identity, order_id: UUID) -> OrderView:
    """Return an order that the caller may see.

    Raises:
        UnknownOrder: There is none.
    """
    found = await receiver.services.ledger.order_views.read([OrderId(order_id)])
    view = found.get(OrderId(order_id))
    if view is None or visible_producer(identity) not in {None, view.producer}:
        raise UnknownOrder(order_id)
    return view


def _challenge(more: str = "") -> dict[str, str]:
    return {"WWW-Authenticate": f'Bearer realm="number-orders"{", " + more if more else ""}'}
