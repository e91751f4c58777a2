"""Starts and stops the whole system as one thing: engines, sandbox carriers, workers, beat, receiver, Flower.

Knows the processes, their settings, and the order of start and stop. What they do and how they are kept running belongs
to `workers/`, `sandbox/` and `embedded/`.
"""

import contextlib
import json
import os
import secrets
import signal
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import redis
from pydantic import SecretStr

from config.addresses import REDIS, scheme_of
from config.settings import FLOWER_USER, PREFIX, Settings
from number_orders.cli.discovery import STACK_NOTE
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.cli.stack import processes
from number_orders.cli.stack.data_directory import (
    PRACTICE_ACCOUNT,
    only_here,
    refuse_incomplete_carriers,
    refuse_other_accounts,
    remember_port,
    remembered_port,
)
from number_orders.cli.stack.environment import as_environment, child_environment
from number_orders.cli.stack.readiness import (
    ReadyCheck,
    StackError,
    WorkerAnswers,
    await_ready,
    serves,
    serves_at,
)
from number_orders.cli.stack.sandbox_accounts import (
    SANDBOX_ACCOUNTS,
    sandbox_policies,
    sandbox_settings,
    sandbox_settle_time,
)
from number_orders.embedded.engines import Engines
from number_orders.embedded.files import close_to_others, write_private
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.embedded.supervisor import Listener, ProcessEvent, ProcessEventKind, Sink, Supervisor
from number_orders.embedded.valkey import EmbeddedValkey
from number_orders.fulfilment.lanes.run import LANE_RUN_S
from number_orders.ledger.identity import read_identity
from number_orders.ledger.migrate import migrate
from number_orders.orders.errors import LedgerUnavailable
from number_orders.receiver.server import STOP_WITHIN_S
from workers import broker_owner
from workers.brokers import broker_fault, redis_client
from workers.carriers import configured_carriers
from workers.listening import address_in
from workers.senders import make_sender

FLOWER_SECRET: Final = "flower.password"  # noqa: S105  the name of a file
"""The file of Flower's password under the var directory."""

_FLOWER_ADDRESS: Final = "flower.address"
_RECEIVER_ADDRESS: Final = "receiver.address"
_UP_WITHIN_S: Final = 60.0
_GRACE_S: Final = 10.0
_LINES_KEPT: Final = 12
_BROKER_S: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """The number of workers, the receiver, and the behaviour of the sandbox carriers."""

    workers: int = 1
    receiver: Sequence[str] | None = field(default_factory=processes.receiver)
    """The command line of the receiver; None: there is none."""
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    """As `number_orders.sandbox.behaviour.read_behaviour` takes it."""
    sandbox_settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Further settings of carriers that are sandboxes, by name."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the running system. The first two hold passwords."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    flower: str
    flower_login: str
    """Who may see Flower's pages, and where the password is. Not the password."""
    receiver: str | None
    sandbox: str | None
    carriers: Mapping[str, str]
    """Every configured carrier with its base URL."""


