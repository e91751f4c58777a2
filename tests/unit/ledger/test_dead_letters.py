"""A dead letter can be stored, whatever the message held."""

import json

from number_orders.ledger.dead_letters import DeadLetter


def test_what_postgresql_cannot_store_is_replaced() -> None:
    """NULs and half surrogate pairs, in every text."""
    letter = DeadLetter.of(queue="a\x00b", why="\ud800", task_id="1\x00", headers={}, body=b"\x00")

    assert (letter.queue, letter.why, letter.task_id, letter.body) == ("a\ufffdb", "?", "1\ufffd", b"\x00")


def test_long_parts_are_cut_and_the_size_is_that_of_the_whole_body() -> None:
    letter = DeadLetter.of(queue="q", why="w" * 2000, task_id="i" * 300, headers={}, body=b"b" * 100_000)

    assert (len(letter.why), len(letter.task_id or ""), len(letter.body), letter.size) == (1000, 200, 65536, 100_000)


def test_headers_that_jsonb_cannot_hold_are_kept_as_text() -> None:
    """All other headers are kept unchanged."""
    for headers in ({"x": "\x00"}, {"x": "\ud800"}, {"x": float("nan")}, {1: {("a",): 2}}):
        letter = DeadLetter.of(queue="q", why="w", task_id=None, headers=headers, body=b"")  # type: ignore[arg-type]
        assert list(letter.headers) == ["unreadable"]
        assert "\x00" not in json.dumps(letter.headers, ensure_ascii=False)

    good = {"task": "orders.submit", "stamps": {"a": [1, None]}}
    assert DeadLetter.of(queue="q", why="w", task_id=[], headers=good, body=b"").headers == good


def test_a_message_without_an_id_has_no_task_id() -> None:
    assert DeadLetter.of(queue="q", why="w", task_id=None, headers={}, body=b"").task_id is None
