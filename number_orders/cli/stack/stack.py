"""The whole system as one thing that is started and stopped: engines, practice carrier, workers, beat, Flower.

Knows which processes there are, what each is told, in what order they come up and go down. What they do, and
how they are kept running, belongs to `workers/`, `sandbox/` and `embedded/`.
"""

import contextlib
import json
import os
import signal
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from kombu import Connection
from pydantic import SecretStr

from config.queues import BELL_TRANSPORT
from config.settings import PREFIX, Settings
from number_orders.cli.output import masked, scrubbed
from number_orders.cli.stack import processes as commands
from number_orders.cli.stack.data_directory import (
    PRACTICE,
    refuse_foreign_books,
    refuse_half_a_carrier,
    remember_port,
    remembered_port,
)
from number_orders.cli.stack.environment import as_environment, child_environment
from number_orders.cli.stack.readiness import Fleet, Sign, StackError, await_signs, serves
from number_orders.cli.stack.sandbox_accounts import PRACTISED, practised, sandbox_policies
from number_orders.embedded.engines import Engines
from number_orders.embedded.files import write_private
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.embedded.supervisor import Listener, ProcessEvent, ProcessEventKind, Sink, Supervisor
from number_orders.embedded.valkey import EmbeddedValkey
from number_orders.fulfilment.lanes.run import LANE_RUN_S
from number_orders.ledger.migrate import migrate
from number_orders.orders.errors import LedgerUnavailable
from workers.carriers import configured_carriers

NOTE: Final = "stack.json"
"""In `var_dir`, while the system runs: by it other commands find it."""
FLOWER_USER: Final = "operator"

_FLOWER_CONF: Final = "flower.conf.py"
_UP_WITHIN_S: Final = 60.0
_GRACE_S: Final = 10.0
_WORDS_KEPT: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How big the system is, and how its practice carrier behaves."""

    workers: int = 1
    practice: Mapping[str, Any] = field(default_factory=dict)
    """As `number_orders.sandbox.behaviour.read_behaviour` takes it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the running system is reached. The first two hold passwords."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    flower: str
    sandbox: str | None
    carriers: Mapping[str, str]
    """Every carrier that orders go to, with its host."""


