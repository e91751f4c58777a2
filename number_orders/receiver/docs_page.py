"""The page `/docs`: the OpenAPI document for people, as plain HTML that loads nothing from anywhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
pre, code { font: 14px/1.4 ui-monospace, monospace; background: #f4f4f4; }
pre { padding: .7rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #ddd; }
h2 { margin-top: 2.5rem; border-top: 2px solid #ddd; padding-top: 1rem; }
.method { color: #05a; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } pre, code { background: #262626; } .method { color: #7bf; }
}
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Show every endpoint with its parameters, an example, and its answers."""
    document = request.app.openapi()
    return HTMLResponse("".join(_page(document, str(request.base_url).rstrip("/"))), headers=_HEADERS)


def _page(document: Mapping[str, Any], base_url: str) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield f"<h1>{title}</h1><p>{_text(document['info']['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(document, f"{base_url}{path}", method.upper(), path, operation)
    yield "<h2>Shapes</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _schema(document, name, schema)


def _operation(
    document: Mapping[str, Any], url: str, method: str, path: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    yield f'<h2><span class="method">{method}</span> <code>{escape(path)}</code></h2>'
    yield f"<p>{_text(operation.get('description', ''))}</p>"
    yield f"<pre>{escape(_curl(url, method, operation))}</pre>"
    if parameters := operation.get("parameters"):
        rows = ((p["name"], p["in"], _kind(p["schema"]), p.get("description", "")) for p in parameters)
        yield _table(("parameter", "in", "type", "meaning"), rows)
    answers = ((status, _shapes(answer), answer["description"]) for status, answer in operation["responses"].items())
    yield _table(("status", "shape", "meaning"), answers)


def _curl(url: str, method: str, operation: Mapping[str, Any]) -> str:
    needs_token = "security" in operation
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}{url}"]
    if needs_token:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        example = next(iter(content["examples"].values()))["value"]
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(example)}'"]
    return " \\\n     ".join(lines)


def _schema(document: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p>'
    required = schema.get("required", ())
    fields = (
        (field, _kind(of), "yes" if field in required else "", of.get("description", ""))
        for field, of in schema.get("properties", {}).items()
    )
    yield _table(("field", "type", "required", "meaning"), fields)


def _shapes(answer: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (_kind(content.get("schema", {})) for content in answer.get("content", {}).values())))


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a schema's type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_kind(one) for one in schema[several])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {})) or 'values'}"
    return str(schema.get("format") or schema.get("type") or schema.get("const", ""))


def _table(columns: tuple[str, ...], rows: Any) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(text: object) -> str:
    """Return a text as HTML; what stands between backticks is code."""
    parts = escape(str(text)).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
