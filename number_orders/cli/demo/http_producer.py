"""An example producer over HTTP: it knows the orders API's address, its own token, and its own orders.

It reads calls from standard input, one JSON object a line, such as {"id": "…", "order": {…}, "after_s": 0.1}; "orders"
is a list of several. It prints the answer to each, one JSON object a line. A call without an answer is sent again. That
is safe: the same key is the same order.

    URL=http://127.0.0.1:8080 TOKEN=no_… python http_producer.py < calls.jsonl
"""

import json
import os
import sys
import time
from typing import Any

from number_orders_client import Client, NoTicket, OrderRefused

AGAIN_AFTER_S = 1.0
GIVEN_UP_AFTER_S = 90.0


def answer(client: Client, call: dict[str, Any]) -> dict[str, Any]:
    """Send a call until it is answered, and return the answer, the refusal, or that there was none."""
    until = time.monotonic() + GIVEN_UP_AFTER_S
    said = {"id": call["id"], "sent": 0}
    while time.monotonic() < until:
        said["sent"] += 1
        try:
            if "order" in call:
                return {**said, "answer": client.submit(call["order"]).model_dump(mode="json")}
            submitted = client.submit_many(call["orders"])
        except OrderRefused as refused:  # the order breaks a rule; sending it again would not help
            return {**said, "refused": str(refused)}
        except NoTicket:
            time.sleep(AGAIN_AFTER_S)
        else:
            return {
                **said,
                "answer": {
                    "tickets": [ticket.model_dump(mode="json") for ticket in submitted.tickets],
                    "refused": [refusal.model_dump(mode="json") for refusal in submitted.refused],
                },
            }
    return {**said, "silent": True}


def main() -> int:
    """Send every call; return 1 if one was never answered."""
    silent = 0
    with Client(os.environ["URL"], token=os.environ["TOKEN"]) as client:
        for line in sys.stdin:
            call = json.loads(line)
            time.sleep(call.get("after_s", 0))
            outcome = answer(client, call)
            silent += "silent" in outcome
            print(json.dumps(outcome), flush=True)  # noqa: T201  the product of this script
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
