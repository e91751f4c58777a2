"""Sandbox orders and real orders are never in one ledger."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import BandwidthSettings, CMSettings, Settings
from number_orders.cli.stack.data_directory import (
    PRACTICE_ACCOUNT,
    only_here,
    refuse_incomplete_carriers,
    refuse_other_accounts,
    remember_port,
    remembered_port,
)
from number_orders.cli.stack.readiness import StackError


def test_same_account_is_accepted_again(tmp_path: Path) -> None:
    refuse_other_accounts(tmp_path, {"bandwidth": "5500012"})
    refuse_other_accounts(tmp_path, {"bandwidth": "5500012"})


@pytest.mark.parametrize(
    ("first", "then"), [(PRACTICE_ACCOUNT, "5500012"), ("5500012", PRACTICE_ACCOUNT), ("5500012", "5500013")]
)
def test_another_account_is_refused_every_time(tmp_path: Path, first: str, then: str) -> None:
    refuse_other_accounts(tmp_path, {"bandwidth": first})

    for _ in range(2):
        with pytest.raises(StackError, match=f"account {first}.*say {then}"):
            refuse_other_accounts(tmp_path, {"bandwidth": then})


@pytest.mark.parametrize("given", [{"token": SecretStr("t")}, {"base_url": "https://test.example"}, {"site_id": "1"}])
def test_incomplete_carrier_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(StackError, match=f"BANDWIDTH__{next(iter(given)).upper()} is set, but .*ACCOUNT_ID is not"):
        refuse_incomplete_carriers(Settings(bandwidth=BandwidthSettings.model_validate(given)))


@pytest.mark.parametrize("given", [{"product_token": SecretStr("t")}, {"base_url": "https://test.example"}])
def test_incomplete_cm_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(StackError, match=f"CM__{next(iter(given)).upper()} is set, but .*ACCOUNT_GUID is not"):
        refuse_incomplete_carriers(Settings(cm=CMSettings.model_validate(given)))


def test_new_carrier_is_accepted_and_the_others_are_remembered(tmp_path: Path) -> None:
    refuse_other_accounts(tmp_path, {"bandwidth": "5500012"})
    refuse_other_accounts(tmp_path, {"cm": "9f0c"})
    refuse_other_accounts(tmp_path, {"bandwidth": "5500012", "cm": "9f0c"})

    for changed in ({"bandwidth": "5500013"}, {"bandwidth": "5500012", "cm": "aaaa"}):
        with pytest.raises(StackError, match="holds orders of"):
            refuse_other_accounts(tmp_path, changed)


def test_settings_of_patience_alone_configure_no_carrier() -> None:
    refuse_incomplete_carriers(Settings(bandwidth=BandwidthSettings(doubt_patience_s=1)))


def test_complete_carrier_is_accepted() -> None:
    whole = BandwidthSettings(account_id="5500012", site_id="1", token=SecretStr("t"))
    refuse_incomplete_carriers(Settings(bandwidth=whole))


def test_port_is_remembered(tmp_path: Path) -> None:
    assert remembered_port(tmp_path, "sandbox") is None

    remember_port(tmp_path, "sandbox", 23456)

    assert remembered_port(tmp_path, "sandbox") == 23456


def test_a_second_stack_is_refused_and_named(tmp_path: Path) -> None:
    with only_here(tmp_path):
        with pytest.raises(StackError, match=rf"`up` runs here already \(pid {os.getpid()}\)") as refused:
            only_here(tmp_path).__enter__()
        assert f"kill {os.getpid()}" in str(refused.value.hint)
    with only_here(tmp_path):
        pass  # it is free again
