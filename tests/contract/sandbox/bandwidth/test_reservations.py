"""Reservations: which numbers are reserved, for whom, for how long, and what orders do with them."""

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


def status_and_code(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, fromstring(answer.content).findtext("ResponseStatus/ErrorCode")


def with_reservations(*reservation_ids: str, numbers: tuple[str, ...] = (NUMBER,)) -> str:
    listed = "".join(f"<ReservationId>{one}</ReservationId>" for one in reservation_ids)
    closing = "</ExistingTelephoneNumberOrderType>"
    return named_xml(*numbers).replace(closing, f"<ReservationIdList>{listed}</ReservationIdList>{closing}")


def left_s(client: BandwidthClient, reservation_id: str) -> int:
    shown = fromstring(client.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}").content)
    return int(shown.findtext("Reservation/ReservationExpires") or -1)


def test_a_reservation_is_shown_by_its_id_and_by_its_number(bandwidth: BandwidthClient) -> None:
    """The two answers name the same fields differently, as published."""
    reservation_id = reserved(bandwidth)

    by_id = fromstring(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}").content)
    by_number = fromstring(bandwidth.http.get("/api/v2/tns/%2B19842471432/tnreservation").content)

    assert by_id.tag == "ReservationResponse"
    assert texts(by_id, "Reservation/*")[:2] == [reservation_id, "9900000"]
    assert by_id.findtext("Reservation/ReservedTn") == NUMBER
    assert HOURS_S - 60 < left_s(bandwidth, reservation_id) <= HOURS_S
    assert (by_number.tag, by_number.findtext("ReservationID")) == ("TNReservation", reservation_id)
    assert by_number.findtext("ReservedTN") == NUMBER


def test_reserved_number_is_not_found_sold_or_reserved_again(bandwidth: BandwidthClient) -> None:
    assert NUMBER in bandwidth.found(areaCode="984", quantity=5)
    reserved(bandwidth)

    assert NUMBER not in bandwidth.found(areaCode="984", quantity=5000)
    assert bandwidth.status(bandwidth.place(named_xml(NUMBER))) == "FAILED"
    assert status_and_code(reserve(bandwidth)) == (400, "5041")
    assert bandwidth.control.report()["totals"]["stock"]["bandwidth"]["reserved"] == 1


def test_order_that_names_the_reservation_gets_the_number_and_ends_it(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)

    order_id = bandwidth.place(with_reservations(reservation_id))

    assert texts(bandwidth.read(order_id), "CompletedNumbers//FullNumber") == [NUMBER]
    assert status_and_code(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}")) == (404, "5043")
    again = bandwidth.post(order_xml(with_reservations(reservation_id)))
    assert again.status_code == 400
    assert [code.text for code in fromstring(again.content).iter("Code")] == ["5042"]


@pytest.mark.parametrize("numbers", [("+19842471793",), (NUMBER,)])
def test_order_with_a_wrong_reservation_is_refused_and_the_reservation_stays(
    bandwidth: BandwidthClient, numbers: tuple[str, ...]
) -> None:
    """A reservation of another number, or a second one that does not exist."""
    reservation_id = reserved(bandwidth)
    strange = () if numbers != (NUMBER,) else ("no-such-reservation",)

    answer = bandwidth.post(order_xml(with_reservations(reservation_id, *strange, numbers=numbers)))

    assert answer.status_code == 400
    assert left_s(bandwidth, reservation_id) > 0


def test_a_refused_order_ends_no_reservation(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)

    assert bandwidth.post(order_xml(with_reservations(reservation_id), SiteId="nowhere")).status_code == 400

    assert left_s(bandwidth, reservation_id) > 0


def test_expired_reservation_returns_the_number_to_stock(bandwidth: BandwidthClient) -> None:
    reservation_id = reserved(bandwidth)
    bandwidth.control.advance(HOURS_S - 60)
    assert 0 < left_s(bandwidth, reservation_id) <= 60

    bandwidth.control.advance(60)

    assert status_and_code(bandwidth.http.get(f"{ACCOUNT}/tnreservation/{reservation_id}")) == (404, "5043")
    assert NUMBER in bandwidth.found(areaCode="984", quantity=5000)
    assert bandwidth.status(bandwidth.place(named_xml(NUMBER))) == "COMPLETED"


def test_reservation_is_deleted_once(bandwidth: BandwidthClient) -> None:
    where = f"{ACCOUNT}/tnreservation/{reserved(bandwidth)}"

    assert bandwidth.http.delete(where).status_code == 200

    assert status_and_code(bandwidth.http.delete(where)) == (404, "5043")
    assert status_and_code(bandwidth.http.get("/api/v2/tns/%2B19842471432/tnreservation")) == (404, "5040")
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
def test_invalid_reservation_is_refused(bandwidth: BandwidthClient, body: str, code: str) -> None:
    assert status_and_code(bandwidth.http.post(f"{ACCOUNT}/tnreservation", content=body)) == (400, code)


def test_caller_without_ordering_cannot_reserve(bandwidth: BandwidthClient) -> None:
    headers = {"Authorization": "Bearer sandbox-reader-token"}
    body = f"<Reservation><ReservedTn>{NUMBER}</ReservedTn></Reservation>"

    assert bandwidth.http.post(f"{ACCOUNT}/tnreservation", content=body, headers=headers).status_code == 403


@contextmanager
def sandbox_with(memory: Path) -> Iterator[BandwidthClient]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE), stock=SMALL, memory=memory) as control:
        client = BandwidthClient(control)
        yield client
        client.http.close()


def test_reservations_are_restored(tmp_path: Path) -> None:
    """Active, deleted and used reservations are restored with their moments."""
    let_go, bought = "+19842471793", "+19842471794"
    with sandbox_with(tmp_path / "memory") as first:
        kept, gone, used = reserved(first), reserved(first, let_go), reserved(first, bought)
        first.http.delete(f"{ACCOUNT}/tnreservation/{gone}")
        first.place(with_reservations(used, numbers=(bought,)))
        first.control.advance(600)
    with sandbox_with(tmp_path / "memory") as second:
        assert 0 < left_s(second, kept) <= HOURS_S - 600
        assert status_and_code(second.http.get(f"{ACCOUNT}/tnreservation/{gone}")) == (404, "5043")
        outcomes = [second.status(second.place(named_xml(number))) for number in (NUMBER, let_go, bought)]
        assert outcomes == ["FAILED", "COMPLETED", "FAILED"]
