"""`number-orders up` as a person runs it: it starts everything, stops in order, and goes on where it was."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psutil
import pytest

from number_orders.sandbox.server import running_sandbox
from tests.acceptance.conftest import QUICK, MakeOrder, producing
from tests.acceptance.demo_processes import NUMBER_ORDERS, Up, environment, up
from tests.processes import REPOSITORY, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

FLOWER_PASSWORD = "correct,horse"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One system for those tests that leave it running."""
    with up(tmp_path_factory.mktemp("up") / "var", FLOWER_PASSWORD=FLOWER_PASSWORD, LOG_LEVEL="DEBUG") as running:
        yield running


def test_order_submitted_by_celery_completes(system: Up, an_order: MakeOrder) -> None:
    with producing(system.broker_url) as producer:
        ticket = producer.submit(an_order())

        assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"


def test_flower_shows_the_order_and_its_key_and_no_secret(system: Up, an_order: MakeOrder) -> None:
    order_id = str(uuid4())
    with producing(system.broker_url) as producer:
        producer.submit(an_order("crm-in-flower"), order_id=order_id)
        producer.await_end(order_id)
    env = system.note["env"]
    secrets = [
        urlsplit(env["NUMBER_ORDERS_DATABASE_URL"]).password,
        urlsplit(env["NUMBER_ORDERS_BROKER_URL"]).password,
        env["NUMBER_ORDERS_BANDWIDTH__CLIENT_SECRET"],
        FLOWER_PASSWORD,
    ]

    system.await_that(lambda: order_id in page(system, "/api/tasks"))
    worker = next(iter(json.loads(page(system, "/api/workers?refresh=true"))))
    pages = [page(system, path) for path in ("/", "/broker", "/tasks", "/metrics", "/api/workers", f"/worker/{worker}")]
    task = page(system, f"/task/{order_id}")

    assert order_id in task
    assert "crm-in-flower" in task
    assert "broker_url" in pages[-1]  # the tab that shows the worker's settings
    assert [secret for secret in secrets for shown in [*pages, task] if secret in shown] == []
    assert [secret for secret in secrets if secret in system.said()] == []


def test_flower_wants_its_password_and_only_looks(system: Up) -> None:
    for path in ("/", "/tasks", "/metrics", "/api/workers"):
        assert ask(system, "GET", path, password="wrong").status_code == 401
    assert ask(system, "POST", "/api/worker/shutdown/worker1@host").status_code == 403


