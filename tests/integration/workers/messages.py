"""Broker messages, well formed and malformed, as they lie in a queue."""

import base64
import json
import zlib
from typing import Any
from uuid import uuid4

from workers.consumer import MESSAGE_BYTES_MAX

EMPTY_CALL = "[[], {}, {}]"
TASK = "orders.submit"
ORDER = {"key": "crm-1", "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


def a_message(
    headers: Any,
    body: str | bytes = EMPTY_CALL,
    *,
    content_type: str | None = "application/json",
    encoding: str = "utf-8",
    **changes: Any,
) -> str:
    """Return a message as it lies in the broker."""
    message = {
        "body": base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode(),
        "content-encoding": encoding,
        "content-type": content_type,
        "headers": headers,
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "orders"},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "priority": 0,
        },
        **changes,
    }
    return json.dumps(message)


def properties(**changes: Any) -> dict[str, Any]:
    """Return message properties as kombu wants them, with these changes."""
    return {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "orders"}, **changes}


NOT_KOMBU: dict[str, tuple[str | bytes, str]] = {
    "plain text": ("hello, orders!", "JSONDecodeError"),
    "an empty item": ("", "JSONDecodeError"),
    "bytes that are not text": (b"\xff\xfe\x00", "UnicodeDecodeError"),
    "a number": ("5", "valid dictionary"),
    "the bare order": (json.dumps(ORDER), "properties: "),
    "JSON nested too deeply": ("[" * 100_000, "RecursionError"),
    "properties as a list": (a_message({}, properties=[]), "properties: "),
    "no delivery tag": (a_message({}, properties=properties(delivery_tag=None)), "delivery_tag"),
    "half a surrogate pair in the tag": (a_message({}, properties=properties(delivery_tag="\ud800")), "delivery_tag"),
    "no delivery info": (a_message({}, properties=properties(delivery_info={})), "exchange: "),
    "an unknown body encoding": (a_message({}, properties=properties(body_encoding="rot13")), "body_encoding"),
    "a body that is not base64": (a_message({}, properties=properties(body_encoding="base64"), body="a"), "Error: "),
    "headers as a list": (a_message(["task", TASK]), "headers: "),
    "an unknown JSON type": (a_message({"x": {"__type__": "song", "__value__": 1}}), "ValueError: "),
    "a JSON type with the wrong value": (a_message({"x": {"__type__": "base64", "__value__": 1}}), "AttributeError: "),
    "a UUID from the wrong bytes": (
        a_message({"x": {"__type__": "uuid", "__value__": {"bytes": "0123456789abcdef"}}}),
        "AssertionError",
    ),
    "text that is not UTF-8": (
        a_message({}).replace('"headers"', '"x": "\xff", "headers"').encode("latin-1"),
        "Unicode",
    ),
    "a hexadecimal number": (a_message({}).replace('"headers"', '"x": 0x10, "headers"'), "JSONDecodeError"),
    "a decimal that is none": (a_message({"x": {"__type__": "decimal", "__value__": "x"}}), "InvalidOperation: "),
}
"""Items that Celery did not write, each with a part of the reason it is rejected for.

Each of them stops a worker on kombu's own transport.
"""

UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "half a surrogate pair in a header": (a_message({"task": TASK, "id": "1", "x": "\ud800"}, "{"), "cannot be read"),
    "half a surrogate pair in the task": (a_message({"task": "orders.\ud800", "id": "2"}), "task: "),
    "a NUL in the task": (a_message({"task": "orders.\x00", "id": "3"}), "task: "),
    "a NUL in the id": (a_message({"task": TASK, "id": "4\x00"}), "id: "),
    "a NUL in a header": (a_message({"task": TASK, "id": "5", "x": "\x00"}, "{"), "cannot be read"),
    "a task as a list": (a_message({"task": [], "id": "6"}), "task: "),
    "no id": (a_message({"task": TASK}), "id: "),
    "an id as a list": (a_message({"task": TASK, "id": [1]}), "id: "),
    "a body as an object": (a_message({"task": TASK, "id": "7"}, '{"a": 1}'), "body: "),
    "a body that is too short": (a_message({"task": TASK, "id": "8"}, "[1]"), "0: "),
    "arguments as a number": (a_message({"task": TASK, "id": "9"}, "[5, {}, {}]"), "0: "),
    "keyword arguments as a number": (a_message({"task": TASK, "id": "10"}, "[[], 5, {}]"), "1: "),
    "callbacks as numbers": (a_message({"task": TASK, "id": "11"}, '[[], {}, {"callbacks": [5]}]'), "callbacks"),
    "an ETA that is not a time": (a_message({"task": TASK, "id": "12", "eta": "yesterday"}), "ETA"),
    "an expiry that is not a time": (a_message({"task": TASK, "id": "13", "expires": {}}), "expires: "),
    "one time limit instead of two": (a_message({"task": TASK, "id": "14", "timelimit": [60]}), "timelimit: "),
    "time limits as text": (a_message({"task": TASK, "id": "15", "timelimit": ["x", "y"]}), "timelimit"),
    "stamps as numbers": (a_message({"task": TASK, "id": "16", "stamped_headers": 5, "stamps": 5}), "stamp"),
    "protocol 1 with wrong arguments": (a_message({}, json.dumps({"task": TASK, "id": "17", "args": 5})), "args: "),
    "no headers": (a_message(None), "not a task message"),
    "a pickle": (
        a_message({"task": TASK, "id": "21"}, content_type="application/x-python-serialize"),
        "cannot be read",
    ),
    "an unknown charset": (a_message({"task": TASK, "id": "22"}, "\xe9", encoding="utf-99"), "cannot be read"),
    "not compressed as it claims": (
        a_message({"task": TASK, "id": "23", "compression": "application/x-bz2"}),
        "cannot be read",
    ),
    "a bomb": (
        a_message(
            {"task": TASK, "id": "25", "compression": "gzip"},
            zlib.compress(b" " * (512 * 1024 * 1024)),
        ),
        "unpacks to more than",
    ),
    "too long": (a_message({"task": TASK, "id": "24"}, "x" * (MESSAGE_BYTES_MAX + 1)), "is too long"),
    "no content type": (a_message({"task": TASK, "id": "18"}, content_type=None), "body: "),
    "an unknown task": (a_message({"task": "orders.sing", "id": "19"}), "do not have"),
    "a body nested too deeply": (a_message({"task": TASK, "id": "20"}, "[" * 100_000), "cannot be read"),
    **NOT_KOMBU,
}
"""Messages that no task can be run from, each with a part of the reason stored with its dead letter."""
