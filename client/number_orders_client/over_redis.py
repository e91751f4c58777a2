"""The way through Redis without Celery: the messages and answers are Celery's, at a third of the CPU.

A message is an item of a list, as kombu writes it (Celery's message protocol 2). The answer is a key, which the service
announces on the channel of the same name as it stores it (Celery's Redis result backend).
"""

import base64
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import redis
from redis.backoff import ConstantBackoff
from redis.client import PubSub
from redis.retry import Retry

from number_orders_client.over_queue import LOOK_EVERY_S, QUEUE, Call, NoAnswer, QueueTransport, failure, share_s

_ANSWER: Final = "celery-task-meta-"
_SUCCEEDED: Final = "SUCCESS"
_FAILED: Final = frozenset({"FAILURE", "REVOKED"})
_POLL_EVERY_S: Final = 1.0
"""How often to look for an answer that was not announced: the broker was restarted, or failed over, at that moment."""
_AS_MANY_AS_CALLS: Final = 2**31
"""The size of the pool. redis-py 8 has a limit of 100, at which it raises at once."""
_QUERIES: Final = frozenset({("redis", ""), ("rediss", ""), ("rediss", "ssl_cert_reqs=required")})
"""Schemes with their queries. Without one, and with that one, redis-py verifies certificate and host name."""
_NOTHING_FOLLOWS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def is_supported(url: str) -> bool:
    """Tell whether an address is one that redis-py and kombu read alike."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    return (parts.scheme, parts.query) in _QUERIES and (not database or database.isdecimal())


class RedisTransport(QueueTransport):
    """Sends calls to the service through Redis or Valkey."""

    def __init__(self, broker_url: str, *, producer: str, secret: str | None, wait_s: float) -> None:
        super().__init__(producer=producer, secret=secret, wait_s=wait_s)
        # Without timeouts a frozen broker blocks the producer for ever.
        self._client = redis.Redis.from_url(
            broker_url,
            socket_timeout=share_s(wait_s),
            socket_connect_timeout=share_s(wait_s),
            socket_keepalive=True,
            protocol=2,  # every server is_supported it
            # A connection that was closed while it was idle is made anew.
            retry=Retry(ConstantBackoff(0.1), 1),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],  # redis-py 5 retries nothing else
            max_connections=_AS_MANY_AS_CALLS,
            **({"ssl_check_hostname": True} if broker_url.startswith("rediss") else {}),
        )
        self._sender = f"{os.getpid()}@{socket.gethostname()}"
        self._idle: list[_Connections] = []
        """Each call takes one for itself, and gives it back."""
        self._pid = os.getpid()

    def close(self) -> None:
        """Close the connections of all threads."""
        self._close_idle()
        self._client.close()

    def _ask(self, call: Call, until: float) -> Any:
        key = _ANSWER + call.task_id
        connections = self._take_connections()
        try:
            connections.listener.subscribe(key)
            connections.commands.lpush(QUEUE, self._message(call))
            stored, was_announced = connections.await_answer(key, until)
        except NoAnswer:
            connections.close()
            raise
        except BaseException:
            connections.close()
            self._close_idle()  # they lead to the same broker, such as one that has become a replica
            raise
        with suppress(Exception):  # otherwise the answer expires by itself
            connections.forget(key, was_announced=was_announced)
            self._idle.append(connections)
        if stored["status"] == _SUCCEEDED:
            return stored["result"]
        raise _failure_of(stored["result"])

    def _take_connections(self) -> "_Connections":
        if self._pid != os.getpid():  # after a fork these are the parent's
            self._pid, self._idle = os.getpid(), []
        try:
            return self._idle.pop()
        except IndexError:
            pool = self._client.connection_pool
            commands = redis.Redis(connection_pool=pool, single_connection_client=True)
            return _Connections(commands, PubSub(pool, ignore_subscribe_messages=True))

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _message(self, call: Call) -> str:
        headers = {
            "lang": "py",
            "task": call.task,
            "id": call.task_id,
            "root_id": call.task_id,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": self._sender,
            "ignore_result": False,
            **call.headers,
        }
        body = json.dumps([[], call.kwargs, _NOTHING_FOLLOWS])
        return json.dumps(
            {
                "body": base64.b64encode(body.encode()).decode(),
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "headers": headers,
                "properties": {
                    "correlation_id": call.task_id,
                    "body_encoding": "base64",
                    "delivery_mode": 2,
                    "delivery_tag": str(uuid4()),
                    "delivery_info": {"exchange": "", "routing_key": QUEUE},
                    "priority": 0,
                },
            }
        )


@dataclass(frozen=True, slots=True)
class _Connections:
    """Two connections to the broker: one for commands, one that listens for an answer."""

    commands: redis.Redis
    listener: PubSub

    def await_answer(self, key: str, until: float) -> tuple[Mapping[str, Any], bool]:
        """Wait for the answer; while the broker is away, look for it again until the time is over.

        Returns:
            The answer, and whether it was announced here.
        """
        poll_at, channel = time.monotonic() + _POLL_EVERY_S, key.encode()
        while (now := time.monotonic()) < until:
            try:
                was_announced = now < poll_at
                if not was_announced:
                    poll_at = now + _POLL_EVERY_S
                    stored = self.commands.get(key)
                else:
                    announced = self.listener.get_message(timeout=min(poll_at, until) - now)
                    # What is announced twice, or was found before it was read here, is another call's.
                    stored = announced["data"] if announced and announced["channel"] == channel else None
            except redis.RedisError:
                if time.monotonic() + LOOK_EVERY_S >= until:
                    raise
                time.sleep(LOOK_EVERY_S)
                poll_at = 0.0
                continue
            if stored and (answer := json.loads(stored))["status"] in {_SUCCEEDED, *_FAILED}:
                return answer, was_announced
        raise NoAnswer

    def forget(self, key: str, *, was_announced: bool) -> None:
        """Listen for this answer no longer, and delete it. A connection that did not hear of it may be dead."""
        if was_announced:
            self.listener.unsubscribe(key)  # type: ignore[no-untyped-call]
        else:
            self.listener.close()
        self.commands.delete(key)

    def close(self) -> None:
        """Close both connections. A broker that is gone has closed them."""
        with suppress(Exception):
            self.listener.close()
        with suppress(Exception):
            if self.commands.connection:
                # Otherwise it goes back to the pool, whatever it leads to.
                self.commands.connection.disconnect()  # type: ignore[no-untyped-call]
            self.commands.close()


def _failure_of(raised: Any) -> Exception:
    """Return the error for an exception as Celery stores it: its type's name, and its text or its arguments."""
    words = raised["exc_message"]
    if isinstance(words, list):
        words = tuple(words) if len(words) > 1 else "".join(map(str, words))
    return failure(raised["exc_type"], str(words))