def test_a_second_up_says_which_process_runs_here(system: Up) -> None:
    again = subprocess.run(
        [*NUMBER_ORDERS, "up"],
        env=environment(system.var_dir, {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert again.returncode == 4
    assert f"`up` runs here already (pid {system.popen.pid})" in again.stderr
    assert system.popen.poll() is None


def test_no_file_of_a_running_system_is_for_others(system: Up) -> None:
    files = [path for path in system.var_dir.rglob("*") if path.is_file() and path.stat().st_uid == os.geteuid()]

    assert {path.name for path in files} > {"stack.json", "server.log", "up.lock"}
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_env_makes_a_shell_in_any_directory_use_the_running_system(system: Up, an_order: MakeOrder) -> None:
    """The ledger, the broker and the sandbox carriers: what `env` prints is all that the shell knows of them."""
    [number_orders] = NUMBER_ORDERS
    script = (
        f"""eval "$({number_orders} env)" && cd / && printenv NUMBER_ORDERS_BROKER_URL && {number_orders} submit -"""
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NUMBER_ORDERS_")}

    shell = subprocess.run(
        ["/bin/sh", "-c", script],
        input=json.dumps(an_order("crm-by-shell")),
        cwd=system.var_dir.parent,  # which holds `var`, where `env` looks by default
        env=bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert shell.returncode == 0, shell.stderr
    assert shell.stderr.splitlines()[-1] == "1 accepted"  # after a warning, if nobody has ordered here before
    assert shell.stdout.startswith(f"{system.broker_url}\n")
    assert "number-orders env" in system.said()
    with producing(system.broker_url) as producer:
        assert producer.await_end(shell.stdout.split()[4])["state"] == "COMPLETED"


def test_readme_s_curl_gets_a_ticket_with_a_token_of_the_ledger(system: Up) -> None:
    """The block in README, as it is printed: `producers add`, `producers token`, curl."""
    script = f"""eval "$(number-orders env)" && cd /\n{readme_block()}"""

    shell = in_shell(system, script)

    assert shell.returncode == 0, shell.stderr
    ticket = json.loads(shell.stdout[shell.stdout.index("{") :])
    assert ticket["key"] == "crm-000124"
    token = in_shell(system, "number-orders producers token crm").stdout.strip()
    with api(system, token) as client:
        system.await_that(lambda: client.get(f"/v1/orders/{ticket['order_id']}").json()["state"] == "COMPLETED")
    assert "number-orders producers add NAME" in system.said()
    assert token not in system.said()


def test_tokens_of_the_ledger_tell_producers_apart(system: Up, an_order: MakeOrder) -> None:
    """The process that `up` starts knows the tokens that commands make, and forgets those that they revoke."""
    made = {}
    for name in ("web", "shop"):
        in_shell(system, f"number-orders producers add {name}").check_returncode()
        made[name] = json.loads(in_shell(system, f"number-orders producers token {name} --json").stdout)
    with (
        api(system, made["web"]["token"]) as web,
        api(system, made["shop"]["token"]) as shop,
        api(system, "no_" + "x" * 43) as stranger,
    ):
        placed = web.post("/v1/orders", json=an_order("crm-by-token"))
        assert placed.status_code == 201, placed.text
        path = placed.headers["location"]

        assert [client.get(path).status_code for client in (web, shop, stranger)] == [200, 404, 401]
        assert [client.post("/v1/orders", json=an_order()).status_code for client in (shop, stranger)] == [201, 401]
        assert shop.get("/v1/orders", params={"key": "crm-by-token"}).json()["orders"] == []
        in_shell(system, f"number-orders producers revoke {made['shop']['token_id']}").check_returncode()
        system.await_that(lambda: shop.get("/v1/orders").status_code == 401, within_s=90)
        assert web.get(path).status_code == 200


def test_killed_process_is_replaced_and_said_so(system: Up, an_order: MakeOrder) -> None:
    worker = system.process("worker --name worker1")
    children = worker.children()

    worker.kill()

    system.await_words("worker1 was killed by SIGKILL; it is started again")
    system.await_words("worker1 was started again")
    assert psutil.wait_procs(children, timeout=60)[1] == []
    with producing(system.broker_url) as producer:
        assert producer.await_end(producer.submit(an_order())["order_id"])["state"] == "COMPLETED"


def test_two_stacks_that_want_the_same_ports_each_have_their_own(tmp_path: Path) -> None:
    """Each prints its own address and its own password, which lets nobody in at the other's."""
    wished = {"FLOWER_PORT": "25555", "RECEIVER__PORT": "28080"}
    with up(tmp_path / "one", **wished) as one, up(tmp_path / "two", **wished) as two:
        for stack in (one, two):
            stack.await_words("runs; Ctrl-C stops it")
        passwords = {stack.var_dir: (stack.var_dir / "flower.password").read_text().strip() for stack in (one, two)}
        assert len({one.note["flower"], two.note["flower"]}) == len({one.note["receiver"], two.note["receiver"]}) == 2
        for stack, other in ((one, two), (two, one)):
            assert f"{stack.note['flower']} (user operator" in stack.said()
            assert f"{stack.note['receiver']}/docs" in stack.said()
            assert stack.said().count(passwords[stack.var_dir]) == 1
            assert (stack.var_dir / "flower.password").stat().st_mode & 0o777 == 0o600
            assert ask(stack, "GET", "/tasks", password=passwords[stack.var_dir]).status_code == 200
            assert ask(stack, "GET", "/tasks", password=passwords[other.var_dir]).status_code == 401
            assert "it is started again" not in stack.said()


def test_interrupted_it_stops_in_order_and_goes_on_where_it_was(tmp_path: Path, an_order: MakeOrder) -> None:
    with up(tmp_path / "var") as first:
        family = first.family()
        with producing(first.broker_url) as producer:
            backordered = producer.submit(an_order(criteria={"npa": "307"}, quantity=2))["order_id"]

        assert first.interrupt(signal.SIGINT) == 0

    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert not (tmp_path / "var" / "stack.json").exists()
    assert first.stopped()[-2:] == ["flower", "sandbox"]  # after workers and beat
    with up(tmp_path / "var") as second:
        with producing(second.broker_url) as producer:
            end = producer.await_end(backordered)

        assert second.interrupt(signal.SIGTERM) == 0

    assert end["state"] == "COMPLETED"
    assert len(end["numbers"]) == 2


def test_after_power_off_the_order_ends_and_is_bought_once(tmp_path: Path, an_order: MakeOrder) -> None:
    slow = {"order_create": [2.0, 2.0]}
    with running_sandbox() as carrier:
        carrier.behave(latency_s=slow, processing_s=[0.2, 0.2])
        settings = {
            "BASE_URL": carrier.url,
            "ACCOUNT_ID": "9900000",
            "SITE_ID": "743",
            "TOKEN": "sandbox-token",
            **QUICK,
        }
        bandwidth = {f"BANDWIDTH__{name}": value for name, value in settings.items()}
        order_id = str(uuid4())
        with up(tmp_path / "var", **bandwidth) as first:
            assert "for money" in first.said()  # it cannot know that this carrier is none
            with producing(first.broker_url) as producer:
                producer.submit(an_order(), order_id=order_id)
            for _ in eventually():
                if "POST /orders" in carrier.report()["requests"]["by_route"]:  # the order is on its way
                    break
            first.power_off()

        with up(tmp_path / "var", **bandwidth) as second, producing(second.broker_url) as producer:
            end = producer.await_end(order_id)
            assert second.interrupt() == 0

        assert end["state"] == "COMPLETED"
        assert [sold["customer_order_id"] for sold in carrier.report()["orders"]] == [end["reference"]]


def test_practice_ledger_is_not_taken_to_a_real_carrier(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "carriers.json").write_text('{"bandwidth": "practice"}')
    settings = {"ACCOUNT_ID": "5500012", "SITE_ID": "743", "TOKEN": "secret"}

    refused = subprocess.run(
        [*NUMBER_ORDERS, "up"],
        env=environment(tmp_path / "var", {f"BANDWIDTH__{name}": value for name, value in settings.items()}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 4
    assert "holds orders of Bandwidth account practice" in refused.stderr
    assert not (tmp_path / "var" / "postgres").exists()


def readme_block() -> str:
    """Return the block in README that this module runs, as a reader would copy it."""
    _, after = (REPOSITORY / "README.md").read_text().split("<!-- tests/acceptance/test_up.py runs this -->")
    found = re.match(r"\s*```sh\n(.*?)```", after, re.DOTALL)
    assert found
    return found[1]


def in_shell(system: Up, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the directory where `up` was started, with our commands on its path."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NUMBER_ORDERS_")}
    [number_orders] = NUMBER_ORDERS
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=system.var_dir.parent,
        env={**bare, "PATH": f"{Path(number_orders).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def api(system: Up, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=system.note["receiver"], headers=headers, timeout=60, trust_env=False)


def page(system: Up, path: str) -> str:
    return ask(system, "GET", path).raise_for_status().text


def ask(system: Up, method: str, path: str, *, password: str = FLOWER_PASSWORD) -> httpx.Response:
    url = f"{system.note['flower']}{path}"
    return httpx.request(method, url, auth=("operator", password), timeout=60, trust_env=False)
