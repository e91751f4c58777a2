"""Runs the demo's producers as separate processes, and reads their answers."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from number_orders.cli.demo.orders import Call, Way
from number_orders.embedded.files import open_private, write_private
from number_orders.embedded.guarded import Command, GuardedProcess

_PER_SECOND: Final[Mapping[Way, float]] = {Way.QUEUE: 30.0, Way.HTTP: 12.0}

SCRIPTS: Final[Mapping[Way, Path]] = {
    Way.QUEUE: Path(__file__).with_name("producer.py"),
    Way.HTTP: Path(__file__).with_name("http_producer.py"),
}
"""Started by path and never imported, because a producer knows nothing of this code."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the producers, call by call."""

    by_way: Mapping[Way, Sequence[Mapping[str, Any]]]

    @property
    def answered(self) -> list[Mapping[str, Any]]:
        """The answers to both."""
        return [one for answered in self.by_way.values() for one in answered]

    def tickets(self) -> dict[str, set[str]]:
        """Return the order ids that each key got a ticket for; exactly one, if all is right."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for way in self.by_way:
            for ticket in self._tickets(way):
                found[ticket["key"]].add(ticket["order_id"])
        return found

    def keys(self, way: Way) -> frozenset[str]:
        """Return the keys that got a ticket this way."""
        return frozenset(ticket["key"] for ticket in self._tickets(way))

    def refused(self) -> int:
        """Return how many orders were refused, singly or within a batch."""
        return sum("refused" in one or len(one.get("answer", {}).get("refused", ())) for one in self.answered)

    def recognised(self) -> int:
        """Return how many calls on the queue were answered with an existing order instead of one with the call's id."""
        placed = [one for one in self.by_way[Way.QUEUE] if one.get("answer", {}).get("order_id")]
        return sum(one["answer"]["order_id"] != one["id"] for one in placed)

    def silent(self) -> int:
        """Return how many calls were never answered."""
        return sum("silent" in one for one in self.answered)

    def sent_again(self) -> int:
        """Return how often a call was sent again because its answer was missing."""
        return sum(one["sent"] - 1 for one in self.answered)

    def _tickets(self, way: Way) -> Iterator[Mapping[str, Any]]:
        for one in self.by_way[way]:
            answer = one.get("answer", {})
            yield from answer.get("tickets", ())
            if "order_id" in answer:
                yield answer


class ProducerProcess:
    """Runs one producer with nothing in its environment but where the service is, and what proves who it is."""

    def __init__(self, way: Way, calls: Sequence[Call], environment: Mapping[str, str], directory: Path) -> None:
        self.way = way
        self._answers = directory / f"answers-{way}.jsonl"
        calls_file = directory / f"calls-{way}.jsonl"
        write_private(calls_file, "".join(f"{_line(call)}\n" for call in calls))
        command = Command(
            argv=[sys.executable, "-P", str(SCRIPTS[way])],
            stop_signals=(("TERM", 2.0),),
            env={**environment, "PATH": os.environ.get("PATH", os.defpath)},
        )
        with calls_file.open("rb") as stdin, open_private(self._answers, append=False) as output:
            self._process = GuardedProcess(command, stdin=stdin, output=output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def is_over(self) -> bool:
        """Whether every call was answered or given up."""
        return self._process.wait(0) is not None

    def answers(self) -> list[Mapping[str, Any]]:
        """Return the answers so far. Other lines that it printed stay in the file."""
        lines = self._answers.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _line(call: Call) -> str:
    pause_s = round(1 / _PER_SECOND[call.way], 4)
    after = {"gives_back": call.gives_back} if call.gives_back else {"after_s": pause_s}
    said = {"task": call.task, "kwargs": dict(call.kwargs)} if call.way is Way.QUEUE else _body(call)
    return json.dumps({"id": call.call_id, **said, **after})


def _body(call: Call) -> dict[str, Any]:
    """Return what is sent over HTTP, where the token tells the producer and the service chooses the ids."""
    return {name: given for name, given in call.kwargs.items() if name != "producer"}
