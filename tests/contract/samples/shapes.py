"""The shape of what is sent: which values are at which paths."""

from typing import Any
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from number_orders.carriers.contract import CarrierRequest, Conversation


def first_request(conversation: Conversation) -> CarrierRequest:
    """Return a conversation's first request."""
    request = next(conversation)
    assert isinstance(request, CarrierRequest)
    return request


def xml_values(body: bytes) -> dict[str, list[str]]:
    """Return the texts of an XML document by path; the order of elements does not matter."""
    found: dict[str, list[str]] = {}

    def walk(element: Element, path: str) -> None:
        here = f"{path}/{element.tag}"
        if len(element) == 0:
            found.setdefault(here, []).append((element.text or "").strip())
        for child in element:
            walk(child, here)

    walk(fromstring(body), "")
    return {path: sorted(texts) for path, texts in found.items()}


def json_shape(shown: Any, path: str = "") -> set[str]:
    """Return the paths of all values in a JSON document. All items of a list have the same path."""
    if isinstance(shown, dict):
        inner = [json_shape(value, f"{path}.{name}") for name, value in shown.items()]
        return set[str]().union(*inner) if inner else {f"{path}.{{}}"}
    if isinstance(shown, list):
        return set[str]().union(*(json_shape(item, f"{path}[]") for item in shown))
    return {path}
