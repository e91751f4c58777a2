"""The elements of Bandwidth's XML, found whatever their order, namespace and wrappers; for the modules that read it.

Lax on purpose: a text that is no number or count is None. Only what is no XML at all, or not safe to read, raises
`UnreadableAnswer`. Knows no document.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NoReturn
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from defusedxml.common import DTDForbidden

from number_orders.carriers.bandwidth.facts import CARRIER
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.numbers import E164, e164_from_carrier

_TEXT_LENGTH_MAX: Final = 300
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_PAGE: Final = re.compile(r"[?&]page=([^&>;\"'\s]+)")


def parse(body: bytes) -> Element:
    """Return the root of a document, its names without their namespaces, or raise `UnreadableAnswer`."""
    try:
        _refuse_dtd(body)
        root = fromstring(body)  # noqa: S314  without a document type there is nothing in XML that does harm
    except (ParseError, expat.ExpatError, ValueError, LookupError) as fault:  # all that hostile XML raises
        raise UnreadableAnswer(CARRIER, f"not XML that is safe to read ({type(fault).__name__})", body) from fault
    for element in root.iter():
        if element.tag[0] == "{":
            element.tag = element.tag.rpartition("}")[2]  # once for all, since every reader looks at every element
    return root


def _refuse_dtd(body: bytes) -> None:
    """Read it once for this alone, if there may be one: that and the quick reader cost a third of defusedxml's reader.

    In every encoding that expat reads, but UTF-16, a document type begins with these two bytes; UTF-16 has NULs.
    """
    if b"<!" not in body and b"\0" not in body:
        return
    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = _forbid
    first.Parse(body, True)


def _forbid(name: str, system_id: str | None, public_id: str | None, _internal: bool) -> NoReturn:
    raise DTDForbidden(name, system_id, public_id)


def local_name(element: Element) -> str:
    """Return an element's name, which `parse` has left without its namespace."""
    return element.tag


def children(element: Element, name: str) -> Iterator[Element]:
    """Return the children of this name."""
    return (child for child in element if child.tag == name)


def below(root: Element, *names: str) -> Iterator[Element]:
    """Return the elements with one of these names, however deep, in the document's order."""
    if len(names) == 1:
        return root.iter(*names)
    return (element for element in root.iter() if element.tag in names)


def text_of(element: Element, *, longest: int = _TEXT_LENGTH_MAX) -> str | None:
    """Return the text of an element, cut to what is sensible to keep; None when there is nothing to read."""
    return (element.text or "").strip()[:longest] or None


def child_text(element: Element | None, *names: str, longest: int = _TEXT_LENGTH_MAX) -> str | None:
    """Return the first text of a child with one of these names, however it is capitalised."""
    wanted = _folded(names)
    for child in element if element is not None else ():
        if child.tag.casefold() in wanted and (text := text_of(child, longest=longest)):
            return text
    return None


@lru_cache
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def child_texts(element: Element | None) -> Mapping[str, str]:
    """Return the first text of each child, by its name in lower case: one look where many texts are wanted."""
    texts: dict[str, str] = {}
    for child in element if element is not None else ():
        if text := text_of(child):
            texts.setdefault(child.tag.casefold(), text)
    return texts


def count_of(text: str | None) -> int | None:
    """Return a count, or None when it is none."""
    return int(text) if text and _COUNT.fullmatch(text) else None


def number_of(text: str) -> E164 | None:
    """Return a telephone number, or None when it is none."""
    try:
        return e164_from_carrier(text)
    except ValueError:
        return None


def next_page(root: Element) -> str | None:
    """Return the page that `next` links to. Its host and port are unreliable, so only the page is read."""
    links = (text_of(link) for wrapper in below(root, "Links") for link in children(wrapper, "next"))
    pages = (_PAGE.search(text) for text in links if text)
    return next((unquote(page[1]) for page in pages if page), None)
