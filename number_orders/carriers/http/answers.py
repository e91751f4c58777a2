"""What holds for any carrier's answer, whatever is written in it."""

from http import HTTPStatus

from number_orders.carriers.contract import CarrierAnswer
from number_orders.orders.errors import NoAnswer


def is_good(answer: CarrierAnswer) -> bool:
    """Tell whether an answer says yes."""
    return answer.status // 100 == HTTPStatus.OK // 100


def with_status(answer: CarrierAnswer, said: str | None) -> str:
    """Return what an answer says of itself, if it does, behind its status."""
    return f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"


def require_body(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` if there is nothing in an answer, or a gateway's page."""
    start = answer.body[:200].lstrip().lower()
    if not start:
        raise NoAnswer(f"HTTP {answer.status} with an empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise NoAnswer(f"HTTP {answer.status} with a web page for a body")
