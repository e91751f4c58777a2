from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from number_orders.orders.events import Event, Filled, NotSent, SubmissionBegun
from number_orders.orders.model import (
    CarrierName,
    Criteria,
    Kind,
    Notify,
    NumberResult,
    NumberState,
    OrderRequest,
    State,
    WhenTainted,
)
from number_orders.orders.serialization import fields_to_json, fingerprint, moment_to_json, request_to_json
from tests.unit.orders.lifecycle_examples import NOON, RALEIGH

BARE = OrderRequest("crm-1", CarrierName("bandwidth"), Kind.NEW_NUMBERS, numbers=(RALEIGH,))


def test_fields_at_their_defaults_are_left_out() -> None:
    """A stored request reads the same after a new field was added, and its fingerprint stays."""
    assert request_to_json(BARE) == {
        "key": "crm-1",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "numbers": [RALEIGH],
    }


def test_nested_values_become_plain_json() -> None:
    """Enums, sets, moments and the values of the core, each without its defaults."""
    request = replace(
        BARE,
        numbers=(),
        criteria=Criteria(npa="919", local_calling_area=False),
        quantity=2,
        when_tainted=WhenTainted.SPLIT,
        not_before=NOON,
        options={"site": "1"},
        notify=Notify(task="crm.notified", on=frozenset({State.PARTIAL, State.OPEN})),
    )

    assert request_to_json(request) == {
        "key": "crm-1",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919", "local_calling_area": False},
        "quantity": 2,
        "when_tainted": "split",
        "not_before": "2026-03-01T12:00:00+00:00",
        "options": {"site": "1"},
        "notify": {"task": "crm.notified", "on": ["OPEN", "PARTIAL"]},
    }


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (SubmissionBegun(), {}),
        (NotSent("refused", NOON), {"reason": "refused", "not_before": "2026-03-01T12:00:00+00:00"}),
        (
            Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),)),
            {"carrier_status": "COMPLETE", "numbers": [{"e164": RALEIGH, "state": "acquired"}]},
        ),
    ],
)
def test_an_event_is_stored_with_its_evidence(event: Event, fields: dict[str, Any]) -> None:
    """The annotations of its base classes are no fields."""
    assert fields_to_json(event) == fields


def test_equal_requests_have_equal_fingerprints() -> None:
    """The order in which options were given does not matter; every other difference does."""
    one = replace(BARE, options={"a": "1", "b": "2"})
    same = replace(BARE, options={"b": "2", "a": "1"})

    assert fingerprint(one) == fingerprint(same) != fingerprint(BARE)
    assert len(fingerprint(one)) == 64


def test_a_moment_is_written_in_utc() -> None:
    """Whatever the time zone it was given in."""
    moment = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    assert moment_to_json(moment) == "2026-03-01T12:00:00+00:00"
    assert moment_to_json(None) is None
