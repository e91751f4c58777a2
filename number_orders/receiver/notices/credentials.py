"""HTTP basic credentials of a carrier that sends notices."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

CHALLENGE: Final = 'Basic realm="notices", charset="UTF-8"'
"""Bandwidth sends credentials only after this challenge."""


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """The user and password that notices come with."""

    username: str
    password: str = field(repr=False)

    def admit(self, authorization: str) -> bool:
        """Return whether the value of an Authorization header has these credentials.

        Wrong ones take as long as right ones, whatever part of them is wrong.
        """
        expected = sha256(f"{self.username}:{self.password}".encode()).digest()
        return hmac.compare_digest(expected, sha256(_decoded(authorization)).digest())


def _decoded(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""
