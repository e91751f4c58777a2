"""Only the right user and password are admitted, in any spelling of the scheme."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.receiver.notices.credentials import BasicCredentials

OURS = BasicCredentials("us", "hush: it is a secret")


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_right_credentials_are_admitted(scheme: str) -> None:
    assert OURS.admit(f"{scheme} {basic('us:hush: it is a secret')}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer " + basic("us:hush: it is a secret"),
        "Basic " + basic("us:hush"),
        "Basic " + basic("them:hush: it is a secret"),
        "Basic " + basic("us:hush: it is a secret") + "x",
        "Basic us:hush: it is a secret",
        "Basic \u00fc",
    ],
)
def test_anything_else_is_not(header: str) -> None:
    assert not OURS.admit(header)


@given(st.text(max_size=60))
def test_no_text_breaks_the_comparison(text: str) -> None:
    assert not OURS.admit(f"Basic {text}")


def test_the_password_is_not_shown() -> None:
    assert "hush" not in repr(OURS)
