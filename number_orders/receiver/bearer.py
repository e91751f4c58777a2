"""Compares the token of the header `Authorization`. Workers use it too, so it loads nothing of the receiver's."""

import hmac
from typing import Final

_SCHEME: Final = "bearer "


def is_token(authorization: str, token: str | None) -> bool:
    """Tell whether a header has the token."""
    given = authorization[len(_SCHEME) :].strip() if authorization.lower().startswith(_SCHEME) else ""
    return token is not None and hmac.compare_digest(given.encode(), token.encode())
