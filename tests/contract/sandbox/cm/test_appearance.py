"""Number requests at the sandbox CM.com whose status and ranges do not show at once how they go."""

from tests.contract.sandbox.cm.client import CmClient


def seen(cm: CmClient, guid: str, step_s: float, looks: int) -> list[tuple[str, int]]:
    """Return the status and the count of shown ranges at each look."""
    said = []
    for _ in range(looks):
        said.append((cm.status(guid), len(cm.starts(guid))))
        cm.control.advance(step_s)
    return said


def test_ranges_are_shown_after_the_end_each_at_its_own_time(cm: CmClient) -> None:
    cm.control.behave(number_lag_s=[0, 100])
    guid = cm.place(areaCode="010", quantity=6)

    said = seen(cm, guid, 10, 11)

    counts = [count for _, count in said]
    assert {status for status, _ in said} == {"COMPLETED"}
    assert (counts, counts[0] < 6, counts[-1]) == (sorted(counts), True, 6)
    assert len(cm.reported(guid)["bought"]) == 6


def test_ranges_are_revised_at_the_end(cm: CmClient) -> None:
    cm.control.behave(cm_revises=1, cm_review_s=100)
    guids = [cm.place(areaCode="010", quantity=3, comment=f"ref=o-{number}") for number in range(12)]
    cm.control.advance(50)
    during = [cm.starts(guid) for guid in guids]
    cm.control.advance(60)

    ends = [cm.starts(guid) for guid in guids]
    for guid, before, after in zip(guids, during, ends, strict=True):
        (lost,) = set(before) - set(after)
        assert cm.reported(guid)["withdrawn"] == [lost]
        assert cm.reported(guid)["bought"] == after
    assert {len(after) for after in ends} == {2, 3}  # one is missing, or has another in its place


def test_status_flips_and_an_end_is_taken_back(cm: CmClient) -> None:
    cm.control.behave(flips=3, flip_s=100, cm_review_s=100)
    stories = [
        seen(cm, cm.place(areaCode="010", quantity=2, comment=f"ref=o-{number}"), 50, 14) for number in range(12)
    ]

    assert all(story[-1] == ("COMPLETED", 2) for story in stories)
    assert any(("COMPLETED", 1) in story for story in stories)
    assert any(story.index(("IN_PROGRESS", 0)) < len(story) - 1 - story[::-1].index(("NEW", 0)) for story in stories)


def test_pages_are_shorter_than_asked_for(cm: CmClient) -> None:
    cm.control.behave(list_page_max=2)
    for _ in range(3):
        cm.place()

    first, second = cm.get("/numberRequests", take=100), cm.get("/numberRequests", take=100, skip=2)
    assert (len(first.json()), len(second.json()), first.headers["x-cm-pagination-total"]) == (2, 1, "3")
