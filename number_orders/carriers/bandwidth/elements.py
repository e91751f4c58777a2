"""Find elements in Bandwidth's XML, whatever their order, namespace and wrappers.

A text that is not a number or a count is read as None. Only what is not XML, or is not safe to read, raises
`UnreadableAnswer`. Knows no particular document.
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
_WRITTEN: Final = re.compile(r"[0-9 ().-]+|\+[0-9 ().-]+")
"""A telephone number as people write it: `(919) 555-0100`."""
_NATIONAL_DIGITS: Final = 10
_INTERNATIONAL: Final = re.compile(r"[1-9][0-9]{6,14}")
_PAGE: Final = re.compile(r"[?&]page=([^&>;\"'\s]+)")


def parse(body: bytes) -> Element:
    """Return the root of a document, with namespaces removed from all names.

    Raises:
        UnreadableAnswer: Not XML, or with a document type, which is not safe to read.
    """
    try:
        _refuse_dtd(body)
        root = fromstring(body)  # noqa: S314  XML without a document type is harmless
    except (ParseError, expat.ExpatError, ValueError, LookupError) as fault:  # everything that hostile XML raises
        raise UnreadableAnswer(CARRIER, f"not XML that is safe to read ({type(fault).__name__})", body) from fault
    for element in root.iter():
        if element.tag[0] == "{":
            element.tag = element.tag.rpartition("}")[2]  # once, because every reader looks at every element
    return root


def _refuse_dtd(body: bytes) -> None:
    """Raise `DTDForbidden` if the document has a document type. Parses it for this only if it may have one.

    This and the fast parser together take a third of the time of defusedxml's parser. In every encoding that expat
    reads, except UTF-16, a document type begins with `<!`; UTF-16 has NUL bytes.
    """
    if b"<!" not in body and b"\0" not in body:
        return
    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = _raise_dtd_forbidden
    first.Parse(body, True)


def _raise_dtd_forbidden(name: str, system_id: str | None, public_id: str | None, _internal: bool) -> NoReturn:
    raise DTDForbidden(name, system_id, public_id)


def local_name(element: Element) -> str:
    """Return an element's name, which has no namespace after `parse`."""
    return element.tag


def children(element: Element, name: str) -> Iterator[Element]:
    """Return the children with this name."""
    return (child for child in element if child.tag == name)


def descendants(root: Element, *names: str) -> Iterator[Element]:
    """Return the element and its descendants that have one of these names, in document order."""
    if len(names) == 1:
        return root.iter(*names)
    return (element for element in root.iter() if element.tag in names)


def text_of(element: Element, *, longest: int = _TEXT_LENGTH_MAX) -> str | None:
    """Return the text of an element, cut to `longest` characters; None if there is none."""
    return (element.text or "").strip()[:longest] or None


def child_text(element: Element | None, *names: str, longest: int = _TEXT_LENGTH_MAX) -> str | None:
    """Return the first non-empty text of a child with one of these names, in any capitals."""
    wanted = _casefolded(names)
    for child in element if element is not None else ():
        if child.tag.casefold() in wanted and (text := text_of(child, longest=longest)):
            return text
    return None


@lru_cache
def _casefolded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def child_texts(element: Element | None) -> Mapping[str, str]:
    """Return the first text of each child, by its name in lower case. Use it where many texts are wanted."""
    texts: dict[str, str] = {}
    for child in element if element is not None else ():
        if text := text_of(child):
            texts.setdefault(child.tag.casefold(), text)
    return texts


def parse_count(text: str | None) -> int | None:
    """Return a count, or None if the text is not one."""
    return int(text) if text and _COUNT.fullmatch(text) else None


def parse_number(text: str) -> E164 | None:
    """Return a telephone number, or None if the text is not one."""
    try:
        return e164_from_carrier(text)
    except ValueError:
        return None


def parse_number_loosely(text: str) -> E164 | None:
    """Return a number that no numbering plan allows in the form of one that it allows; None if it has no such form.

    What was bought must not be lost because of how it is written: `9191550100` is no North American number, since no
    exchange begins with 1, and is read as `+19191550100`.
    """
    written = text.strip()
    if not _WRITTEN.fullmatch(written):
        return None
    digits = re.sub(r"[^0-9]", "", written)
    if len(digits) == _NATIONAL_DIGITS and not written.startswith("+"):
        digits = f"1{digits}"
    is_whole = written.startswith("+") or (len(digits) == _NATIONAL_DIGITS + 1 and digits.startswith("1"))
    return E164(f"+{digits}") if is_whole and _INTERNATIONAL.fullmatch(digits) else None


def next_page(root: Element) -> str | None:
    """Return the `page` parameter of the `next` link, or None. The link's host and port are not reliable."""
    links = (text_of(link) for wrapper in descendants(root, "Links") for link in children(wrapper, "next"))
    pages = (_PAGE.search(text) for text in links if text)
    return next((unquote(page[1]) for page in pages if page), None)
