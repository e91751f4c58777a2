"""When a carrier may be asked again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.http.retry_after import LONGEST_WAIT, retry_at

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EPOCH = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": str(EPOCH + 20)}, 20),
        ({"x-ratelimit-reset": str(EPOCH + 20), "retry-after": "90"}, 20),
        ({"x-ratelimit-reset": str(EPOCH - 20), "retry-after": "90"}, 90),
        ({"x-ratelimit-reset": "30", "retry-after": "90"}, 30),
        ({"x-ratelimit-reset": "0", "retry-after": "90"}, 90),
        ({"x-ratelimit-reset": "7200"}, 3600),
        ({"x-ratelimit-reset": f"{EPOCH + 20}.5"}, 20.5),
        ({"x-ratelimit-reset": str((EPOCH + 20) * 1000 + 443)}, 20.443),
        ({"x-ratelimit-reset": str((EPOCH + 20) * 10**6)}, 20),
        ({"x-ratelimit-reset": str((EPOCH + 20) * 10**9)}, 20),
        ({"x-ratelimit-reset": str((EPOCH - 20) * 1000)}, None),
        ({"x-ratelimit-reset": str((EPOCH + 10**6) * 1000)}, 3600),
        ({"x-ratelimit-reset": str(EPOCH + 10**9)}, 3600),
        ({"x-ratelimit-reset": "9" * 30}, None),
        ({"retry-after": " 90 "}, 90),
        ({"retry-after": "90\x1f"}, 90),
        ({"retry-after": "99999999"}, 3600),
        ({"retry-after": str(EPOCH + 20)}, 20),
        ({"retry-after": str((EPOCH + 20) * 1000)}, 20),
        ({"retry-after": "999999999999"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "1.5.5"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "\u0663\u0660"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 12:01:00 GMT"}, 60),
        ({"retry-after": "Fri, 02 Jan 2026 12:01:00 -0000"}, 60),
        ({"retry-after": "Fri, 02 Jan 2026 13:01:00 +0100"}, 60),
        ({"retry-after": "Fri, 02 Jan 2026 11:00:00 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 9999 12:00:00 GMT"}, 3600),
        ({"retry-after": "Fri, 99 Jan 2026 12:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_moment_is_read_from_both_headers(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else NOON + timedelta(seconds=seconds)

    assert retry_at(headers, NOON) == expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_stops_a_carrier_for_more_than_an_hour(reset: str, after: str) -> None:
    moment = retry_at({"x-ratelimit-reset": reset, "retry-after": after}, NOON)

    assert moment is None or NOON < moment <= NOON + LONGEST_WAIT


@given(
    wait_ms=st.integers(1, 3_599_999),
    form=st.sampled_from(["{seconds:.3f}", "{epoch:.3f}", "{epoch_ms}", "{epoch_us}"]),
    header=st.sampled_from(["x-ratelimit-reset", "retry-after"]),
)
def test_every_way_to_write_a_moment_names_the_same_moment(wait_ms: int, form: str, header: str) -> None:
    epoch_ms = EPOCH * 1000 + wait_ms
    text = form.format(seconds=wait_ms / 1000, epoch=epoch_ms / 1000, epoch_ms=epoch_ms, epoch_us=epoch_ms * 1000)

    moment = retry_at({header: text}, NOON)

    assert moment is not None
    assert abs(moment - NOON - timedelta(milliseconds=wait_ms)) < timedelta(milliseconds=1)


@given(st.from_regex(r"[0-9]{1,25}(\.[0-9]{0,12})?", fullmatch=True))
def test_no_number_stops_a_carrier_for_more_than_an_hour(number: str) -> None:
    moment = retry_at({"x-ratelimit-reset": number, "retry-after": number}, NOON)

    assert moment is None or NOON < moment <= NOON + LONGEST_WAIT
