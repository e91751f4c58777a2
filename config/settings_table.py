"""Write docs/settings.md from the settings: `python -m config.settings_table docs/settings.md`.

A setting's text is the string below its field in config/settings.py, so the page says what the code says.
"""

import ast
import inspect
import json
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from config.settings import PREFIX, Settings

_HEAD: Final = """\
# Settings

Every variable of the environment, made from [config/settings.py](../config/settings.py) by `make docs`. An empty one
counts as unset. A secret may be a file instead: `NUMBER_ORDERS_SECRETS_DIR=/run/secrets` reads
`/run/secrets/NUMBER_ORDERS_DATABASE_URL` and so on; a variable goes before a file. `number-orders doctor` names
variables that are no setting.
"""
_GENERAL: Final = "The service"


def page() -> str:
    """Return the page."""
    sections: dict[str, list[str]] = {_GENERAL: []}
    for section, name, kind, default, text in _rows(Settings, PREFIX, _GENERAL):
        sections.setdefault(section, []).append(f"| `{name}` | {kind} | {default} | {text} |")
    parts = [_HEAD]
    for title, rows in sections.items():
        parts.append(f"## {title}\n\n| variable | kind | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _rows(model: type[BaseModel], prefix: str, section: str) -> Iterator[tuple[str, str, str, str, str]]:
    texts = _texts(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            title = f"`{prefix}{name.upper()}__…`"
            yield from _rows(kind, f"{prefix}{name}__".upper(), title)
            continue
        default = None if field.default_factory else field.get_default()  # a machine's own: the text says it
        yield section, f"{prefix}{name}".upper(), _kind(kind), _default(default), texts.get(name, "")


def _texts(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the text of each field: the string below it, in the class or in one that it inherits from."""
    texts: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each.__module__ != Settings.__module__:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(after):
                texts[field.target.id] = _one_line(ast.literal_eval(after.value))  # type: ignore[attr-defined]  # an ast.Expr
    return texts


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _kind(kind: Any) -> str:
    """Return a kind in plain words."""
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in get_args(kind))
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(one) for one in get_args(kind) if one is not type(None))
    if hasattr(kind, "__metadata__"):
        return _kind(get_args(kind)[0])
    if origin is not None:
        return "JSON"
    if isinstance(kind, type) and issubclass(kind, SecretStr):
        return "secret"
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f"`{one.value}`" for one in kind)
    return names.get(kind, "path" if "Path" in str(kind) else "text")


def _default(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case float() if value == int(value):
            return f"`{int(value)}`"
        case frozenset() | tuple():
            return f"`{json.dumps(sorted(value))}`" if value else ""
        case dict():
            return f"`{json.dumps(value)}`" if value else ""
        case _:
            return f"`{value}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
