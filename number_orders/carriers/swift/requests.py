"""Write the HTTP requests to Swift: paths below an account, pages of lists, JSON bodies."""

from typing import Final
from urllib.parse import quote

from number_orders.carriers.contract import CarrierRequest, Purpose
from number_orders.carriers.swift.answers import page_query
from number_orders.carriers.swift.facts import ACCEPT, ACCOUNT_ROOT, ROOT

_JSON: Final = "application/json"


def get(path: str, after: str | None = None) -> CarrierRequest:
    """Return a GET. With `after`, even an empty one, it is for a page of a list."""
    query = {} if after is None else page_query(after)
    return CarrierRequest("GET", path, Purpose.READ, query, accept=ACCEPT)


def prepare(path: str, body: bytes) -> CarrierRequest:
    """Return a POST that costs nothing."""
    return CarrierRequest("POST", path, Purpose.PREPARE, body=body, content_type=_JSON, accept=ACCEPT)


def account_path(account: str | None, path: str) -> str:
    """Return a path below an account; without one, below the key's own."""
    return f"{ACCOUNT_ROOT.format(account=quoted(account)) if account else ROOT}{path}"


def quoted(name: str | None) -> str:
    """Return an id as a part of a path."""
    return quote(str(name), safe="")
