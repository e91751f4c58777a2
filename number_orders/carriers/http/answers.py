"""Checks on an HTTP answer that hold for every carrier."""

from http import HTTPStatus

from number_orders.carriers.contract import CarrierAnswer
from number_orders.orders.errors import NoAnswer


def is_success(answer: CarrierAnswer) -> bool:
    """Return whether the status is 2xx."""
    return answer.status // 100 == HTTPStatus.OK // 100


def status_and_text(answer: CarrierAnswer, text: str | None) -> str:
    """Return the status, followed by `text` if there is one: "HTTP 400: no such account"."""
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"


def require_body(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` if the body is empty, or is a web page, as gateways send it."""
    start = answer.body[:200].lstrip().lower()
    if not start:
        raise NoAnswer(f"HTTP {answer.status} with an empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise NoAnswer(f"HTTP {answer.status} with a web page for a body")
