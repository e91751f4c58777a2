"""A producer, as any application can be one: it knows Celery, the names of the tasks, and its own orders.

Reads calls from standard input, one JSON object a line, such as
{"id": "…", "task": "orders.submit", "kwargs": {…}, "after_s": 0.1},
and prints how each was answered, one JSON object a line. With "gives_back": ["…"] the order names the numbers that
those orders brought, and is sent as soon as they have ended. A call without an answer is sent again, with the same id
and the same key. That is all a producer does to be certain: the same key is the same order, however often it comes.

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
    """A call that gives numbers back, and waits for the orders that bring them."""

    def __init__(self, call: dict[str, Any]) -> None:
        self.call = call
        self.missing = list(call["gives_back"])
        self.numbers: list[str] = []
        self.asked: Any = None

    def is_ready(self) -> bool:
        """Ask for one order after the other until all have ended; then the call knows its numbers."""
        if self.missing and self.asked is None:
            self.asked = app.send_task("orders.get", args=[self.missing[0]], queue="orders")
            self.asked_at = time.monotonic()
        if self.missing and self.asked.ready():
            self.hear()
        elif self.missing and time.monotonic() - self.asked_at > AGAIN_AFTER_S:
            self.asked = None  # the question or its answer was lost; questions may be put again
        if self.missing:
            return False
        self.call["kwargs"]["order"]["numbers"] = self.numbers
        return True

    def hear(self) -> None:
        """Take the numbers of an order that has ended; of one that has not, or is not there yet, ask again."""
        document = self.asked.get(timeout=5, propagate=False)
        if isinstance(document, dict) and document["final"]:
            self.numbers += [n["e164"] for n in document["numbers"] if n["state"] in ("acquired", "usable")]
            self.missing.pop(0)
            self.asked = None
        elif time.monotonic() - self.asked_at > ASK_EVERY_S:
            self.asked = None


class Sent:
    """A call that is on its way."""

    def __init__(self, call: dict[str, Any]) -> None:
        self.call = call
        self.times = 0
        self.began = time.monotonic()
        self.send()

    def send(self) -> None:
        """Put it on the queue, for the first time or again."""
        call = self.call
        self.result = app.send_task(call["task"], kwargs=call["kwargs"], task_id=call["id"], queue="orders")
        self.sent_at = time.monotonic()
        self.times += 1

    def is_over(self) -> bool:
        """Tell whether it was answered, or will not be; send it again when it is time to."""
        now = time.monotonic()
        if self.result.ready() or now - self.began > GIVEN_UP_AFTER_S:
            return True
        if now - self.sent_at > AGAIN_AFTER_S * 2 ** (self.times - 1):  # no answer may also mean: very busy
            self.send()
        return False

    def outcome(self) -> dict[str, Any]:
        """Return what came of it."""
        said = {"id": self.call["id"], "task": self.call["task"], "sent": self.times}
        if not self.result.ready():
            return {**said, "silent": True}
        try:
            return {**said, "answer": self.result.get(timeout=5)}
        except ValueError as refused:  # it breaks a rule; sending it again would change nothing
            return {**said, "refused": str(refused)}


def main() -> int:
    """Send every call, then see to it that every one is answered; 1 if one was not."""
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
