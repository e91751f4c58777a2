"""Unpack compressed messages up to a limit, on every transport.

kombu unpacks a message while it takes it from the broker, before anything can look at it, and without a limit: a
message of 2 MB may become 2 GB. A message that is too long, or that has a compression without a limit here, cannot be
read; the consumer stores it as a dead letter with the reason, and answers its sender.

A message can name a compression as its character set too: kombu passes a body that it takes for plain text or bytes to
the Python codec of that name, and `zlib` and `bz2` are codecs. Such a body stays as it is.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from kombu import compression, serialization
from kombu.exceptions import ContentDisallowed

UNPACKED_BYTES_MAX: Final = 4 * 1024 * 1024
"""As long as a message may be (`workers.consumer`)."""
_LZMA_MEMORY_MAX: Final = 128 * 1024 * 1024

_DECOMPRESSORS: Final[Mapping[str, tuple[str, Callable[[], Any]]]] = {
    "application/x-gzip": ("gzip", zlib.decompressobj),
    "application/x-bz2": ("bzip2", bz2.BZ2Decompressor),
    "application/x-lzma": ("lzma", partial(lzma.LZMADecompressor, memlimit=_LZMA_MEMORY_MAX)),
}


def install() -> None:
    """Make every message that this process takes from now on unpack within the limit."""
    for content_type in compression.encoders():
        known: Any = compression.get_encoder(content_type)  # the stubs lack the second half of the pair
        compression.register(known[0], partial(unpack, content_type=content_type), content_type)
    kombus: Any = serialization  # the stubs lack both names
    for content_type in kombus.TRUSTED_CONTENT:  # those that a consumer reads whatever it accepts
        kombus.registry.register(content_type, None, _as_it_is, content_type)


def _as_it_is(body: bytes) -> bytes:
    return body


def unpack(packed: bytes, content_type: str) -> bytes:
    """Return what a compressed body unpacks to.

    Raises:
        ContentDisallowed: More than `UNPACKED_BYTES_MAX`, or another compression than the three.
        ValueError: It ends too early, or is not compressed as it claims.
    """
    if content_type not in _DECOMPRESSORS:
        raise ContentDisallowed(f"compressed as {content_type}, which is not accepted; gzip, bzip2 and lzma are")
    name, new = _DECOMPRESSORS[content_type]
    decompressor = new()
    try:
        unpacked: bytes = decompressor.decompress(packed, UNPACKED_BYTES_MAX + 1)
    except (zlib.error, OSError, lzma.LZMAError) as fault:
        raise ValueError(f"not {name}: {fault}") from fault
    if len(unpacked) > UNPACKED_BYTES_MAX:
        raise ContentDisallowed(f"unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    if not decompressor.eof:
        raise ValueError(f"{name} data that ends too early")
    return unpacked
