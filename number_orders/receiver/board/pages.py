"""Renders pages: templates, what they may call, and the headers that keep foreign code out."""

import re
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from number_orders.orders.model import State
from number_orders.receiver.board.visitors import Visitor
from number_orders.story import times
from number_orders.story.text import clean

_CODE: Final = re.compile(r"`([^`]+)`")
_STATIC: Final = {"board.css": "text/css", "board.js": "text/javascript", "icon.svg": "image/svg+xml"}

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every page comes with: no script, style or image of anybody else, no frame around it, and no copy of it."""


def _read_static() -> dict[str, bytes]:
    folder = files("number_orders.receiver.board").joinpath("static")
    return {name: folder.joinpath(name).read_bytes() for name in _STATIC}


_FILES: Final = _read_static()
_VERSIONS: Final = {name: sha256(content).hexdigest()[:12] for name, content in _FILES.items()}


def static_path(name: str) -> str:
    """Return the address of a file. It changes with the content, so that browsers may keep it."""
    return f"/static/{name}?v={_VERSIONS[name]}"


def static_response(name: str) -> Response | None:
    """Return a file; None if there is no such file."""
    if name not in _FILES:
        return None
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_FILES[name], media_type=_STATIC[name], headers=headers)


def code(text: str) -> Markup:
    """Return a sentence as HTML; what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(clean(text)))))  # noqa: S704  escaped before


def body(text: object) -> Markup:
    """Return a request's or an answer's body as HTML, line by line, without control characters."""
    lines = str("" if text is None else text).splitlines()
    return Markup("\n").join(escape(clean_line(line)) for line in lines)


def clean_line(line: str) -> str:
    """Return one line with its indentation."""
    cleaned = clean(line)
    return " " * (len(line) - len(line.lstrip(" "))) + cleaned


def moment(at: datetime, now: datetime) -> Markup:
    """Return a moment as HTML: when, and how long ago. A script keeps the second part right."""
    shown = f"{times.at(at, now)}, "
    return Markup('<time datetime="{}">{}<span data-relative>{}</span></time>').format(
        at.isoformat(), shown, times.when(at, now)
    )


def ago(at: datetime, now: datetime) -> Markup:
    """Return how long ago or ahead a moment is."""
    return Markup('<time datetime="{}" title="{}"><span data-relative>{}</span></time>').format(
        at.isoformat(), times.at(at, now), times.when(at, now)
    )


def badge(state: str) -> Markup:
    """Return a state with its colour."""
    return Markup('<span class="state {}">{}</span>').format(str(state).lower().replace("_", "-"), state)


def count(number: int, at_most: int | None = None) -> str:
    """Return a number with separators; one that has reached the limit of counting says so."""
    return f"{number:,}{'+' if at_most is not None and number >= at_most else ''}"


def _finalize(value: object) -> object:
    return value if isinstance(value, Markup) else clean(value)


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("number_orders.receiver.board"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_finalize,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "code": code,
    "body": body,
    "badge": badge,
    "count": count,
    "moment": moment,
    "ago": ago,
    "span": times.span,
}
_ENVIRONMENT.globals |= {
    "static": static_path,
    "version": version("number-orders"),
    "states": [state.value for state in State],
    "timedelta": timedelta,
}


def render(
    request: Request, template: str, *, operator: Visitor | None, status: int = 200, **context: Any
) -> HTMLResponse:
    """Return a page."""
    text = _ENVIRONMENT.get_template(template).render(
        operator=operator, path=request.url.path, query=request.query_params, **context
    )
    return HTMLResponse(text, status)
