"""Runs the demo's producer as a separate process, and reads its answers."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from number_orders.cli.demo.orders import Call
from number_orders.embedded.guarded import Command, GuardedProcess

_PER_SECOND: Final = 30.0

SCRIPT: Final = Path(__file__).with_name("producer.py")
"""Started by path and never imported, because a producer knows nothing of this code."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the producer, call by call."""

    answered: Sequence[Mapping[str, Any]]

    def tickets(self) -> dict[str, set[str]]:
        """Return the order ids that each key got a ticket for; exactly one, if all is right."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for ticket in self._tickets():
            found[ticket["key"]].add(ticket["order_id"])
        return found

    def refused(self) -> int:
        """Return how many orders were refused, singly or within a batch."""
        return sum("refused" in one or len(one.get("answer", {}).get("refused", ())) for one in self.answered)

    def recognised(self) -> int:
        """Return how many calls were answered with an existing order instead of one with the call's id."""
        placed = [one for one in self.answered if one.get("answer", {}).get("order_id")]
        return sum(one["answer"]["order_id"] != one["id"] for one in placed)

    def silent(self) -> int:
        """Return how many calls were never answered."""
        return sum("silent" in one for one in self.answered)

    def sent_again(self) -> int:
        """Return how often a call was sent again because its answer was missing."""
        return sum(one["sent"] - 1 for one in self.answered)

    def _tickets(self) -> Iterator[Mapping[str, Any]]:
        for one in self.answered:
            answer = one.get("answer", {})
            yield from answer.get("tickets", ())
            if "order_id" in answer:
                yield answer


class ProducerProcess:
    """Runs `producer.py` with nothing but the broker's address in its environment."""

    def __init__(self, calls: Sequence[Call], broker_url: str, directory: Path) -> None:
        self._answers = directory / "answers.jsonl"
        calls_file = directory / "calls.jsonl"
        calls_file.write_text("".join(f"{_line(call)}\n" for call in calls), encoding="utf-8")
        command = Command(
            argv=[sys.executable, "-P", str(SCRIPT)],
            stop_signals=(("TERM", 2.0),),
            env={"BROKER_URL": broker_url, "PATH": os.environ.get("PATH", os.defpath)},
        )
        with calls_file.open("rb") as stdin, self._answers.open("wb") as output:
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

    def answers(self) -> Answers:
        """Return the answers so far. Other lines that it printed stay in the file."""
        lines = self._answers.read_text(encoding="utf-8").splitlines()
        return Answers([json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")])


def _line(call: Call) -> str:
    pause_s = round(1 / _PER_SECOND, 4)
    after = {"gives_back": call.gives_back} if call.gives_back else {"after_s": pause_s}
    return json.dumps({"id": call.call_id, "task": call.task, "kwargs": dict(call.kwargs), **after})
