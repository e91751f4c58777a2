"""A signature fits one message and one key, whatever way its JSON takes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from number_orders_client.signing import (
    SIGNATURE_HEADER,
    SIGNED_AT_HEADER,
    SIGNER_HEADER,
    Message,
    is_signed,
    sign,
)

NOON = datetime(2026, 11, 29, 12, 0, 0, 500_000, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ORDER = {"key": "crm-1", "quantity": 2, "name": "Zürich", "options": {"b": [1.5, None], "a": True}}
MESSAGE = Message("orders.submit", "0b1c", (ORDER,), {"producer": "crm"})

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def signed(message: Message = MESSAGE, secret: str = SECRET) -> dict[str, str]:
    return sign(message, signer="crm", secret=secret, signed_at=NOON)


def test_signature_fits_with_one_of_several_keys() -> None:
    headers = signed()
    assert headers[SIGNER_HEADER] == "crm"
    assert is_signed(MESSAGE, headers, [SECRET])
    assert is_signed(MESSAGE, headers, [OTHER, SECRET])
    assert not is_signed(MESSAGE, headers, [OTHER])
    assert not is_signed(MESSAGE, headers, [])


def test_signature_is_that_of_standard_webhooks() -> None:
    body = '["orders.submit","0b1c",[],{"producer":"crm"}]'
    message = replace(MESSAGE, args=())
    expected = Webhook(SECRET).sign("0b1c", NOON.replace(microsecond=0), body.replace('"0b1c",', ""))
    assert signed(message)[SIGNATURE_HEADER] == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "orders.cancel"},
        {"task_id": "0b1d"},
        {"args": (ORDER | {"quantity": 3},)},
        {"args": (ORDER, "crm"), "kwargs": {}},
        {"kwargs": {"producer": "web"}},
    ],
)
def test_no_other_message_fits(changes: dict[str, Any]) -> None:
    assert not is_signed(replace(MESSAGE, **changes), signed(), [SECRET])


@pytest.mark.parametrize(
    "changes",
    [
        {SIGNATURE_HEADER: None},
        {SIGNATURE_HEADER: "v1,"},
        {SIGNATURE_HEADER: "\ud800"},
        {SIGNED_AT_HEADER: None},
        {SIGNED_AT_HEADER: "noon"},
        {SIGNED_AT_HEADER: "9" * 40},
        {SIGNED_AT_HEADER: "1"},
    ],
)
def test_malformed_headers_sign_nothing(changes: dict[str, Any]) -> None:
    assert not is_signed(MESSAGE, {**signed(), **changes}, [SECRET])


@given(args=st.lists(JSON, max_size=3), kwargs=st.dictionaries(st.text(), JSON, max_size=3))
def test_signature_survives_json(args: list[Any], kwargs: dict[str, Any]) -> None:
    message = Message("orders.submit", "0b1c", args, kwargs)
    arrived = replace(message, args=json.loads(json.dumps(args)), kwargs=json.loads(json.dumps(kwargs)))
    assert is_signed(arrived, signed(message), [SECRET])


def test_what_is_no_json_or_no_key_is_refused() -> None:
    with pytest.raises(TypeError):
        signed(replace(MESSAGE, args=(NOON,)))
    with pytest.raises(ValueError, match="JSON"):
        signed(replace(MESSAGE, args=(float("nan"),)))
    for secret in ("", "whsec_", "whsec_é"):
        with pytest.raises(ValueError, match="whsec_"):
            signed(secret=secret)
