"""PostgreSQL, Redis, Sentinel, RabbitMQ and PgBouncer of a Debian release: started on loopback, stopped, and killed."""

import contextlib
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import psutil
import psycopg
import redis

from number_orders.cli.stack.processes import free_port
from number_orders.embedded.guarded import Command, GuardedProcess
from number_orders.embedded.ports import LOOPBACK
from tests.acceptance.installation import CLERK
from tests.engines.debian import Debian
from tests.processes import REPOSITORY, eventually

PASSWORD: Final = "s3cret"
_READY_WITHIN_S: Final = 90


class Server(ABC):
    """One server with its data; it keeps its port and its data when it is started again."""

    user: ClassVar[str]

    def __init__(self, debian: Debian, name: str) -> None:
        self.debian = debian
        self.port = free_port()
        self.folder = debian.folder(name, self.user)
        self.log = self.folder / "server.log"
        self._process: GuardedProcess | None = None
        self._prepare()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = process = self.debian.start(self._command(), self.log)
        until = time.monotonic() + _READY_WITHIN_S
        while not self._answers():
            assert process.wait(0.05) is None, f"it exited:\n{self.log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < until, f"no answer:\n{self.log.read_text(errors='replace')[-3000:]}"

    def stop(self) -> None:
        """Shut it down in order."""
        if process := self._detach():
            process.ask_to_stop()
            process.wait(40)

    def kill(self) -> None:
        """SIGKILL for it and every process below it."""
        if process := self._detach():
            leader = psutil.Process(process.pid)
            family = [leader, *leader.children(recursive=True)]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
                    member.kill()
            psutil.wait_procs(family, timeout=30)
            process.wait(30)

    def kill_and_start(self) -> None:
        """Let it crash, and start it again."""
        self.kill()
        self.start()

    def _detach(self) -> GuardedProcess | None:
        process, self._process = self._process, None
        return process

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data and the configuration."""

    @abstractmethod
    def _command(self) -> Command: ...

    @abstractmethod
    def _answers(self) -> bool: ...


class Postgres(Server):
    """PostgreSQL with the database `number_orders`; `owner` may do everything. `standby_of` makes it a standby."""

    user = "postgres"

    def __init__(self, debian: Debian, name: str = "postgres", *, standby_of: "Postgres | None" = None) -> None:
        self._primary = standby_of
        super().__init__(debian, name)

    @property
    def url(self) -> str:
        return f"postgresql://owner:{PASSWORD}@{LOOPBACK}:{self.port}/number_orders"

    @property
    def service_url(self) -> str:
        """The address with the role of the service (deploy/grants.sql)."""
        return as_service(self.url)

    def wait_for_standby(self) -> None:
        """Acknowledge commits from now on when the standby has them."""
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            db.execute("SELECT pg_reload_conf()")
        for _ in eventually():
            with psycopg.connect(self.url) as db:
                if db.execute("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'").rowcount:
                    return

    def promote(self) -> None:
        """Make the standby the primary; it waits for no standby of its own."""
        with psycopg.connect(self.url, autocommit=True) as db:
            assert db.execute("SELECT pg_promote()").fetchone() == (True,)

    def _prepare(self) -> None:
        data = self.debian.inside(self.folder / "data")
        if self._primary is not None:
            source = f"postgresql://owner:{PASSWORD}@{LOOPBACK}:{self._primary.port}/postgres"
            self.debian.run(self.user, self._program("pg_basebackup"), "-D", data, "-d", source, "-R", "-X", "stream")
            return
        password = self.debian.write(self.folder / "password", PASSWORD, self.user, private=True)
        options = (
            "--username=owner",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )
        self.debian.run(self.user, self._program("initdb"), "-D", data, *options, "--no-sync")

    def _command(self) -> Command:
        settings = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "dynamic_shared_memory_type": "mmap",  # the tree has no /dev/shm
            "timezone": "Asia/Tokyo",  # a session that does not say UTC has another time zone
            "max_connections": 100,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        data = self.debian.inside(self.folder / "data")
        return self.debian.command(self.user, [self._program("postgres"), "-D", data, *options])

    def _answers(self) -> bool:
        try:
            with psycopg.connect(
                self.url.replace("/number_orders", "/postgres"), connect_timeout=2, autocommit=True
            ) as db:
                is_standby = db.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
                exists = db.execute("SELECT FROM pg_database WHERE datname = 'number_orders'").rowcount
                if not exists and not is_standby:
                    db.execute("CREATE DATABASE number_orders")
        except psycopg.OperationalError:
            return False
        return True

    def _program(self, name: str) -> str:
        return f"/usr/lib/postgresql/{self.debian.postgres}/bin/{name}"


class PgBouncer(Server):
    """PgBouncer in transaction mode before a PostgreSQL, with few sessions, so that transactions change them."""

    user = "postgres"

    def __init__(self, postgres: Postgres, *, prepared_statements: int | None) -> None:
        """`prepared_statements` is `max_prepared_statements`; None where PgBouncer does not know it (before 1.21)."""
        self._postgres = postgres
        self._prepared = prepared_statements
        super().__init__(postgres.debian, "pgbouncer")

    @property
    def url(self) -> str:
        return as_service(self._postgres.url).replace(f":{self._postgres.port}/", f":{self.port}/")

    def _prepare(self) -> None:
        inside = self.debian.inside
        users = f'"owner" "{PASSWORD}"\n"{CLERK}" "{CLERK}"\n'
        users = self.debian.write(self.folder / "users", users, self.user)
        prepared = "" if self._prepared is None else f"max_prepared_statements = {self._prepared}\n"
        text = (
            f"[databases]\n* = host={LOOPBACK} port={self._postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 6\n"
            f"max_client_conn = 300\npidfile = {inside(self.folder / 'pid')}\n{prepared}"
        )
        self.debian.write(self.folder / "pgbouncer.ini", text, self.user)

    def _command(self) -> Command:
        return self.debian.command(
            self.user, ["/usr/sbin/pgbouncer", self.debian.inside(self.folder / "pgbouncer.ini")]
        )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(
                f"postgresql://owner:{PASSWORD}@{LOOPBACK}:{self.port}/postgres",
                connect_timeout=2,
                prepare_threshold=None,
            ) as db:
                db.execute("SELECT")
        except psycopg.OperationalError:
            return False
        return True


def as_service(url: str) -> str:
    """Return an address of the owner with the role of the service instead."""
    return url.replace(f"owner:{PASSWORD}@", f"{CLERK}:{CLERK}@")


class Redis(Server):
    """Redis with an append-only file; `more` are further lines of its configuration."""

    user = "redis"

    def __init__(self, debian: Debian, name: str = "redis", *, more: Sequence[str] = ()) -> None:
        self._more = more
        super().__init__(debian, name)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{LOOPBACK}:{self.port}/0"

    def _lines(self) -> Sequence[str]:
        return (f"bind {LOOPBACK}", f"requirepass {PASSWORD}", f"masterauth {PASSWORD}", "appendonly yes", 'save ""')

    def _prepare(self) -> None:
        lines = [f"port {self.port}", f"dir {self.debian.inside(self.folder)}", *self._lines(), *self._more]
        self.debian.write(self.folder / "redis.conf", "\n".join(lines) + "\n", self.user)

    def _command(self) -> Command:
        return self.debian.command(self.user, ["/usr/bin/redis-server", self.debian.inside(self.folder / "redis.conf")])

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, password=PASSWORD, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class SecureRedis(Redis):
    """Redis with TLS, and one user, who may do what deploy/users.acl allows."""

    @property
    def url(self) -> str:
        parameters = f"ssl_cert_reqs=required&ssl_ca_certs={self._certificate}"
        return f"rediss://number_orders:{PASSWORD}@{LOOPBACK}:{self.port}/0?{parameters}"

    def _prepare(self) -> None:
        inside = self.debian.inside
        self._certificate, key = self.debian.certificate(self.folder, self.user)
        users = (REPOSITORY / "deploy" / "users.acl").read_text().replace("CHANGE_ME", PASSWORD)
        lines = (
            f"port 0\ntls-port {self.port}\nbind {LOOPBACK}\ndir {inside(self.folder)}\nappendonly yes\n"
            f"tls-cert-file {inside(self._certificate)}\ntls-key-file {inside(key)}\n"
            f"tls-ca-cert-file {inside(self._certificate)}\ntls-auth-clients no\n"
            f"aclfile {self.debian.write(self.folder / 'users.acl', users, self.user)}\n"
        )
        self.debian.write(self.folder / "redis.conf", lines, self.user)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class Sentinel(Redis):
    """A sentinel that watches the master `orders`; one vote is enough to replace it."""

    MASTER: ClassVar[str] = "orders"

    def __init__(self, master: Redis, name: str) -> None:
        self._master = master
        super().__init__(master.debian, name)

    def _lines(self) -> Sequence[str]:
        return (
            f"bind {LOOPBACK}",
            f"requirepass {PASSWORD}",
            f"sentinel monitor {self.MASTER} {LOOPBACK} {self._master.port} 1",
            f"sentinel auth-pass {self.MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {self.MASTER} 1000",
            f"sentinel failover-timeout {self.MASTER} 5000",
        )

    def _command(self) -> Command:
        configuration = self.debian.inside(self.folder / "redis.conf")
        return self.debian.command(self.user, ["/usr/bin/redis-server", configuration, "--sentinel"])

    def master_port(self) -> int:
        """Return the port of the master as this sentinel knows it."""
        with redis.Redis(port=self.port, password=PASSWORD, socket_timeout=2) as client:
            known: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.MASTER)
            return int(known[1])


class RabbitMQ(Server):
    """RabbitMQ with a user and a virtual host for orders, and an epmd (Erlang's port mapper) of its own."""

    user = "rabbitmq"

    def __init__(self, debian: Debian, *, tls: bool = False) -> None:
        self._tls = tls
        self.certificate: Path | None = None
        """With TLS: the certificate, which signs itself."""
        self._epmd_port, self._distribution_port = free_port(), free_port()
        self._epmd: GuardedProcess | None = None
        super().__init__(debian, "rabbitmq")

    @property
    def url(self) -> str:
        """The address for producers, who name the certificate in Celery's `broker_use_ssl`."""
        return f"{'amqps' if self._tls else 'amqp'}://orders:{PASSWORD}@{LOOPBACK}:{self.port}/orders"

    @property
    def service_url(self) -> str:
        """The address for the service."""
        return f"{self.url}?ssl_ca_certs={self.certificate}" if self._tls else self.url

    def start(self) -> None:
        if self._epmd is None:
            command = self.debian.command(self.user, ["/usr/bin/epmd", "-address", LOOPBACK], self._env())
            self._epmd = self.debian.start(command, self.log)
        super().start()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(10)

    def _prepare(self) -> None:
        own = ["default_user = orders", f"default_pass = {PASSWORD}", "default_vhost = orders"]
        lines = [*own, "vm_memory_calculation_strategy = erlang"]  # the tree has no /proc
        if self._tls:
            self.certificate, key = self.debian.certificate(self.folder, self.user)
            files = {"cacertfile": self.certificate, "certfile": self.certificate, "keyfile": key}
            lines += [f"ssl_options.{name} = {self.debian.inside(file)}" for name, file in files.items()]
            lines += ["listeners.tcp = none", f"listeners.ssl.1 = {LOOPBACK}:{self.port}"]
        self.debian.write(self.folder / "rabbitmq.conf", "\n".join(lines) + "\n", self.user)
        self.debian.write(self.folder / "enabled_plugins", "[].\n", self.user)

    def _env(self) -> dict[str, str]:
        inside = self.debian.inside(self.folder)
        return {
            "HOME": inside,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": "orders@localhost",
            **({} if self._tls else {"RABBITMQ_NODE_IP_ADDRESS": LOOPBACK, "RABBITMQ_NODE_PORT": str(self.port)}),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{inside}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": inside,
            "RABBITMQ_LOG_BASE": inside,
            "RABBITMQ_LOGS": "-",
        }

    def _command(self) -> Command:
        command = self.debian.command(self.user, ["/usr/lib/rabbitmq/bin/rabbitmq-server"], self._env())
        return Command(command.argv, (("TERM", 20.0),), env=command.env)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as peer:
                if self._tls:
                    return True
                peer.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(peer.recv(1))
        except OSError:
            return False