class Stack:
    """Everything that `number-orders up` runs."""

    def __init__(
        self,
        settings: Settings,
        *,
        output: Sink | Path,
        shape: Shape | None = None,
        on_event: Listener | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Describe the system; nothing runs yet.

        Args:
            settings: What is left open in them is started here: engines, practice carrier.
            output: Where the processes' lines go, or a directory for a log of each.
            shape: How big it is; one worker, if not said.
            on_event: Told of starts, exits and restarts, from other threads.
            say: Told, in a line each, what is chosen that is not plain.
        """
        self._var = settings.var_dir.absolute()
        self._settings = settings.model_copy(update={"var_dir": self._var})
        self._shape = shape or Shape()
        self._words = _Words(output)
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
        return [f"worker{i}" for i in range(1, self._shape.workers + 1)]

    @property
    def settings(self) -> Settings:
        """What the processes are told; complete once started."""
        return self._settings

    def start(self) -> Addresses:
        """Start everything, and return once all of it is seen to work.

        Raises:
            StackError: with the reason, and the last words of what did not come up.
            number_orders.embedded.errors.EmbeddedError: an engine did not start, or runs already.
        """
        refuse_half_a_carrier(self._settings)
        self._var.mkdir(parents=True, exist_ok=True)
        try:
            self.addresses = self._start(self._running)
        except BaseException:  # Ctrl-C too leaves nothing half started
            self.stop()
            raise
        return self.addresses

    def stop(self) -> None:
        """Stop in order: workers and beat first, who finish what they hold; the engines last."""
        self._running.close()

    def worker_pid(self, name: str) -> int | None:
        """Return the pid of a worker's main process, or None while there is none."""
        try:
            return self._workers.pid(name) if self._workers else None
        except KeyError:  # it is stopped
            return None

    def kill_worker(self, name: str) -> int | None:
        """Kill a worker where it stands, its pool children with it; return the pid it had."""
        pid = self.worker_pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        return pid

    def hurry(self) -> None:
        """Let a stop that is under way wait for no answers: what is in hand is asked about at the next start."""
        for name in self.worker_names:
            self.kill_worker(name)

    def _start(self, running: ExitStack) -> Addresses:
        given = self._settings
        accounts = {str(name): carrier.account for name, carrier in configured_carriers(given).items()}
        practice = not accounts
        if given.database_url is None:
            refuse_foreign_books(self._var, accounts or dict.fromkeys(PRACTISED, PRACTICE))
        database_url, broker_url = self._open_engines(running)
        self._learn(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url))
        _migrate(database_url)
        _knock(broker_url)
        sandbox = self._start_sandbox(running) if practice else None
        flower = self._start_ours(running, broker_url)
        self._leave_note(running, flower, sandbox)
        carriers = {
            str(name): carrier.settings.base_url for name, carrier in configured_carriers(self._settings).items()
        }
        return Addresses(database_url, broker_url, flower, sandbox, carriers)

    def _open_engines(self, running: ExitStack) -> tuple[str, str]:
        database, broker = self._settings.database_url, self._settings.broker_url
        if database is None and broker is None:
            engines = running.enter_context(Engines(self._var))
            return engines.database_url, engines.broker_url
        self._say(f"the ledger is {_whose('DATABASE_URL', given=database is not None)}")
        self._say(f"the broker is {_whose('BROKER_URL', given=broker is not None)}")
        postgres = running.enter_context(EmbeddedPostgres(self._var / "postgres")).url if database is None else ""
        valkey = running.enter_context(EmbeddedValkey(self._var / "valkey")).url if broker is None else ""
        return (
            database.get_secret_value() if database else postgres,
            broker.get_secret_value() if broker else valkey,
        )

    def _start_sandbox(self, running: ExitStack) -> str:
        """Start the practice carrier, and point the settings at it."""
        port = commands.free_port(remembered_port(self._var, "sandbox"))
        remember_port(self._var, "sandbox", port)
        url = f"http://{LOOPBACK}:{port}"
        keeper = running.enter_context(self._supervisor(_GRACE_S))
        practice = {**sandbox_policies(self._settings), **self._shape.practice}
        self._run(keeper, "sandbox", commands.sandbox(port, practice, self._var / "sandbox.jsonl"))
        self._await([Sign("sandbox", "answers", lambda: serves(f"{url}/_sandbox/health"), _UP_WITHIN_S)])
        for name, own in practised(url).items():
            self._learn(**{name: getattr(self._settings, name).model_copy(update=own)})
        return url

    def _start_ours(self, running: ExitStack, broker_url: str) -> str:
        """Start Flower, workers and beat; return Flower's address once all of them work."""
        wished = self._settings.flower_port
        port = commands.free_port(wished)
        if wished not in {0, port}:
            self._say(f"port {wished} is taken, so Flower is on {port}")
        flower = f"http://{LOOPBACK}:{port}"
        watching = running.enter_context(self._supervisor(_GRACE_S))
        # A worker that is asked to stop finishes its stint; no answer is given up that may still come.
        slowest_s = max(carrier.settings.timeout_s for carrier in configured_carriers(self._settings).values())
        patience_s = LANE_RUN_S + slowest_s + _GRACE_S
        self._workers = running.enter_context(self._supervisor(patience_s))
        for name in self.worker_names:
            self._run(self._workers, name, commands.worker(name, children=self._settings.children))
        self._run(self._workers, "beat", commands.beat())
        self._await(self._signs(Fleet(broker_url, [commands.node(name) for name in self.worker_names])))
        # Last, for it asks the workers who they are as it starts, and stopped after them, to see them go.
        self._run(watching, "flower", commands.flower(port, conf=self._flower_conf(running)))
        self._await([Sign("flower", "serves", lambda: serves(f"{flower}/healthcheck"), _UP_WITHIN_S)])
        return flower

    def _signs(self, fleet: Fleet) -> Iterator[Sign]:
        for name in self.worker_names:
            yield Sign(name, "answers", partial(fleet.answers, commands.node(name)), _UP_WITHIN_S)
        yield Sign("beat", "rings for the sweep, and is heard", fleet.has_swept, _UP_WITHIN_S)

    def _flower_conf(self, running: ExitStack) -> Path | None:
        password = self._settings.flower_password
        if password is None:
            return None
        conf = self._var / _FLOWER_CONF
        write_private(conf, f"basic_auth = [{f'{FLOWER_USER}:{password.get_secret_value()}'!r}]\n")
        running.callback(conf.unlink, missing_ok=True)
        return conf

    def _leave_note(self, running: ExitStack, flower: str, sandbox: str | None) -> None:
        note = self._var / NOTE
        content = {"env": as_environment(self._settings), "pid": os.getpid(), "flower": flower, "sandbox": sandbox}
        write_private(note, json.dumps(content, indent=2) + "\n")
        running.callback(note.unlink, missing_ok=True)

    def _learn(self, **found: object) -> None:
        self._settings = self._settings.model_copy(update=found)

    def _supervisor(self, grace_s: float) -> Supervisor:
        return Supervisor(output=self._words.output, on_event=self._heed, grace_s=grace_s)

    def _run(self, keeper: Supervisor, name: str, argv: Sequence[str]) -> None:
        keeper.start(name, argv, env=child_environment(self._settings), cwd=self._var)

    def _heed(self, event: ProcessEvent) -> None:
        if event.kind is ProcessEventKind.EXITED:
            self._exits[event.name] += 1
        if self._on_event:
            self._on_event(event)

    def _await(self, signs: Iterator[Sign] | Sequence[Sign]) -> None:
        await_signs(list(signs), exits=self._exits.__getitem__, last_words=self._words.last)


class _Words:
    """What the processes say, on its way to where it goes: the last lines are kept for obituaries."""

    def __init__(self, output: Sink | Path) -> None:
        self._folder = output if isinstance(output, Path) else None
        self._lines: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_WORDS_KEPT))
        self.output: Sink | Path = output if isinstance(output, Path) else self._keeping(output)

    def last(self, name: str) -> str:
        """Return the last lines of a process."""
        if self._folder is None:
            return "\n".join(self._lines[name])
        log = self._folder / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_WORDS_KEPT:])

    def _keeping(self, sink: Sink) -> Sink:
        def keep(name: str, line: str) -> None:
            self._lines[name].append(line)
            sink(name, line)

        return keep


def _whose(variable: str, *, given: bool) -> str:
    return f"the one of {PREFIX}{variable}" if given else f"embedded ({PREFIX}{variable} is not set)"


def _migrate(database_url: str) -> None:
    try:
        migrate(database_url)
    except LedgerUnavailable as trouble:
        raise StackError(
            f"the ledger at {masked(database_url)} cannot be used: {scrubbed(str(trouble), database_url)}"
        ) from trouble


def _knock(broker_url: str) -> None:
    """See that the broker is there, so that one that is not is told as such, and at once."""
    with Connection(broker_url, transport_options=BELL_TRANSPORT) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=3)
        except (*connection.connection_errors, *connection.channel_errors) as trouble:
            raise StackError(
                f"the broker at {masked(broker_url)} does not answer: {scrubbed(str(trouble), broker_url)}"
            ) from trouble
