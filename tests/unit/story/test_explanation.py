"""The explanation of an order is true of its state, complete, and claims no more than is known."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.cancellation import Cancellation
from number_orders.ledger.history import Story
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.ledger.schedule import ListWait
from number_orders.orders.errors import IllegalTransition
from number_orders.orders.events import (
    Acknowledged,
    Adopted,
    AnswerLost,
    CalledBack,
    CancelAsked,
    CutShort,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    LookedAgain,
    NotListed,
    NotSent,
    NumbersAdopted,
    NumbersGivenUp,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    SentAgain,
    StillOpen,
    SubmissionBegun,
    WrittenOff,
)
from number_orders.orders.model import (
    FINAL_STATES,
    CarrierOrderId,
    Kind,
    Lane,
    Notify,
    NumberResult,
    NumberState,
    State,
)
from number_orders.orders.numbers import E164
from number_orders.story import explanation
from tests.unit.story.stories import NOON, ORDER_ID, STEP, story_of

THEIRS = CarrierOrderId("6a1bde32")
ACK = Acknowledged(THEIRS, "RECEIVED")
GOT = tuple(NumberResult(E164(f"+1919555010{i}"), NumberState.ACQUIRED) for i in range(2))
LOST = NumberResult(E164("+19195550109"), NumberState.FAILED, "5005", "is not available")
FREED = NumberResult(E164("+19195550100"), NumberState.RELEASED)
GONE = NumberResult(E164("+19195550100"), NumberState.WITHDRAWN)
LIST = "the list of orders by our reference"
RESOLVE = f"number-orders resolve {ORDER_ID}"


def explain(story: Story, cancellation: Cancellation = Cancellation.UNKNOWN) -> list[str]:
    """Return the explanation without its first sentence, which says whose order it is."""
    whose, *sentences = explanation.explain(story, cancellation)
    assert whose.endswith(f"{'of' if 'an order' in whose else 'for'} crm, under the key crm-1.")
    return sentences


def text_of(story: Story) -> str:
    return " ".join(explain(story))


class TestAccepted:
    def test_that_is_due_waits_for_the_next_free_worker(self) -> None:
        assert explain(story_of(later=timedelta(seconds=3))) == [
            "It was accepted 3.0 s ago, and nothing has been sent to bandwidth.",
            "It is due now: the next free worker sends it to bandwidth.",
            f"Until it is sent, it can be cancelled: `number-orders cancel {ORDER_ID}`.",
        ]

    def test_that_no_worker_claimed_points_to_the_doctor(self) -> None:
        assert "due for 5 min and no worker has taken it: `number-orders doctor`" in text_of(
            story_of(later=timedelta(minutes=5))
        )

    def test_that_is_scheduled_says_by_whom_and_until_when(self) -> None:
        story = story_of(request={"not_before": NOON + timedelta(hours=2)})

        assert "Its producer asked for it to be sent later." in explain(story)
        assert "Next, a worker sends it to bandwidth at 14:00:00 UTC, in 2 h." in explain(story)

    def test_that_a_rule_holds_back_says_which_and_for_every_number_until_when(self) -> None:
        waits = NumberResult(GOT[0].e164, NumberState.REQUESTED, "TAINTED", "tainted until 12:31:00 UTC")
        until = NOON + timedelta(minutes=31)
        story = story_of(SubmissionBegun(), Deferred("its numbers are tainted", until, (waits,)))

        assert "A rule of bandwidth holds it back: its numbers are tainted." in explain(story)
        assert "+19195550100: tainted until 12:31:00 UTC." in explain(story)
        assert any("12:31:00 UTC" in sentence and "a worker sends it" in sentence for sentence in explain(story))

    def test_of_which_a_part_is_done_says_so(self) -> None:
        part = PartSettled("COMPLETED", (FREED,), "the other is tainted", NOON + timedelta(minutes=31), {"numbers": []})
        story = story_of(ACK, part, request={"kind": Kind.REMOVE_NUMBERS})

        assert "1 of 3 numbers are released; the rest goes later: the other is tainted." in explain(story)

    def test_that_waits_for_a_serial_lock_says_for_which_order(self) -> None:
        story = story_of(work_item={"reason": "waits for order 7", "not_before": NOON + timedelta(minutes=1)})

        assert "It waits for order 7." in explain(story)

    def test_that_waits_for_a_list_says_for_which_and_how_far_it_is_read(self) -> None:
        """What the attempt met is no failure, and nothing was sent."""
        waits = {"waits_for_list": ListWait("/dids", 7, None), "not_before": NOON + timedelta(hours=1)}
        story = story_of(SubmissionBegun(), NotSent("waits until /dids is read whole"), work_item=waits)

        assert "It was begun 0.0 s ago, and has not been sent yet." in explain(story)
        assert "It waits until bandwidth's list /dids is read whole, once for all orders that wait." in explain(story)
        assert "Pages read so far: 7." in explain(story)
        assert "It goes on when the last one is read, or at 13:00:00 UTC, in 59 min 40 s." in explain(story)
        assert "failed" not in text_of(story)

    def test_beyond_a_limit_says_why_and_when_it_goes_on(self) -> None:
        until = NOON + timedelta(minutes=7)
        story = story_of(work_item={"holds": (Hold(HeldBy.LIMIT, "HTTP 429", until=until, limit_group="ORDER"),)})

        assert "bandwidth wants no ORDER requests until 12:07:00 UTC, in 7 min: HTTP 429." in explain(story)
        assert "Next, a worker sends it to bandwidth at 12:07:00 UTC, in 7 min." in explain(story)

    def test_on_a_paused_lane_says_who_paused_it_and_how_to_resume(self) -> None:
        story = story_of(work_item={"holds": (Hold(HeldBy.PERSON, "stock-taking", since=NOON, who="ana"),)})

        assert "ana paused bandwidth's lane submit 0.0 s ago: stock-taking." in explain(story)
        assert "Nothing happens there until somebody types `number-orders resume bandwidth submit`." in explain(story)
        assert "next free worker" not in text_of(story)

    def test_with_an_open_circuit_breaker_says_until_when_nothing_is_sent(self) -> None:
        hold = Hold(HeldBy.BREAKER, "HTTP 503", since=NOON, until=NOON + timedelta(minutes=2))

        sentences = explain(story_of(work_item={"holds": (hold,)}))
        assert "bandwidth could not be reached several times in a row: HTTP 503." in sentences
        assert "Nothing is sent there until 12:02:00 UTC, in 2 min." in sentences
        later = story_of(work_item={"holds": (hold,)}, later=timedelta(minutes=3))
        assert any("One order tries; the others wait for its answer." in each for each in explain(later))

    def test_that_is_claimed_says_so_and_what_if_the_worker_dies(self) -> None:
        story = story_of(work_item={"in_hand": True, "not_before": NOON + timedelta(seconds=30)})

        lease = "A worker is working on it now; if that worker dies, another takes over at 12:00:30 UTC, in 30 s."
        assert lease in explain(story)
        assert "next free worker" not in text_of(story)

    def test_whose_lease_has_ended_is_due_for_any_worker(self) -> None:
        story = story_of(work_item={"in_hand": True}, later=timedelta(seconds=5))

        assert "It is due now: the next free worker sends it to bandwidth." in explain(story)

    def test_after_a_failed_attempt_says_why_and_that_sending_again_is_safe(self) -> None:
        story = story_of(SubmissionBegun(), NotSent("HTTP 401: the credentials were not accepted"))

        assert explain(story)[:2] == [
            "The last attempt to send it failed 0.0 s ago: HTTP 401: the credentials were not accepted.",
            "Nothing was bought, so it is safe to send it again.",
        ]

    def test_proven_absent_says_where_it_was_searched_for(self) -> None:
        story = story_of(SubmissionBegun(), AnswerLost("reset"), ProvenAbsent(LIST))

        assert f"It was searched for at bandwidth ({LIST}) and never arrived there." in explain(story)

    def test_that_a_person_sends_again_says_who_and_why(self) -> None:
        story = story_of(
            SubmissionBegun(), AnswerLost("reset"), Parked("lost thrice"), SentAgain("kim", "not in the portal")
        )

        assert explain(story)[0] == (
            "kim made sure that nothing was bought and wants it sent again: not in the portal."
        )

    def test_without_scheduled_work_is_a_bug_and_says_so(self) -> None:
        story = story_of()
        forgotten = Story(story.now, "crm", story.order, (), (), story.events)

        assert "this is a bug" in text_of(forgotten)


class TestSubmitting:
    def test_says_when_it_will_be_in_doubt(self) -> None:
        story = story_of(SubmissionBegun(), later=timedelta(seconds=5))

        assert explain(story) == [
            "A worker began to send it 5.0 s ago (attempt 1) and has no answer yet.",
            (
                "If there is none by 12:00:55 UTC, in 40 s, it is in doubt: bandwidth is asked, and nothing is sent "
                "again before that."
            ),
            "It cannot be cancelled now, because bandwidth may have it.",
        ]

    def test_whose_worker_is_gone_is_asked_about(self) -> None:
        assert "next free worker asks bandwidth" in text_of(story_of(SubmissionBegun(), later=timedelta(seconds=46)))


class TestInDoubt:
    def test_says_what_is_unknown_that_it_is_not_resent_and_when_it_is_asked(self) -> None:
        story = story_of(SubmissionBegun(), AnswerLost("no answer within 30 s"), later=timedelta(seconds=1))
        sentences = explain(story)

        assert sentences[0] == "Nobody knows whether bandwidth has it: no answer within 30 s (1.0 s ago)."
        assert "not sent again before bandwidth's records are searched" in sentences[1]
        assert "Next, a worker asks bandwidth about it at 12:00:25 UTC, in 4.0 s." in sentences
        assert str(ORDER_ID) in sentences[-1]
        assert "Searched" not in text_of(story)

    def test_counts_the_searches_since_the_answer_was_lost(self) -> None:
        story = story_of(SubmissionBegun(), AnswerLost("reset"), NotListed(LIST), NotListed(LIST))

        assert f"Searched 2 times so far ({LIST}): not on record, which proves little so soon." in explain(story)

    def test_begun_by_two_workers_says_so(self) -> None:
        assert "two workers began to send it" in text_of(story_of(SubmissionBegun(), SubmissionBegun()))

    def test_says_how_often_it_was_asked_about_without_news(self) -> None:
        story = story_of(SubmissionBegun(), AnswerLost("reset"), work_item={"attempts": 4, "reason": "HTTP 503"})

        assert "Asked 4 times without news (HTTP 503)." in explain(story)


class TestOpen:
    def test_says_the_carriers_status_the_numbers_and_when_it_is_asked_next(self) -> None:
        story = story_of(SubmissionBegun(), ACK, StillOpen("PROCESSING", GOT))

        assert explain(story) == [
            "bandwidth has it as order 6a1bde32; the last status was PROCESSING.",
            "2 of 3 numbers are there already.",
            "Next, a worker asks bandwidth about it at 12:00:33 UTC, in 3.1 s.",
            "You need not do anything: bandwidth is asked until it says how the order ended.",
        ]

    @pytest.mark.parametrize(
        ("cancellation", "says"),
        [
            (Cancellation.OFFERED, f"bandwidth can be asked to cancel it: `number-orders cancel {ORDER_ID}`."),
            (Cancellation.ONCE_BACKORDERED, "bandwidth cancels only what is backordered"),
            (Cancellation.NONE, "bandwidth cannot cancel it."),
        ],
    )
    def test_offers_only_the_cancellation_that_the_carrier_carries_out(
        self, cancellation: Cancellation, says: str
    ) -> None:
        last = explain(story_of(SubmissionBegun(), ACK), cancellation)[-1]

        assert last.startswith(says)
        assert ("number-orders cancel" in last) == (cancellation is not Cancellation.NONE)

    def test_on_backorder_takes_days(self) -> None:
        story = story_of(SubmissionBegun(), ACK, StillOpen("BACKORDERED", detail="awaiting stock", slow=True))

        assert "It waits for stock or for people at bandwidth, which takes days rather than seconds." in explain(story)
        assert "bandwidth says: awaiting stock." in explain(story)

    def test_with_an_unknown_status_counts_as_open(self) -> None:
        story = story_of(SubmissionBegun(), ACK, StillOpen("AWAITING_STARLIGHT", unheard_of=True))

        assert "in none of the carrier's documents" in text_of(story)


class TestParked:
    def test_says_why_what_is_known_and_what_a_person_may_do(self) -> None:
        story = story_of(
            SubmissionBegun(),
            AnswerLost("reset"),
            FoundTwice((THEIRS, CarrierOrderId("77aa"))),
            later=timedelta(hours=2),
        )

        assert explain(story) == [
            (
                "It was parked 2 h ago for a person to decide: the carrier has 2 orders with our reference: "
                "6a1bde32, 77aa; the first is adopted."
            ),
            "Nothing is sent for it, and nothing asked, until a person decides.",
            "It was sent once; answers lost: 1.",
            "We know it at bandwidth as order 6a1bde32.",
            f"Look at bandwidth for orders with our reference {ORDER_ID}, and for what they bought.",
            "Then decide with `number-orders resolve`.",
        ]

    def test_never_sent_mentions_no_sending(self) -> None:
        assert "It was sent" not in text_of(
            story_of(Parked("the order could not be written in the carrier's language"))
        )

    def test_mentions_late_news(self) -> None:
        story = story_of(SubmissionBegun(), Parked("lost thrice"), Filled("COMPLETED", GOT), later=timedelta(seconds=4))

        assert explain(story)[-1] == "News from bandwidth came 4.0 s ago, too late to change anything."


class TestEnds:
    def test_completed_says_how_long_it_took(self) -> None:
        story = story_of(SubmissionBegun(), ACK, Filled("COMPLETED", GOT), later=timedelta(minutes=1))

        assert explain(story) == [
            "All 3 numbers are there: bandwidth completed the order 30 s after it was accepted, 1 min ago."
        ]

    def test_partial_says_how_many_why_and_what_to_do_for_the_rest(self) -> None:
        story = story_of(SubmissionBegun(), ACK, PartlyFilled("PARTIAL", (*GOT, LOST), "1 number could not be had"))

        assert explain(story) == [
            "bandwidth ended it with 2 of 3 numbers there: 1 number could not be had.",
            "Numbers that failed: 1 with 5005 is not available.",
            "It ended 30 s after it was accepted, 0.0 s ago. For the rest, submit a new order with a new key.",
        ]

    def test_partial_says_no_number_and_no_reason_twice(self) -> None:
        reason = "2 of 3 numbers came: is not available"
        story = story_of(SubmissionBegun(), ACK, PartlyFilled("PARTIAL", (*GOT, LOST), reason))

        assert explain(story)[:2] == [
            f"bandwidth ended it: {reason}.",
            "It ended 30 s after it was accepted, 0.0 s ago. For the rest, submit a new order with a new key.",
        ]

    def test_failed_names_the_reason_of_its_numbers_once(self) -> None:
        story = story_of(SubmissionBegun(), Refused("is not available", "5005", "FAILED", (LOST,)))

        assert text_of(story).count("is not available") == 1

    def test_completed_with_errors_says_what_contradicts_it(self) -> None:
        story = story_of(SubmissionBegun(), ACK, FilledWithErrors("COMPLETE", GOT, "the carrier lists 2 of 3 numbers"))

        assert explain(story)[:2] == [
            "bandwidth says that it is done, but: the carrier lists 2 of 3 numbers.",
            "2 of 3 numbers are there.",
        ]

    def test_failed_says_the_carriers_reason_and_code(self) -> None:
        sentences = explain(story_of(SubmissionBegun(), Refused("no numbers left", "5023")))

        assert sentences[0] == "bandwidth refused it: no numbers left (code 5023)."
        assert sentences[1].startswith("Nothing was bought. It ended ")

    def test_closed_as_failed_says_by_whom_and_claims_nothing_about_purchases(self) -> None:
        story = story_of(SubmissionBegun(), Parked("lost thrice"), WrittenOff("kim", "bought elsewhere"))

        closed, goes_on, late_look = explain(story)
        assert closed == "kim closed it as failed 0.0 s ago: bought elsewhere."
        assert goes_on == "bandwidth was not told, and may still work on it."
        assert late_look.startswith("bandwidth is asked once more at ")

    @pytest.mark.parametrize(
        ("events", "says"),
        [
            ((Refused("not yours", "5006"),), "Nothing was released. It ended"),
            (
                (ACK, PartlyFilled("PARTIAL", (FREED, LOST), "1 of 3 numbers were released")),
                "bandwidth ended it: 1 of 3 numbers were released.",
            ),
            ((ACK, FilledWithErrors("COMPLETE", (FREED,), "it is odd")), "1 of 3 numbers are released."),
            (
                (AnswerLost("silence"),),
                "Its numbers may have been released, so it is not sent again before bandwidth's",
            ),
            ((NotSent("HTTP 503"),), "Nothing was released, so it is safe to send it again."),
            ((Parked("lost thrice"),), "and for what they released."),
        ],
    )
    def test_of_a_removal_it_says_what_was_released(self, events: tuple[Event, ...], says: str) -> None:
        sentences = " ".join(explain(story_of(SubmissionBegun(), *events, request={"kind": Kind.REMOVE_NUMBERS})))

        assert says in sentences
        assert "bought" not in sentences

    def test_cancelled_says_by_whom(self) -> None:
        assert explain(story_of(CancelAsked("kim"))) == [
            "kim cancelled it 0.0 s ago.",
            "Nothing was bought.",
        ]

    def test_the_most_frequent_reasons_come_first(self) -> None:
        failed = [
            NumberResult(E164(f"+1919555{i:04}"), NumberState.FAILED, code)
            for i, code in enumerate(["1", "2", "2", "3", "3", "3", "4", None])
        ]
        story = story_of(SubmissionBegun(), ACK, PartlyFilled("PARTIAL", tuple(failed), "none"))

        assert "Numbers that failed: 3 with 3; 2 with 2; 1 with 1; and more." in explain(story)


class TestNotification:
    NOTIFY = Notify(task="crm.hear", queue="crm")

    def test_says_that_the_producer_is_still_to_be_notified(self) -> None:
        story = story_of(
            CancelAsked("kim"), request={"notify": self.NOTIFY}, work_item={"reason": "the broker did not take it"}
        )

        assert explain(story)[-1] == (
            "Its producer is still to be notified (12:00:10 UTC, 0.0 s ago): the broker did not take it."
        )

    def test_says_that_the_producer_was_notified(self) -> None:
        untold = story_of(CancelAsked("kim"), request={"notify": self.NOTIFY})
        story = Story(untold.now, "crm", untold.order, (), (), untold.events)

        assert explain(story)[-1] == "Its producer was notified: task crm.hear on queue crm."

    def test_is_silent_about_states_that_the_producer_does_not_want(self) -> None:
        assert "producer" not in text_of(story_of(SubmissionBegun(), ACK, request={"notify": self.NOTIFY}))


EVENTS: list[Event] = [
    Deferred("tainted", NOON + timedelta(hours=1), (NumberResult(GOT[0].e164, NumberState.REQUESTED, "T", "until 1"),)),
    PartSettled("COMPLETED", (FREED,), "the rest is tainted", NOON + timedelta(hours=1), {"numbers": []}),
    CalledBack("dropped", "CANCELLED"),
    SubmissionBegun(),
    NotSent("HTTP 503"),
    AnswerLost("reset"),
    ACK,
    StillOpen("PROCESSING", GOT, slow=True),
    StillOpen("ODD", unheard_of=True, detail="whatever"),
    Filled("COMPLETED", GOT),
    PartlyFilled("PARTIAL", (*GOT, LOST), "fewer"),
    FilledWithErrors("COMPLETE", GOT, "contradiction"),
    Refused("no", "5023"),
    NotListed(LIST),
    ProvenAbsent(LIST),
    FoundTwice((THEIRS, CarrierOrderId("77aa"))),
    LookedAgain("late look: carrier order 77aa bought 1 number that the order did not have", (), GOT[:1]),
    Parked("wits' end"),
    CancelAsked("kim"),
    Adopted(THEIRS, "kim", "found"),
    SentAgain("kim", "not there"),
    WrittenOff("kim", "over"),
    NumbersAdopted("kim", "on the bill", GOT[:1]),
    NumbersGivenUp("kim", "removed by hand", GOT[:1]),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=12), st.integers(0, 10_000))
def test_every_story_is_explained_in_whole_sentences_that_fit_its_state(wished: list[Event], later_s: int) -> None:
    heard: list[Event] = []
    for event in wished:
        try:
            story_of(*heard, event)
        except IllegalTransition:
            continue  # not in this state
        heard.append(event)
    story = story_of(*heard, later=timedelta(seconds=later_s))
    sentences = explain(story)

    assert sentences
    assert all(sentence.endswith(".") and "None" not in sentence for sentence in sentences), sentences
    owed = any(work_item.lane is not Lane.TELL for work_item in story.work_items)
    waits = owed and story.order.state not in FINAL_STATES
    assert waits == (story.order.state not in {State.PARKED, *FINAL_STATES})
    assert ("may have bought more than is known" in text_of(story)) == (owed and not waits)
    assert (
        "a worker" in " ".join(sentences).lower() or "no worker" in text_of(story) or "free worker" in text_of(story)
    ) == waits
    cancellable = story.order.state is State.ACCEPTED or (
        story.order.state is State.OPEN and not story.order.cancel_asked_at
    )
    offered = " ".join(explain(story, Cancellation.OFFERED))
    assert ("number-orders cancel" in offered) == cancellable
    assert ("number-orders cancel" in text_of(story)) == (story.order.state is State.ACCEPTED)
    assert "no more will" not in offered
    assert "nothing will be" not in offered
    assert ("number-orders resolve" in text_of(story)) == (story.order.state is State.PARKED)


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_reached_and_explained(state: State) -> None:
    ways: dict[State, list[Event]] = {
        State.ACCEPTED: [],
        State.SUBMITTING: [SubmissionBegun()],
        State.IN_DOUBT: [SubmissionBegun(), AnswerLost("reset")],
        State.OPEN: [SubmissionBegun(), ACK],
        State.PARKED: [Parked("x")],
        State.COMPLETED: [SubmissionBegun(), ACK, Filled("COMPLETED", GOT)],
        State.PARTIAL: [SubmissionBegun(), ACK, PartlyFilled("PARTIAL", GOT, "fewer")],
        State.COMPLETED_WITH_ERRORS: [SubmissionBegun(), ACK, FilledWithErrors("COMPLETE", GOT, "odd")],
        State.FAILED: [SubmissionBegun(), Refused("no")],
        State.CANCELLED: [CancelAsked("kim")],
    }
    story = story_of(*ways[state])

    assert story.order.state is state
    assert story.now == NOON + STEP * len(ways[state])
    assert explain(story)


def test_cancelled_at_the_carrier_says_who_asked_and_what_the_carrier_did() -> None:
    called_back = (SubmissionBegun(), ACK, CancelAsked("kim", "typo"))

    assert "kim asked to cancel it 0.0 s ago: typo." in explain(story_of(*called_back))
    assert explain(story_of(*called_back, CalledBack("closed as asked", "CANCELLED"))) == [
        "kim asked to cancel it 10 s ago: typo.",
        "bandwidth cancelled it 0.0 s ago: closed as asked.",
        "Nothing was bought.",
    ]


# Late looks


def sent_again(*events: Event, later: timedelta = STEP) -> Story:
    """Return the story of an order that was sent twice, since the first attempt was not listed in time."""
    first = (SubmissionBegun(), AnswerLost("timed out"), ProvenAbsent(LIST), SubmissionBegun(), ACK)
    return story_of(*first, *events, later=later)


def test_an_ended_order_says_when_its_carrier_is_asked_once_more() -> None:
    """And afterwards what was found. A look that somebody hurried does not replace it."""
    found = LookedAgain("late look: carrier order 77 bought 1 number that the order did not have", (), GOT[:1])

    assert "may have bought more than is known" in text_of(sent_again(Filled("COMPLETE", GOT)))
    hurried = text_of(sent_again(Filled("COMPLETE", GOT), found))
    assert found.detail in hurried
    assert "may have bought more than is known" in hurried


# Reconciliation


def test_an_order_says_which_numbers_were_adopted_or_given_up_since_its_end() -> None:
    """And does not claim any more that nothing was bought, or that all numbers are there."""
    failed = text_of(story_of(SubmissionBegun(), Refused("no"), NumbersAdopted("ana", "on the bill", GOT[:1])))
    done = text_of(story_of(SubmissionBegun(), ACK, Filled("COMPLETE", GOT), NumbersGivenUp("ana", "ported", (GONE,))))

    assert "ana adopted 1 number 0.0 s ago: on the bill." in failed
    assert "Yet 1 of 3 numbers are there." in failed
    assert "othing was bought" not in failed
    assert "ana gave up 1 number 0.0 s ago: ported." in done
    assert "1 of 3 numbers are there: bandwidth completed the order" in done


def test_an_order_that_was_born_ended_says_that_nothing_was_ordered() -> None:
    born = story_of(NumbersAdopted("ana", "on the bill", GOT), state=State.COMPLETED)

    assert explain(born)[0] == "All 3 numbers are there. Nothing was ordered: bandwidth had them as ours already."


def test_an_order_that_a_person_cut_short_does_not_say_that_no_more_will_come() -> None:
    """The carrier may still work on it."""
    text = text_of(story_of(SubmissionBegun(), ACK, Parked("404"), CutShort("ana", "too slow")))

    assert "ana closed it" in text
    assert "bandwidth was not told, and may still work on it." in text
    assert "may have bought more than is known" in text
    assert "with a new key" not in text  # that could buy twice
    assert "Before you order the rest again, make sure at bandwidth that nothing more of it is done there." in text


def test_closed_before_anything_was_sent_says_nothing_of_the_carrier() -> None:
    text = text_of(story_of(Parked("above its budget"), WrittenOff("ana", "too many")))

    assert "may still work on it" not in text


def test_a_refusal_after_several_attempts_claims_no_more_than_is_known() -> None:
    """A look is still owed: an earlier attempt may have arrived after all."""
    first = (SubmissionBegun(), AnswerLost("timed out"), ProvenAbsent(LIST), SubmissionBegun())
    text = text_of(story_of(*first, Refused("no numbers left", "5023")))

    assert "As far as is known, nothing was bought." in text
    assert "with a new key" not in text
