"""The sandbox in its own process: start, output, stop."""

import contextlib
import gc
import inspect
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from number_orders.cli.app import app
from number_orders.cli.operations import commands
from number_orders.sandbox import server
from number_orders.sandbox.__main__ import main, options
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.bandwidth.client import ACCOUNT, area_xml, order_xml
from tests.contract.sandbox.cm.client import ACCOUNT as CM_ACCOUNT
from tests.contract.sandbox.turns import await_fault

ROOT = Path(__file__).parents[3]
TOKEN = {"Authorization": "Bearer sandbox-token"}


def start(*arguments: str) -> subprocess.Popen[str]:
    return run(sys.executable, "-m", "number_orders.sandbox", *arguments)


def run(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def url_in(path: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text().strip()


def stop(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_process_prints_nothing_but_its_url(tmp_path: Path) -> None:
    """Nothing is written but the URL, whatever happens to connections; SIGTERM ends with exit code 0."""
    ready = tmp_path / "ready"
    process = start("--ready-file", str(ready), "--behaviour", '{"latency_s": {"order_create": 0}}')
    url = url_in(ready, process)
    with SandboxControl(url) as control, httpx.Client(base_url=url, headers=TOKEN, trust_env=False) as client:
        patience = httpx.Timeout(60, read=0.3)
        for kind in ("drop_before", "drop_after", "hang_after", "slow"):
            control.clear_faults()
            control.fault(kind, delay_s=30 if kind in {"hang_after", "slow"} else None)
            with pytest.raises(httpx.TransportError):
                client.post(f"{ACCOUNT}/orders", content=order_xml(area_xml("919")), timeout=patience)
            await_fault(control)
        assert len(control.report()["orders"]) == 2

    code, out, err = stop(process)

    assert (code, out, err) == (0, f"{url}\n", "")


def test_stopping_ends_hanging_requests(tmp_path: Path) -> None:
    """At once: a server that waits for requests until its time of grace is over writes an error."""
    ready = tmp_path / "ready"
    process = start("--ready-file", str(ready))
    url = url_in(ready, process)
    with SandboxControl(url) as control:
        control.fault("hang_before")
        with subprocess.Popen([sys.executable, "-c", _ASK, url, ACCOUNT], stdout=subprocess.PIPE) as asker:
            assert asker.stdout is not None
            await_fault(control)
            code, _, err = stop(process)
            assert asker.stdout.read() == b"0 bytes\n"

    assert (code, err) == (0, "")


_ASK = """
import socket, sys
host, port = sys.argv[1].removeprefix("http://").split(":")
with socket.create_connection((host, int(port))) as plug:
    plug.sendall(f"GET {sys.argv[2]}/orders HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    print(len(plug.recv(100)), "bytes")
"""


def test_settings_come_as_json_or_from_a_file(tmp_path: Path) -> None:
    ready, account = tmp_path / "ready", tmp_path / "account.json"
    account.write_text(json.dumps({"account_id": "77", "sites": {"5": "6"}, "bearer": "other"}))
    stock = '{"lines_per_exchange": 6}'
    others = ("--swift", '{"api_key": "apik_other"}', "--cm", '{"product_token": "other"}')
    process = start("--ready-file", str(ready), "--account", f"@{account}", "--stock", stock, *others)
    headers = {"Authorization": "Bearer other"}
    with httpx.Client(base_url=url_in(ready, process), headers=headers, trust_env=False) as client:
        body = order_xml(area_xml("919"), SiteId="5")
        assert client.post("/api/v2/accounts/77/orders", content=body).status_code == 201
        assert client.post(f"{ACCOUNT}/orders", content=body).status_code == 403
        assert client.get("/api/v1/dids", headers={"Authorization": "Bearer apik_other"}).status_code == 200
        assert client.get(f"{CM_ACCOUNT}/statuses", headers={"X-CM-PRODUCTTOKEN": "other"}).status_code == 200

    assert stop(process)[0] == 0


@pytest.mark.parametrize("option", ["--behaviour", "--account", "--swift", "--cm", "--stock"])
@pytest.mark.parametrize("given", ['{"speed": 1}', "[]", "{", "@/nowhere.json"])
def test_unreadable_option_is_named_and_nothing_starts(
    option: str, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option, given]) == 2

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"sandbox: {option} cannot be read")


def test_two_sandboxes_run_side_by_side_and_stop_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits until its time of grace is over."""
    monkeypatch.setattr(server, "_GRACE_S", 60)
    with running_sandbox() as one, running_sandbox() as other:
        assert one.url != other.url
        assert one.health() == other.health()
        began = time.monotonic()
    assert time.monotonic() - began < 50
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.url, trust_env=False)


# -- the command `number-orders sandbox` -----------------------------------------------------------


def test_both_commands_take_the_same_options() -> None:
    """`number-orders sandbox` and `python -m number_orders.sandbox` have the same options with the same defaults."""
    module = {action.dest: action.default for action in options()._actions if action.dest != "help"}
    command = {name: given.default for name, given in inspect.signature(commands.sandbox).parameters.items()}

    assert command == module


@pytest.mark.parametrize("option", ["--behaviour", "--account", "--swift", "--cm", "--stock"])
def test_the_command_hands_its_options_through(option: str) -> None:
    result = CliRunner().invoke(app, ["sandbox", option, "{"])

    assert result.exit_code == 2
    assert f"sandbox: {option} cannot be read" in result.stderr


def test_the_command_hands_its_files_through(tmp_path: Path) -> None:
    ready, memory = tmp_path / "ready", tmp_path / "memory"
    code = "from number_orders.cli.app import main; main()"
    process = run(sys.executable, "-c", code, "sandbox", "--ready-file", str(ready), "--memory", str(memory))
    with httpx.Client(base_url=url_in(ready, process), headers=TOKEN, trust_env=False) as client:
        assert client.post(f"{ACCOUNT}/orders", content=order_xml(area_xml("919"))).status_code == 201

    assert stop(process)[0] == 0
    assert len(memory.read_text().splitlines()) == 1


def test_a_connection_that_comes_as_the_server_stops_is_closed() -> None:
    """Otherwise its socket would be collected much later, and the warning about it would fail another test."""
    sockets: list[socket.socket] = []
    is_over = threading.Event()

    def connect(host: str, port: int) -> None:
        with contextlib.suppress(OSError):
            while not is_over.is_set():
                sockets.append(socket.create_connection((host, port), timeout=60))

    with running_sandbox() as control:
        url = httpx.URL(control.url)
        caller = threading.Thread(target=connect, args=(url.host, url.port))
        caller.start()
    is_over.set()
    caller.join()
    assert sockets
    for one in sockets:
        one.settimeout(60)
        with contextlib.suppress(ConnectionError):
            assert one.recv(1) == b""
        one.close()
    gc.collect()  # pytest fails this test if a socket is collected that was not closed
