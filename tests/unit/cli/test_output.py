"""Nothing that is printed steers a terminal or shows a secret."""

import io
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.cli import output


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:s3cret@db.example:5432/orders", "postgresql://app:***@db.example:5432/orders"),
        ("redis://:s3cret@10.0.0.1:6379/0", "redis://:***@10.0.0.1:6379/0"),
        (
            "postgresql://app@db/orders?sslmode=require&password=s3cret",
            "postgresql://app@db/orders?sslmode=require&password=***",
        ),
        ("postgresql://app:p%40ss:s3cret@db/orders", "postgresql://app:***@db/orders"),
        ("amqp://guest:s3cret@[::1]:5672//", "amqp://guest:***@[::1]:5672//"),
        ("sentinel://:s3cret@s1:1;sentinel://:s3cret@s2:2/0", "sentinel://:***@s1:1;sentinel://:***@s2:2/0"),
        ("sentinel://:s3cret@s1:1;s2:2/0", "sentinel://:***@s1:1;s2:2/0"),
        ("host=db user=app password=s3cret", "(an address that is no URL)"),
        ("http://[s3cret", "(an address that cannot be read)"),
        ("", "(an address that is no URL)"),
    ],
)
def test_addresses_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert output.masked(url) == shown


@given(st.text("abcXYZ0189-_.~", min_size=4, max_size=20))
def test_no_message_about_an_address_shows_its_password(password: str) -> None:
    url = f"postgresql://user:{password}@127.0.0.1:5432/ledger"

    for message in (f"cannot reach {url}", f"password {password} is wrong for user", url):
        assert password not in output.scrubbed(message, url).replace("127.0.0.1", "").replace("5432", "")


def test_no_password_of_several_addresses_is_shown() -> None:
    url = "amqp://app:first-s3cret@h1/orders;amqp://app:second-s3cret@h2/orders"

    assert "s3cret" not in output.scrubbed(f"cannot reach {url}; second-s3cret is wrong, first-s3cret too", url)


@given(st.text())
def test_foreign_text_is_one_printable_line(text: str) -> None:
    shown = output.clean(text)

    assert "\x1b" not in shown
    assert "\n" not in shown
    shown.encode()  # raises at half of a surrogate pair
    assert all(ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F for char in shown)


def test_none_is_an_empty_text() -> None:
    assert output.clean(None) == ""


def test_json_can_hold_every_type_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    value = {
        "at": datetime(2026, 8, 1, tzinfo=UTC),
        "for": timedelta(seconds=1.5),
        "id": UUID(int=1),
        "body": b"caf\xe9",
        "states": frozenset({"b", "a"}),
        "esc": "\x1b[31m\x9b",
    }

    output.write_json(value)

    assert written.getvalue().isascii()
    assert "\x1b" not in written.getvalue()
    assert json.loads(written.getvalue()) == {
        "at": "2026-08-01T00:00:00+00:00",
        "for": 1.5,
        "id": "00000000-0000-0000-0000-000000000001",
        "body": "caf\ufffd",
        "states": ["a", "b"],
        "esc": "\x1b[31m\x9b",
    }


def test_json_refuses_an_unknown_type() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        output.write_json({"what": object()})
