"""Says in words how an order's producer was notified: which documents it has, which it has not, and why.

Pure: reads only the story.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from number_orders.ledger.history import Story
from number_orders.orders.model import Lane
from number_orders.story import times

Message = Mapping[str, Any]


def notification_sentences(story: Story) -> Iterator[str]:
    """Say whether the producer was notified, by task and by URL."""
    notify = story.order.request.notify
    if notify is None:
        return
    yield from _by_task(story)
    if notify.url:
        yield from _by_url(story, notify.url, messages_by(story, "url"))


def messages_by(story: Story, channel: str) -> list[Message]:
    """Return the documents that go one way, the oldest first."""
    return [message for message in story.messages if message["channel"] == channel]


def undelivered(messages: Sequence[Message]) -> list[Message]:
    """Return the documents that are still wanted: none before one that was delivered, as each is the whole order."""
    delivered = max((message["version"] for message in messages if message["told_at"]), default=-1)
    return [message for message in messages if not message["told_at"] and message["version"] > delivered]


def outcome(story: Story, message: Message) -> str:
    """Say what became of one document."""
    if message["told_at"]:
        return f"delivered {times.when(message['told_at'], story.now)}"
    if message["gave_up_at"]:
        return f"given up {times.when(message['gave_up_at'], story.now)}"
    if message["in_hand"]:
        return "a worker is sending it now"
    return f"next attempt {times.both(message['next_at'], story.now)}" if message["next_at"] else "waits"


def _by_task(story: Story) -> Iterator[str]:
    notify = story.order.request.notify
    work_item = next((item for item in story.work_items if item.lane is Lane.TELL), None)
    if work_item is not None and not (notify and notify.url and not notify.task):
        trouble = f": {work_item.reason}" if work_item.reason else ""
        yield f"Its producer is still to be notified ({times.both(work_item.not_before, story.now)}){trouble}."
    elif notify and notify.task and story.order.state in notify.on:
        yield f"Its producer was notified: task {notify.task} on queue {notify.queue}."


def _by_url(story: Story, url: str, messages: Sequence[Message]) -> Iterator[str]:
    missing = undelivered(messages)
    for message in missing:
        if message["gave_up_at"]:
            what = f"Its document of {message['state']} was not delivered to {url}"
            yield f"{what}, and is not tried any more{_why(message)}."
            yield f"`number-orders retry {story.order.order_id} --lane tell` sends it again."
        elif message["tries"]:
            yield f"Its document of {message['state']} could not be delivered to {url} so far{_why(message)}."
            yield f"{outcome(story, message).capitalize()}."
    waiting = [message["state"] for message in missing if not message["tries"]]
    if waiting:
        behind = " once the one before is delivered" if len(waiting) < len(missing) else ""
        yield f"Still to be sent to {url}{behind}: {', '.join(waiting)}."
    if messages and not missing:
        last = messages[-1]
        yield f"Its producer was notified of {last['state']} at {url} {times.when(last['told_at'], story.now)}."


def _why(message: Message) -> str:
    tries = "1 attempt" if message["tries"] == 1 else f"{message['tries']} attempts"
    return f" ({tries}; the last: {message['trouble']})"
