"""Reservations: what is kept, from whom, for how long, and what an order makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, named_xml, order_xml, texts
from tests.contract.sandbox.presets import AT_ONCE, SMALL

NUMBER = "+19842471432"
HOURS_S = 4 * 3600


def reserve(client: BandwidthClient, number: str = NUMBER) -> httpx.Response:
    return client.http.post(
        f"{ACCOUNT}/tnreservation", content=f"<Reservation><ReservedTn>{number}</ReservedTn></Reservation>"
    )


def reserved(client: BandwidthClient, number: str = NUMBER) -> str:
    answer = reserve(client, number)
    assert (answer.status_code, answer.content) == (201, b"")
    return answer.headers["location"].rpartition("/")[2]


def said(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, fromstring(answer.content).findtext("ResponseStatus/ErrorCode")


def with_reservations(*reservation_ids: str, numbers: tuple[str, ...] = (NUMBER,)) -> str:
    listed = "".join(f"<ReservationId>{one}</ReservationId>" for one in reservation_ids)
    closing = "</ExistingTelephoneNumberOrderType>"
    return named_xml(*numbers).replace(closing, f"<ReservationIdList>{listed}</ReservationIdList>{closing}")


def left_s(client: BandwidthClient, reservation_id: str) -> int:
    shown = fromstring(client.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}").content)
    return int(shown.findtext("Reservation/ReservationExpires") or -1)


def test_a_reservation_is_shown_by_its_id_and_by_its_number(bandwidth: BandwidthClient) -> None:
    """With other names and capitals each time, as published."""
    reservation_id = reserved(bandwidth)

    by_id = fromstring(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}").content)
    by_number = fromstring(bandwidth.http.get("/api/v2/tns/%2B19842471432/tnreservation").content)

    assert by_id.tag == "ReservationResponse"
    assert texts(by_id, "Reservation/*")[:2] == [reservation_id, "9900000"]
    assert by_id.findtext("Reservation/ReservedTn") == NUMBER
    assert HOURS_S - 60 < left_s(bandwidth, reservation_id) <= HOURS_S
    assert (by_number.tag, by_number.findtext("ReservationID")) == ("TNReservation", reservation_id)
    assert by_number.findtext("ReservedTN") == NUMBER


def test_what_is_reserved_is_neither_found_nor_sold_nor_reserved_again(bandwidth: BandwidthClient) -> None:
    assert NUMBER in bandwidth.found(areaCode="984", quantity=5)
    reserved(bandwidth)

    assert NUMBER not in bandwidth.found(areaCode="984", quantity=5000)
    assert bandwidth.status(bandwidth.place(named_xml(NUMBER))) == "FAILED"
    assert said(reserve(bandwidth)) == (400, "5041")
    assert bandwidth.control.report()["totals"]["stock"]["bandwidth"]["reserved"] == 1


def test_an_order_that_names_the_reservation_gets_the_number_and_uses_it_up(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)

    order_id = bandwidth.place(with_reservations(reservation_id))

    assert texts(bandwidth.read(order_id), "CompletedNumbers//FullNumber") == [NUMBER]
    assert said(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}")) == (404, "5043")
    again = bandwidth.post(order_xml(with_reservations(reservation_id)))
    assert again.status_code == 400
    assert [code.text for code in fromstring(again.content).iter("Code")] == ["5042"]


@pytest.mark.parametrize("numbers", [("+19842471793",), (NUMBER,)])
def test_a_reservation_that_does_not_fit_is_refused_and_stays(
    bandwidth: BandwidthClient, numbers: tuple[str, ...]
) -> None:
    """Of another number, or none at all beside it."""
    reservation_id = reserved(bandwidth)
    strange = () if numbers != (NUMBER,) else ("no-such-reservation",)

    answer = bandwidth.post(order_xml(with_reservations(reservation_id, *strange, numbers=numbers)))

    assert answer.status_code == 400
    assert left_s(bandwidth, reservation_id) > 0


def test_a_refused_order_uses_nothing_up(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)

    assert bandwidth.post(order_xml(with_reservations(reservation_id), SiteId="nowhere")).status_code == 400

    assert left_s(bandwidth, reservation_id) > 0


def test_after_its_time_the_number_is_anybodys_again(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)
    bandwidth.control.advance(HOURS_S - 60)
    assert 0 < left_s(bandwidth, reservation_id) <= 60

    bandwidth.control.advance(60)

    assert said(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}")) == (404, "5043")
    assert NUMBER in bandwidth.found(areaCode="984", quantity=5000)
    assert bandwidth.status(bandwidth.place(named_xml(NUMBER))) == "COMPLETED"


def test_it_is_let_go_once(bandwidth: BandwidthClient) -> None:
    where = f"{ACCOUNT}/tnreservation/{reserved(bandwidth)}"

    assert bandwidth.http.delete(where).status_code == 200

    assert said(bandwidth.http.delete(where)) == (404, "5043")
    assert said(bandwidth.http.get("/api/v2/tns/%2B19842471432/tnreservation")) == (404, "5040")
    assert NUMBER in bandwidth.found(areaCode="984", quantity=5000)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Reservation><ReservedTn>+441224003845</ReservedTn></Reservation>", "5040"),
        ("<Reservation><ReservedTn>+1984</ReservedTn></Reservation>", "5040"),
        ("<Reservation/>", "5044"),
        ("<Order><ReservedTn>+19842471432</ReservedTn></Order>", "5044"),
        ("no XML", "5044"),
    ],
)
def test_what_cannot_be_reserved_is_refused(bandwidth: BandwidthClient, body: str, code: str) -> None:
    assert said(bandwidth.http.post(f"{ACCOUNT}/tnreservation", content=body)) == (400, code)


def test_who_may_not_order_may_not_reserve(bandwidth: BandwidthClient) -> None:
    headers = {"Authorization": "Bearer sandbox-reader-token"}
    body = f"<Reservation><ReservedTn>{NUMBER}</ReservedTn></Reservation>"

    assert bandwidth.http.post(f"{ACCOUNT}/tnreservation", content=body, headers=headers).status_code == 403


@contextmanager
def remembering(memory: Path) -> Iterator[BandwidthClient]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE), stock=SMALL, memory=memory) as control:
        client = BandwidthClient(control)
        yield client
        client.http.close()


def test_reservations_outlive_the_sandbox(tmp_path: Path) -> None:
    """Kept, let go and used up as before, at the moments at which they were."""
    let_go, bought = "+19842471793", "+19842471794"
    with remembering(tmp_path / "memory") as first:
        kept, gone, used = reserved(first), reserved(first, let_go), reserved(first, bought)
        first.http.delete(f"{ACCOUNT}/tnreservation/{gone}")
        first.place(with_reservations(used, numbers=(bought,)))
        first.control.advance(600)
    with remembering(tmp_path / "memory") as second:
        assert 0 < left_s(second, kept) <= HOURS_S - 600
        assert said(second.http.get(f"{ACCOUNT}/tnreservation/{gone}")) == (404, "5043")
        outcomes = [second.status(second.place(named_xml(number))) for number in (NUMBER, let_go, bought)]
        assert outcomes == ["FAILED", "COMPLETED", "FAILED"]
