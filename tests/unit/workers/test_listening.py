"""Two stacks that want the same port get two, and each says its own."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from workers.listening import address_in, listen


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_taken_port_is_an_error_where_nobody_reads_the_address(taken: int) -> None:
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken)


def test_a_taken_port_is_replaced_by_the_next_free_one_and_said(taken: int, tmp_path: Path) -> None:
    with (
        closing(listen("127.0.0.1", taken, address_file=tmp_path / "first")) as first,
        closing(listen("127.0.0.1", taken, address_file=tmp_path / "second")) as second,
    ):
        ports = [one.getsockname()[1] for one in (first, second)]
        assert taken < ports[0] < ports[1]
        assert [address_in(tmp_path / name) for name in ("first", "second")] == [
            f"http://127.0.0.1:{port}" for port in ports
        ]
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o600


def test_a_process_that_is_started_again_keeps_its_address(taken: int, tmp_path: Path) -> None:
    """Also when the wished port is free by then: people have the address of before."""
    listen("127.0.0.1", taken, address_file=tmp_path / "address").close()
    address = address_in(tmp_path / "address")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    listen("127.0.0.1", free, address_file=tmp_path / "address").close()
    assert address_in(tmp_path / "address") == address


def test_accepting_does_not_wait() -> None:
    with closing(listen("127.0.0.1", 0)) as listening, pytest.raises(BlockingIOError):
        listening.accept()


def test_nothing_is_said_before_anything_listens(tmp_path: Path) -> None:
    assert address_in(tmp_path / "address") is None
    with pytest.raises(OSError, match="assign requested address"):
        listen("192.0.2.1", 0, address_file=tmp_path / "address")
    assert address_in(tmp_path / "address") is None


def test_an_address_of_ip_version_6_is_written_as_in_a_url(tmp_path: Path) -> None:
    with closing(listen("::1", 0, address_file=tmp_path / "address")) as listening:
        assert address_in(tmp_path / "address") == f"http://[::1]:{listening.getsockname()[1]}"
