"""What the environment says, and what an empty variable does not say."""

import os

import pytest
from pydantic import ValidationError

from config.settings import PREFIX, BandwidthSettings, CMSettings, Settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["DATABASE_URL", "CHILDREN", "LOG_JSON", "BANDWIDTH__TIMEOUT_S", "BANDWIDTH__TOKEN"])
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Compose files and .env files pass on what nobody filled in as an empty text."""
    monkeypatch.setenv(f"{PREFIX}{name}", "")

    assert Settings() == Settings.model_construct()


def test_a_way_to_sign_in_left_empty_is_no_second_way(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"ACCOUNT_ID": "9900000", "SITE_ID": "743", "TOKEN": "t0ken", "USERNAME": "", "PASSWORD": ""}
    for name, value in given.items():
        monkeypatch.setenv(f"{PREFIX}BANDWIDTH__{name}", value)

    assert (Settings().bandwidth.account_id, Settings().bandwidth.username) == ("9900000", None)


def test_a_limit_is_of_a_group_that_the_carrier_has() -> None:
    """A misspelt group would limit nothing, without a word."""
    assert BandwidthSettings(limits={"ORDER": 1.6, "HISTORY": 10}).limits == {"ORDER": 1.6, "HISTORY": 10.0}
    with pytest.raises(ValidationError, match="ORDERS is none of DISCONNECT, HISTORY, ORDER"):
        BandwidthSettings(limits={"ORDERS": 1.6})
    with pytest.raises(ValidationError, match="greater than 0"):
        CMSettings(limits={"ALL": 0})
