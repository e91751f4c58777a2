"""The wires of a worker, to the ledger, to the carriers and to the broker: each breaks where an order's fate has it.

They are watched below everything that is ours: at psycopg's connection, at aiohttp's session, at redis' client.
"""

import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp
import psycopg
import redis
from redis.client import Pipeline
from redis.connection import AbstractConnection
from yarl import URL

from number_orders.ledger.statements import SQL
from number_orders.orders.model import Lane
from number_orders.sandbox.routes import FAULT_HEADER
from tests.acceptance.crashing.fate import Fates, Side

_OF_NO_ORDER: Final = {"open_lanes", "set_limits", "count_faults", "reset_breaker", "return_probe"}
"""With these a process begins, or says how a carrier is to be reached, which is all orders' doing."""
_STATEMENTS: Final = {text: name for name, text in SQL.items() if name not in _OF_NO_ORDER}
_CLAIMS: Final = {"claim", "claim_unlimited"}
_ROOT: Final = re.compile(r"^(/api|/accounts|/voice-phonenumberrequestapi|/[^/]*\d[^/]*)*")
_ID: Final = re.compile(r"[^/]*\d[^/]*")
_BROKER_ACTS: Final = {"SET number-orders:rung": "ring", "SETEX celery-task-meta": "give ticket", "LPUSH crm": "tell"}
"""What an order has of the broker, by the beginning of the command. A bell that is rung already is not rung again."""

Wire = Callable[..., Awaitable[Any]]


def lay(fates: Fates) -> None:
    """Lay the wires of this process and its children."""
    _lay(psycopg.AsyncConnection, "execute", lambda execute: _to_the_ledger(fates, execute))
    _lay(aiohttp.ClientSession, "_request", lambda ask: _to_the_carriers(fates, ask))
    cuts: set[Side] = set()
    _lay(redis.Redis, "execute_command", lambda execute: _to_the_broker(fates, cuts, execute))
    _lay(Pipeline, "execute", lambda execute: _to_the_broker(fates, cuts, execute))
    _lay(AbstractConnection, "send_packed_command", lambda send: _cut_before(cuts, send))
    _lay(AbstractConnection, "read_response", lambda read: _cut_after(cuts, read))


def _lay(owner: type, name: str, around: Callable[[Any], Any]) -> None:
    setattr(owner, name, around(getattr(owner, name)))


def _to_the_ledger(fates: Fates, execute: Wire) -> Wire:
    async def watched(line: psycopg.AsyncConnection[Any], query: Any, *params: Any, **named: Any) -> Any:
        statement = _STATEMENTS.get(query)
        if statement is None:
            return await execute(line, query, *params, **named)
        if statement in _CLAIMS:
            fates.serve(None)
            answer = await execute(line, query, *params, **named)
            fates.serve(await _claimed(answer))
            act = fates.begin("claim")  # before it, it was nobody's
        else:
            act = fates.begin(_step(*params) if statement == "record_steps" else statement)
            if act.breaks(Side.BEFORE):
                _hang_up(line.pgconn.socket)
            answer = await execute(line, query, *params, **named)
        if act.breaks(Side.AFTER):
            _hang_up(line.pgconn.socket)
            await execute(line, "SELECT 'an answer, which is lost'")
        return answer

    return watched


async def _claimed(answer: psycopg.AsyncCursor[Any]) -> str | None:
    """Return who was claimed, and leave the answer as it was."""
    orders = [str(row["order_id"]) for row in await answer.fetchall() if row["order_id"]]
    if answer.rowcount:
        await answer.scroll(0, "absolute")
    assert len(orders) <= 1, "the lanes take one order at a time, so that each I/O is one order's"
    return orders[0] if orders else None


def _step(params: Any) -> str:
    return f"record {', '.join(step['event'] for step in params['steps'].obj)}"


def _to_the_carriers(fates: Fates, ask: Wire) -> Wire:
    async def watched(line: aiohttp.ClientSession, method: str, url: URL, *, headers: Any, **given: Any) -> Any:
        if "page[after]" in url.query:  # further pages are asked for as the first one is
            return await ask(line, method, url, headers=headers, **given)
        act = fates.begin(f"{method} {_ID.sub('*', _ROOT.sub('', url.path))}")
        if act.breaks(Side.BEFORE):
            headers = [*headers, (FAULT_HEADER, "drop_before")]
        elif act.loses_its_answer:
            headers = [*headers, (FAULT_HEADER, "drop_after")]
        try:
            return await ask(line, method, url, headers=headers, **given)
        finally:
            act.breaks(Side.AFTER)

    return watched


def _to_the_broker(fates: Fates, cuts: set[Side], execute: Callable[..., Any]) -> Callable[..., Any]:
    def watched(client: Any, *words: Any, **options: Any) -> Any:
        commands = [command for command, _ in client.command_stack] if isinstance(client, Pipeline) else [words]
        io = next((io for command in commands if (io := _broker_act(command))), None)
        if io is None or (io == "ring" and fates.place in set(Lane)):  # a lane that rings itself does so for all
            return execute(client, *words, **options)
        act = fates.begin(io)
        if act.breaks(Side.BEFORE):
            cuts.add(Side.BEFORE)
        elif act.loses_its_answer:
            cuts.add(Side.AFTER)
        try:
            return execute(client, *words, **options)
        finally:
            act.breaks(Side.AFTER)

    return watched


def _broker_act(command: Sequence[Any]) -> str | None:
    said = " ".join(word.decode() if isinstance(word, bytes) else str(word) for word in command[:2])
    return next((act for beginning, act in _BROKER_ACTS.items() if said.startswith(beginning)), None)


def _cut_before(cuts: set[Side], send: Callable[..., Any]) -> Callable[..., Any]:
    def watched(line: Any, *said: Any, **options: Any) -> Any:
        if line._sock and Side.BEFORE in cuts:
            cuts.remove(Side.BEFORE)
            line._sock.shutdown(socket.SHUT_RDWR)
        return send(line, *said, **options)

    return watched


def _cut_after(cuts: set[Side], read: Callable[..., Any]) -> Callable[..., Any]:
    def watched(line: Any, *given: Any, **options: Any) -> Any:
        answer = read(line, *given, **options)
        if line._sock and Side.AFTER in cuts:
            cuts.remove(Side.AFTER)
            line._sock.shutdown(socket.SHUT_RDWR)
            return read(line, *given, **options)
        return answer

    return watched


def _hang_up(fileno: int) -> None:
    with socket.socket(fileno=socket.dup(fileno)) as line:
        line.shutdown(socket.SHUT_RDWR)
