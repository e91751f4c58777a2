"""Makes texts of carriers and producers printable."""

import re
from typing import Final

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def clean(text: object) -> str:
    """Return foreign text on one line, without control characters.

    None can steer a terminal then, nor turn the direction of a line.
    """
    given = "" if text is None else str(text)
    return _CONTROLS.sub(" ", given.encode(errors="replace").decode()).strip()  # a lone surrogate cannot be printed
