"""Command lines hold no secret, and ports are free."""

import socket

from number_orders.cli.stack import processes


def test_worker_has_its_children_and_its_node_name() -> None:
    line = processes.worker("worker2", children=4)

    assert line[1:] == ["-m", "workers", "worker", "--name", "worker2", "--children", "4"]
    assert processes.node("worker2") == f"worker2@{socket.gethostname()}"


def test_preferred_port_is_used_when_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert processes.free_port(port) == port


def test_port_in_use_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        port = processes.free_port(taken.getsockname()[1], None, 0)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
