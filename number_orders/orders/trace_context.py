"""The trace that an order belongs to, as the header `traceparent` writes it.

Source: W3C Trace Context, level 1, section 3.2.
"""

import re
from typing import Final

_HEADER: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def read_trace_parent(header: object) -> str | None:
    """Return a header that names a trace; None if there is none, or one that must be ignored.

    A later version of the header may have more fields. Those are cut off.
    """
    if not isinstance(header, str):
        return None
    found = _HEADER.match(header)
    rest = header[found.end() :] if found else ""
    if found is None or (rest and (header.startswith("00") or not rest.startswith("-"))):
        return None
    return f"00{found.group()[2:]}"
