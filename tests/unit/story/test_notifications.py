"""What a person reads about documents for a producer's URL."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from number_orders.ledger.history import Story
from number_orders.orders.events import CancelAsked
from number_orders.orders.model import FINAL_STATES, Notify, State
from number_orders.story.advice import advice
from number_orders.story.notifications import notification_sentences, outcome
from tests.unit.story.stories import ORDER_ID, story_of

URL: Final = "https://crm.example/hooks"


def message(version: int, state: str = "CANCELLED", **facts: Any) -> dict[str, Any]:
    """Return one document for a URL, not sent yet."""
    unsent = dict.fromkeys(("told_at", "trouble", "tried_since", "gave_up_at", "next_at"))
    return {"version": version, "channel": "url", "state": state, "tries": 0, "in_hand": False, **unsent, **facts}


def a_story(*messages: dict[str, Any], task: str | None = None) -> Story:
    """Return the story of a cancelled order, of which nothing is owed."""
    notify = Notify(task=task, queue=task, url=URL, on=FINAL_STATES | {State.ACCEPTED})
    story = story_of(CancelAsked("kim"), request={"notify": notify})
    return replace(story, messages=messages, work_items=())


NOW: Final = a_story().now
EARLIER: Final = NOW - timedelta(minutes=5)
LATER: Final = NOW + timedelta(minutes=5)


def said(*messages: dict[str, Any], task: str | None = None) -> str:
    return " ".join(notification_sentences(a_story(*messages, task=task)))


def test_delivered_document_names_url_and_time() -> None:
    assert said(message(1, told_at=EARLIER, tries=1)) == f"Its producer was notified of CANCELLED at {URL} 5 min ago."


def test_failed_document_names_the_reason_and_the_next_attempt() -> None:
    text = said(message(1, tries=3, trouble="HTTP 500", next_at=LATER))
    assert f"could not be delivered to {URL} so far (3 attempts; the last: HTTP 500)" in text
    assert "Next attempt" in text
    assert "in 5 min" in text


def test_documents_behind_a_failed_one_wait() -> None:
    text = said(message(0, "ACCEPTED", tries=1, trouble="HTTP 500", next_at=LATER), message(1))
    assert "Its document of ACCEPTED could not be delivered" in text
    assert f"Still to be sent to {URL} once the one before is delivered: CANCELLED." in text


def test_given_up_document_names_the_command() -> None:
    text = said(message(1, tries=20, trouble="HTTP 410: the URL is no longer used", gave_up_at=EARLIER))
    assert "not tried any more (20 attempts; the last: HTTP 410: the URL is no longer used)" in text
    assert f"`number-orders retry {ORDER_ID} --lane tell`" in text


def test_given_up_document_before_a_delivered_one_is_not_mentioned() -> None:
    """The later one is the whole order."""
    given_up = message(0, "ACCEPTED", tries=20, trouble="HTTP 410", gave_up_at=EARLIER)
    assert said(given_up, message(1, told_at=EARLIER, tries=1)).startswith("Its producer was notified of CANCELLED")


def test_task_and_url_are_both_named() -> None:
    text = said(message(1, told_at=EARLIER, tries=1), task="crm.hear")
    assert "task crm.hear on queue crm.hear" in text
    assert URL in text


def test_undelivered_document_brings_the_command_to_send_it() -> None:
    undelivered = a_story(message(1, tries=20, trouble="HTTP 410", gave_up_at=EARLIER))
    assert [each.command for each in advice(undelivered)] == [f"number-orders retry {ORDER_ID} --lane tell"]
    assert "URL works again" in advice(undelivered)[0].when


def test_outcome_of_each_document() -> None:
    story = a_story()
    assert outcome(story, message(1, told_at=EARLIER)) == "delivered 5 min ago"
    assert outcome(story, message(1, gave_up_at=EARLIER)) == "given up 5 min ago"
    assert outcome(story, message(1, in_hand=True, next_at=LATER)) == "a worker is sending it now"
    assert outcome(story, message(1, next_at=LATER)).startswith("next attempt")
    assert outcome(story, message(1)) == "waits"
