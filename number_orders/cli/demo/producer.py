"""An example producer: it knows Celery, the task names, and its own orders.

It reads calls from standard input, one JSON object a line, such as
{"id": "…", "task": "orders.submit", "kwargs": {…}, "after_s": 0.1},
and prints the answer to each, one JSON object a line. A call with "gives_back": ["…"] removes the numbers of those
orders, and is sent when they have ended. A call without an answer is sent again with the same id and key. Nothing else
is needed: the same key is the same order, however often it is sent.

    BROKER_URL=redis://… python producer.py < calls.jsonl
"""

import json
import os
import sys
import time
from typing import Any

from celery import Celery

AGAIN_AFTER_S = 5.0
GIVEN_UP_AFTER_S = 90.0
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 1.0

app = Celery(broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])


class Waiting:
    """A call that removes the numbers of orders, and waits until these have ended."""

    def __init__(self, call: dict[str, Any]) -> None:
        self.call = call
        self.missing = list(call["gives_back"])
        self.numbers: list[str] = []
        self.asked: Any = None

    def is_ready(self) -> bool:
        """Ask for one order after the other until all have ended; then put their numbers into the call."""
        if self.missing and self.asked is None:
            self.asked = app.send_task("orders.get", args=[self.missing[0]], queue="orders")
            self.asked_at = time.monotonic()
        if self.missing and self.asked.ready():
            self.hear()
        elif self.missing and time.monotonic() - self.asked_at > AGAIN_AFTER_S:
            self.asked = None  # the question or its answer was lost; asking again is safe
        if self.missing:
            return False
        self.call["kwargs"]["order"]["numbers"] = self.numbers
        return True

    def hear(self) -> None:
        """Take the numbers of an order that has ended; ask again about one that has not, or that is not stored yet."""
        document = self.asked.get(timeout=5, propagate=False)
        if isinstance(document, dict) and document["final"]:
            self.numbers += [n["e164"] for n in document["numbers"] if n["state"] in ("acquired", "usable")]
            self.missing.pop(0)
            self.asked = None
        elif time.monotonic() - self.asked_at > ASK_EVERY_S:
            self.asked = None


class Sent:
    """A call that was sent and has no answer yet."""

    def __init__(self, call: dict[str, Any]) -> None:
        self.call = call
        self.times = 0
        self.began = time.monotonic()
        self.send()

    def send(self) -> None:
        """Put the call on the queue, for the first time or again."""
        call = self.call
        self.result = app.send_task(call["task"], kwargs=call["kwargs"], task_id=call["id"], queue="orders")
        self.sent_at = time.monotonic()
        self.times += 1

    def is_over(self) -> bool:
        """Tell whether the call was answered or given up; send it again when its answer is overdue."""
        now = time.monotonic()
        if self.result.ready() or now - self.began > GIVEN_UP_AFTER_S:
            return True
        if now - self.sent_at > AGAIN_AFTER_S * 2 ** (
            self.times - 1
        ):  # no answer may also mean that the workers are busy
            self.send()
        return False

    def outcome(self) -> dict[str, Any]:
        """Return the answer, the refusal, or that there was none."""
        said = {"id": self.call["id"], "task": self.call["task"], "sent": self.times}
        if not self.result.ready():
            return {**said, "silent": True}
        try:
            return {**said, "answer": self.result.get(timeout=5)}
        except ValueError as refused:  # the order breaks a rule; sending it again would not help
            return {**said, "refused": str(refused)}


def main() -> int:
    """Send every call and wait for the answers; return 1 if one was never answered."""
    pending, waiting = [], []
    for line in sys.stdin:
        call = json.loads(line)
        if "gives_back" in call:
            waiting.append(Waiting(call))
            continue
        time.sleep(call.get("after_s", 0))
        pending.append(Sent(call))
    silent = 0
    while pending or waiting:
        time.sleep(LOOK_EVERY_S)
        ready = [one for one in waiting if one.is_ready()]
        waiting = [one for one in waiting if one not in ready]
        pending += [Sent(one.call) for one in ready]
        over = [sent for sent in pending if sent.is_over()]
        for sent in over:
            outcome = sent.outcome()
            silent += "silent" in outcome
            print(json.dumps(outcome), flush=True)  # noqa: T201  the product of this script
        pending = [sent for sent in pending if sent not in over]
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
