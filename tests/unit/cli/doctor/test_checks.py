"""A misspelt variable is found, and the meant name is suggested."""

import pytest

from number_orders.cli.doctor.checks import Verdict, check_variables, known_variables, unknown_variables


def test_every_setting_is_known_by_its_variable() -> None:
    known = known_variables()

    assert {
        "NUMBER_ORDERS_DATABASE_URL",
        "NUMBER_ORDERS_BANDWIDTH",
        "NUMBER_ORDERS_BANDWIDTH__CLIENT_SECRET",
        "NUMBER_ORDERS_BANDWIDTH__TIMEOUT_S",
    } <= known


def test_only_variables_with_our_prefix_and_no_setting_are_unknown() -> None:
    environment = [
        "PATH",
        "NUMBER_ORDERS_DATABASE_URL",
        "number_orders_broker_url",
        "NUMBER_ORDERS_DATABSE_URL",
        "NUMBER_ORDERS_BANDWIDTH_TOKEN",
        "NUMBER_ORDERS_",
    ]

    assert unknown_variables(environment) == [
        "NUMBER_ORDERS_",
        "NUMBER_ORDERS_BANDWIDTH_TOKEN",
        "NUMBER_ORDERS_DATABSE_URL",
    ]


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("NUMBER_ORDERS_BANDWITH__TOKEN", "NUMBER_ORDERS_BANDWIDTH__TOKEN"),
        ("NUMBER_ORDERS_BANDWIDTH_ACCOUNT_ID", "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID"),
        ("NUMBER_ORDERS_DB_URL", "NUMBER_ORDERS_DATABASE_URL"),
    ],
)
def test_the_meant_name_is_suggested_and_the_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, misspelt: str, meant: str
) -> None:
    monkeypatch.setenv(misspelt, "s3cret")

    (check,) = [check for check in check_variables() if misspelt in check.says]

    assert check.verdict is Verdict.WRONG
    assert check.remedy == f"did you mean {meant}?"
    assert "s3cret" not in check.says + check.remedy
