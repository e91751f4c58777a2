"""What a message unpacks to is limited while it is unpacked, whichever transport has brought it."""

import bz2
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Message
from kombu.exceptions import ContentDisallowed
from kombu.transport import memory, pyamqp, redis

from workers.compression import UNPACKED_BYTES_MAX, install, unpack

install()  # as `workers.own_celery` does in every process of the service

BOMB = b"\0" * (16 * UNPACKED_BYTES_MAX)
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": zlib.compress, "bzip2": bz2.compress, "lzma": lzma.compress}
MESSAGES: list[Any] = [Message, pyamqp.Channel.Message, redis.Channel.Message, memory.Channel.Message]


def arrived(body: bytes, compression: str) -> Any:
    """Return a message as a transport makes it."""
    made: Any = Message  # the stubs want text
    return made(
        body, headers={"compression": compression}, content_type="application/json", accept={"application/json"}
    )


def read(message: Any) -> Any:
    """Read a message as kombu's consumer does: first what went wrong when it arrived."""
    if message.errors:
        message._reraise_error()
    return message.decode()


@pytest.mark.parametrize("name", PACKERS)
def test_a_message_that_would_fill_the_memory_is_refused_before_it_does(name: str) -> None:
    packed = PACKERS[name](BOMB)
    tracemalloc.start()
    try:
        message = arrived(packed, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * UNPACKED_BYTES_MAX
    with pytest.raises(ContentDisallowed, match=f"unpacks to more than {UNPACKED_BYTES_MAX} bytes"):
        read(message)


@pytest.mark.parametrize("name", PACKERS)
def test_a_compressed_message_of_ordinary_length_is_read(name: str) -> None:
    """A producer may have set `task_compression`."""
    assert read(arrived(PACKERS[name](b'{"a": 1}'), name)) == {"a": 1}


@pytest.mark.parametrize("name", PACKERS)
def test_a_message_that_ends_too_early_or_is_not_compressed_cannot_be_read(name: str) -> None:
    for body in (PACKERS[name](b'{"a": 1}')[:-4], b"{}"):
        with pytest.raises(ValueError, match=r"ends too early|not "):
            read(arrived(body, name))


def test_every_transport_makes_its_messages_of_the_class_that_is_limited() -> None:
    """So do RabbitMQ's."""
    assert all(issubclass(kind, Message) for kind in MESSAGES)


def test_a_compression_without_a_limit_is_not_accepted() -> None:
    """kombu knows two more when their packages are installed."""
    for content_type in ("application/zstd", "application/x-brotli"):
        with pytest.raises(ContentDisallowed, match="which is not accepted"):
            unpack(b"x", content_type)


@pytest.mark.parametrize("content_type", ["application/data", "application/text", "", None])
@pytest.mark.parametrize(("encoding", "pack"), [("zlib", zlib.compress), ("bz2", bz2.compress)])
def test_a_compression_that_is_named_as_the_character_set_unpacks_nothing(
    content_type: str | None, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """kombu decodes types that it trusts by Python's codec of that name, whatever the consumer accepts."""
    packed, made = pack(BOMB), Message
    message: Any = made(packed, content_type=content_type, content_encoding=encoding, accept={"application/json"})  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        assert message.decode() == packed
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < UNPACKED_BYTES_MAX