class Stack:
    """Everything that `number-orders up` runs."""

    def __init__(
        self,
        settings: Settings,
        *,
        output: Sink | Path,
        options: StackOptions | None = None,
        on_event: Listener | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Describe the system; nothing runs yet.

        Args:
            settings: What they leave open is started here: engines, sandbox carriers.
            output: Receives the lines of the processes, or is a directory for one log each.
            options: One worker by default.
            on_event: Called on starts, exits and restarts, from other threads.
            say: Called with one line for each choice that the user should know of.
        """
        self._var = settings.var_dir.absolute()
        self._settings = settings.model_copy(update={"var_dir": self._var})
        self._options = options or StackOptions()
        self._output = _ProcessOutput(output)
        self._on_event = on_event
        self._say = say
        self._exits: Counter[str] = Counter()
        self._running = ExitStack()
        self._workers: Supervisor | None = None
        self.addresses: Addresses | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def worker_names(self) -> Sequence[str]:
        """The names of the worker processes."""
        return [f"worker{i}" for i in range(1, self._options.workers + 1)]

    @property
    def settings(self) -> Settings:
        """The settings of the processes; complete once started."""
        return self._settings

    def start(self) -> Addresses:
        """Start everything, and return when all of it works.

        Raises:
            StackError: With the reason, and the last lines of what did not start.
            number_orders.embedded.errors.EmbeddedError: An engine did not start, or runs already.
        """
        refuse_incomplete_carriers(self._settings)
        self._var.mkdir(parents=True, exist_ok=True)
        try:
            self.addresses = self._start(self._running)
        except BaseException:  # after Ctrl-C too, nothing stays half started
            self.stop()
            raise
        return self.addresses

    def stop(self) -> None:
        """Stop workers and beat first, which finish their work, and the engines last."""
        self._running.close()

    def worker_pid(self, name: str) -> int | None:
        """Return the pid of a worker's main process, or None while there is none."""
        try:
            return self._workers.pid(name) if self._workers else None
        except KeyError:  # it is stopped
            return None

    def kill_worker(self, name: str) -> int | None:
        """Kill a worker and its pool children; return the pid it had."""
        pid = self.worker_pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        return pid

    def kill_workers(self) -> None:
        """Kill all workers, so that a stop waits for no answers; the next start asks the carriers about them."""
        for name in self.worker_names:
            self.kill_worker(name)

    def _start(self, running: ExitStack) -> Addresses:
        running.enter_context(only_here(self._var))
        close_to_others(self._var)
        given = self._settings
        accounts = {str(name): carrier.account for name, carrier in configured_carriers(given).items()}
        uses_sandbox = not accounts
        if given.database_url is None:
            refuse_other_accounts(self._var, accounts or dict.fromkeys(SANDBOX_ACCOUNTS, PRACTICE_ACCOUNT))
        database_url, broker_url = self._open_engines(running)
        self._update_settings(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url))
        by_another_role = given.migration_url if given.database_url else None
        migration_url = by_another_role.get_secret_value() if by_another_role else database_url
        _migrate(migration_url, hint=_unset_hint("DATABASE_URL", given=given.database_url is not None))
        _check_broker(self._settings, hint=_unset_hint("BROKER_URL", given=given.broker_url is not None))
        self._settle_owner(broker_url, database_url, is_embedded=given.broker_url is None)
        sandbox = self._start_sandbox(running) if uses_sandbox else None
        flower_login = self._choose_flower_password()
        flower = self._start_ours(running)
        receiver = self._start_receiver(running)
        self._write_note(running, flower=flower, receiver=receiver, sandbox=sandbox)
        carriers = {
            str(name): carrier.settings.base_url for name, carrier in configured_carriers(self._settings).items()
        }
        return Addresses(database_url, broker_url, flower, flower_login, receiver, sandbox, carriers)

    def _open_engines(self, running: ExitStack) -> tuple[str, str]:
        database, broker = self._settings.database_url, self._settings.broker_url
        if database is None and broker is None:
            engines = running.enter_context(Engines(self._var))
            return engines.database_url, engines.broker_url
        self._say(f"the ledger is {_origin('DATABASE_URL', given=database is not None)}")
        self._say(f"the broker is {_origin('BROKER_URL', given=broker is not None)}")
        postgres = running.enter_context(EmbeddedPostgres(self._var / "postgres")).url if database is None else ""
        valkey = running.enter_context(EmbeddedValkey(self._var / "valkey")).url if broker is None else ""
        return (
            database.get_secret_value() if database else postgres,
            broker.get_secret_value() if broker else valkey,
        )

    def _settle_owner(self, broker_url: str, database_url: str, *, is_embedded: bool) -> None:
        """Refuse a broker of another ledger, whose workers would end at once. One that runs for us alone is taken."""
        if scheme_of(broker_url) not in REDIS:
            return
        with redis_client(self._settings, broker_url, timeout_s=_BROKER_S) as client:
            try:
                owner, own = broker_owner.owner(client), read_identity(database_url)
            except (redis.RedisError, LedgerUnavailable):
                return  # the workers say what is wrong
            if owner is None or owner.ledger_id == own.ledger_id:
                return
            if is_embedded:
                broker_owner.take_over(client, own)
                self._say("the broker started here belonged to another ledger before")
                return
        raise StackError(
            f"the broker at {masked(broker_url)} belongs to another ledger, {clean(owner.database)}"
            f" ({clean(owner.ledger_id)}); this one is {own.database} ({own.ledger_id})",
            hint=f"unset {PREFIX}BROKER_URL to have a broker started here; or name that ledger in {PREFIX}DATABASE_URL;"
            " or, if this ledger has replaced it, run `number-orders take-broker`",
        )

    def _start_sandbox(self, running: ExitStack) -> str:
        """Start the sandbox carriers, and point the settings at them."""
        port = processes.free_port(remembered_port(self._var, "sandbox"))
        remember_port(self._var, "sandbox", port)
        url = f"http://{LOOPBACK}:{port}"
        supervisor = running.enter_context(self._supervisor(_GRACE_S))
        behaviour = {**sandbox_policies(self._settings), **self._options.behaviour}
        self._run(supervisor, "sandbox", processes.sandbox(port, behaviour, self._var / "sandbox.jsonl"))
        self._await([ReadyCheck("sandbox", "answers", lambda: serves(f"{url}/_sandbox/health"), _UP_WITHIN_S)])
        for name, own in sandbox_settings(url).items():
            settings, more = getattr(self._settings, name), self._options.sandbox_settings.get(name, {})
            self._update_settings(
                **{name: settings.model_copy(update={**sandbox_settle_time(settings), **own, **more})}
            )
        return url

    def _start_ours(self, running: ExitStack) -> str:
        """Start Flower, workers and beat; return Flower's address when all of them work."""
        address_file = self._address_file(_FLOWER_ADDRESS)
        watching = running.enter_context(self._supervisor(_GRACE_S))
        # A worker that is asked to stop finishes its lane run, so that no answer is lost that may still come.
        slowest_s = max(carrier.settings.timeout_s for carrier in configured_carriers(self._settings).values())
        patience_s = LANE_RUN_S + slowest_s + _GRACE_S
        self._workers = running.enter_context(self._supervisor(patience_s))
        for name in self.worker_names:
            self._run(self._workers, name, processes.worker(name, children=self._settings.children))
        self._run(self._workers, "beat", processes.beat())
        nodes = [processes.node(name) for name in self.worker_names]
        self._await(self._ready_checks(WorkerAnswers(make_sender(self._settings), nodes)))
        # Started last, because it asks the workers at its start; stopped after them, to see them stop.
        own = {"flower_host": LOOPBACK, "flower_address_file": address_file}
        self._run(watching, "flower", processes.flower(), **own)
        check = ReadyCheck("flower", "serves", lambda: serves_at(address_file, "/healthcheck"), _UP_WITHIN_S)
        self._await([check])
        url, port = self._address("Flower", address_file, self._settings.flower_port)
        self._update_settings(flower_port=port)
        return url

    def _start_receiver(self, running: ExitStack) -> str | None:
        """Start the receiver, and return its address. Stopped first, so that nothing comes in that nobody works on."""
        if self._options.receiver is None:
            return None
        wished = self._settings.receiver
        address_file = self._address_file(_RECEIVER_ADDRESS)
        supervisor = running.enter_context(self._supervisor(STOP_WITHIN_S + _GRACE_S))
        own = wished.model_copy(update={"address_file": address_file})
        self._run(supervisor, "receiver", self._options.receiver, receiver=own)
        check = ReadyCheck("receiver", "is ready", lambda: serves_at(address_file, "/readyz"), _UP_WITHIN_S)
        self._await([check])
        url, port = self._address("the receiver", address_file, wished.port)
        self._update_settings(receiver=wished.model_copy(update={"port": port}))
        return url

    def _ready_checks(self, fleet: WorkerAnswers) -> Iterator[ReadyCheck]:
        for name in self.worker_names:
            yield ReadyCheck(name, "answers", partial(fleet.answers, processes.node(name)), _UP_WITHIN_S)
        yield ReadyCheck("beat", "sends sweeps that a worker receives", fleet.beat_is_heard, _UP_WITHIN_S)

    def _address_file(self, name: str) -> Path:
        """Return where a process writes its address: nothing stands there yet."""
        address_file = self._var / name
        address_file.unlink(missing_ok=True)
        return address_file

    def _address(self, what: str, address_file: Path, wished: int) -> tuple[str, int]:
        """Return address and port that a process has written, and tell the user if it is not the wished port."""
        address = address_in(address_file)
        assert address is not None, "the process is ready"
        port = urlsplit(address).port or 0
        if wished not in {0, port}:
            self._say(f"port {wished} is taken, so {what} is on {port}")
        return f"http://{LOOPBACK}:{port}", port

    def _choose_flower_password(self) -> str:
        """Make Flower's password, unless it is set or was made at an earlier start; say it this once.

        Returns what to tell those who want to log in.
        """
        if self._settings.flower_password is not None:
            return f"user {FLOWER_USER}, password in {PREFIX}FLOWER_PASSWORD"
        file = self._var / FLOWER_SECRET
        if not file.exists():
            password = secrets.token_urlsafe(18)
            write_private(file, f"{password}\n")
            self._say(f"Flower asks for a password: user {FLOWER_USER}, password {password} (kept in {file})")
        self._update_settings(flower_password=SecretStr(file.read_text(encoding="ascii").strip()))
        return f"user {FLOWER_USER}, password in {file}"

    def _write_note(self, running: ExitStack, **addresses: str | None) -> None:
        note = self._var / STACK_NOTE
        content = {"env": as_environment(self._settings), "pid": os.getpid(), **addresses}
        write_private(note, json.dumps(content, indent=2) + "\n")
        running.callback(note.unlink, missing_ok=True)

    def _update_settings(self, **found: object) -> None:
        self._settings = self._settings.model_copy(update=found)

    def _supervisor(self, grace_s: float) -> Supervisor:
        return Supervisor(output=self._output.output, on_event=self._on_process_event, grace_s=grace_s)

    def _run(self, supervisor: Supervisor, name: str, argv: Sequence[str], **own: object) -> None:
        """Start a process with our settings and a few of its own."""
        environment = child_environment(self._settings.model_copy(update=own))
        supervisor.start(name, argv, env=environment, cwd=self._var)

    def _on_process_event(self, event: ProcessEvent) -> None:
        if event.kind is ProcessEventKind.EXITED:
            self._exits[event.name] += 1
        if self._on_event:
            self._on_event(event)

    def _await(self, checks: Iterator[ReadyCheck] | Sequence[ReadyCheck]) -> None:
        await_ready(list(checks), exits=self._exits.__getitem__, last_lines=self._output.last_lines)


class _ProcessOutput:
    """Passes the processes' output on, and keeps the last lines for error messages."""

    def __init__(self, output: Sink | Path) -> None:
        self._folder = output if isinstance(output, Path) else None
        self._lines: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_LINES_KEPT))
        self.output: Sink | Path = output if isinstance(output, Path) else self._recording(output)

    def last_lines(self, name: str) -> str:
        """Return the last lines of a process."""
        if self._folder is None:
            return "\n".join(self._lines[name])
        log = self._folder / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_LINES_KEPT:])

    def _recording(self, sink: Sink) -> Sink:
        def record(name: str, line: str) -> None:
            self._lines[name].append(line)
            sink(name, line)

        return record


def _origin(variable: str, *, given: bool) -> str:
    return f"the one in {PREFIX}{variable}" if given else f"started here, because {PREFIX}{variable} is not set"


def _unset_hint(variable: str, *, given: bool) -> str | None:
    """Return the way out for an address that was set for a stack of before, as `number-orders env` sets it."""
    return f"start that server, or unset {PREFIX}{variable} to have one started here" if given else None


def _migrate(database_url: str, *, hint: str | None) -> None:
    try:
        migrate(database_url)
    except LedgerUnavailable as trouble:
        raise StackError(
            f"the ledger at {masked(database_url)} cannot be used: {scrubbed(str(trouble), database_url)}", hint=hint
        ) from trouble


def _check_broker(settings: Settings, *, hint: str | None) -> None:
    """Raise an error at once, and one that names the broker, if it does not answer."""
    assert settings.broker_url is not None, "the caller has found a broker"
    broker_url = settings.broker_url.get_secret_value()
    if trouble := broker_fault(settings, within_s=_BROKER_S):
        raise StackError(
            f"the broker at {masked(broker_url)} does not answer: {scrubbed(str(trouble), broker_url)}", hint=hint
        ) from trouble
