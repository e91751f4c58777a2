"""Compares how our orders ended with the carriers' own report, number by number.

Pure. States once more what is right, from the carrier's side (docs/sandbox.md), and shares no code with the adapters
that decided our ends.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Document = Mapping[str, Any]
CarrierRecord = Mapping[str, Any]
"""One order in the sandbox's report."""

_HELD: Final = {"acquired", "usable"}
_ENDS: Final = {"COMPLETED": "COMPLETED", "PARTIAL": "PARTIAL", "FAILED": "FAILED"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that is wrong, in words; all empty if everything is right."""

    bought_twice: Sequence[str]
    lost: Sequence[str]
    wrong_end: Sequence[str]
    told_wrong: Sequence[str]
    tickets_wrong: Sequence[str]
    too_early: Sequence[str]
    """Removals of numbers inside their taint window."""
    numbers_compared: int

    @property
    def wrongs(self) -> list[str]:
        """All of these together."""
        return [*self.bought_twice, *self.lost, *self.wrong_end, *self.told_wrong, *self.tickets_wrong, *self.too_early]


def judge(
    *,
    tickets: Mapping[str, set[str]],
    ours: Mapping[str, Document],
    heard: Mapping[str, Sequence[Document]],
    report: Mapping[str, Any],
) -> Verdict:
    """Compare tickets, orders and notifications with the report.

    Args:
        tickets: Order ids by key, as the producer received them.
        ours: Our order documents by id.
        heard: The documents that the producer received, by order id.
        report: The sandbox's own report.
    """
    accepted = {order_id for ids in tickets.values() for order_id in ids}
    truth = _by_reference(report["orders"])
    return Verdict(
        bought_twice=list(_doubles(report)),
        lost=list(_lost(accepted, ours)),
        wrong_end=[*_wrong_ends(ours, truth), *_unknown_orders(ours, truth)],
        told_wrong=list(_notified_wrongly(ours, heard)),
        tickets_wrong=list(_tickets_wrong(tickets, accepted, ours)),
        too_early=list(_too_early(report)),
        numbers_compared=sum(
            len(order["bought"]) + len(order["failed"]) + len(_released([order])) for order in report["orders"]
        ),
    )


def expected_end(truth: CarrierRecord | None) -> str | None:
    """Return the state that our order must end in, given the carrier's record; None while it is open there."""
    if truth is None:
        return "FAILED"  # the carrier refused the request
    end = _ENDS.get(str(truth["outcome"]))
    return "COMPLETED_WITH_ERRORS" if end == "COMPLETED" and truth["fate"] == "with_errors" else end


def expected_ends_of_removal(document: Document, own: set[str], gone: set[str]) -> set[str]:
    """Return the states that a removal may end in.

    Args:
        document: Ours.
        own: The numbers that the carrier released for this order, in one part or in several.
        gone: The numbers that it released for any order. The second of two orders for one number finds nothing, and the
            carrier may answer it that the number is gone.
    """
    asked = {number["e164"] for number in document["numbers"]}
    if asked <= own:
        return {"COMPLETED"}
    if asked <= gone:
        return {"COMPLETED_WITH_ERRORS", "PARTIAL" if own else "FAILED"}
    return {"PARTIAL" if own else "FAILED"}


def _released(truth: Sequence[CarrierRecord]) -> set[str]:
    return {e164 for order in truth for e164 in (*order.get("released", ()), *order.get("removed", ()))}


def _by_reference(orders: Sequence[CarrierRecord]) -> dict[str, list[CarrierRecord]]:
    found: dict[str, list[CarrierRecord]] = {}
    for order in orders:
        found.setdefault(order["customer_order_id"], []).append(order)
    return found


def _doubles(report: Mapping[str, Any]) -> Iterator[str]:
    for reference, orders in report["duplicates"]["customer_order_ids"].items():
        yield f"order {reference} was placed {len(orders)} times: {', '.join(orders)}"
    for e164, orders in report["duplicates"]["numbers"].items():
        yield f"number {e164} was bought {len(orders)} times: {', '.join(orders)}"


def _lost(accepted: set[str], ours: Mapping[str, Document]) -> Iterator[str]:
    for order_id in sorted(accepted):
        document = ours.get(order_id)
        if document is None:
            yield f"order {order_id} was accepted and is not in the ledger"
        elif not document["final"]:
            yield f"order {order_id} has not ended: {document['state']}, {document['reason']}"


def _wrong_ends(ours: Mapping[str, Document], truth: Mapping[str, Sequence[CarrierRecord]]) -> Iterator[str]:
    gone = _released([order for orders in truth.values() for order in orders])
    for order_id, document in ours.items():
        theirs = truth.get(document["reference"], ())
        if document["final"] and document["kind"] == "remove_numbers":
            yield from (f"order {order_id}: {what}" for what in _removed_differently(document, theirs, gone))
        elif document["final"]:
            yield from (f"order {order_id}: {what}" for what in _differences(document, theirs))


def _differences(document: Document, truth: Sequence[CarrierRecord]) -> Iterator[str]:
    first = next(iter(truth), None)
    wanted = expected_end(first)
    if document["state"] != wanted:
        yield f"ended {document['state']}, and the carrier's end is {wanted or 'not reached'}"
    held = {number["e164"] for number in document["numbers"] if number["state"] in _HELD}
    bought = {*first["bought"], *first.get("added", ())} if first else set()
    if held != bought:
        yield f"we hold {sorted(held - bought)} that were not bought, and miss {sorted(bought - held)} that were"
    failed = {number["e164"] for number in document["numbers"] if number["state"] == "failed"}
    if not (set(first["failed"]) if first else set()) <= failed:
        yield "numbers that were not bought are not listed as failed"


def _removed_differently(document: Document, truth: Sequence[CarrierRecord], gone: set[str]) -> Iterator[str]:
    own = _released(truth)
    wanted = expected_ends_of_removal(document, own, gone)
    if document["state"] not in wanted:
        yield f"ended {document['state']}, and by what the carrier released it is {' or '.join(sorted(wanted))}"
    listed = {number["e164"] for number in document["numbers"] if number["state"] == "released"}
    if not own <= listed <= gone:
        yield f"we list as released {sorted(listed)}; the carrier released {sorted(own)}"


def _too_early(report: Mapping[str, Any]) -> Iterator[str]:
    for violation in report["violations"]:
        reference, number = violation["customer_order_id"], violation["number"]
        yield f"order {reference} removed {number} at an age of {violation['age_s']:.1f} s, inside its taint window"


def _unknown_orders(ours: Mapping[str, Document], truth: Mapping[str, Sequence[CarrierRecord]]) -> Iterator[str]:
    known = {document["reference"] for document in ours.values()}
    yield from (f"the carrier has an order {reference!r} that is not ours" for reference in truth.keys() - known)


def _notified_wrongly(ours: Mapping[str, Document], heard: Mapping[str, Sequence[Document]]) -> Iterator[str]:
    for order_id, document in ours.items():
        received = heard.get(order_id, ())
        ends = [one for one in received if one["final"]]
        if document["final"] and not ends:
            yield f"order {order_id} ended {document['state']}, and its producer was not notified"
        yield from (
            f"order {order_id} ended {document['state']}, and its producer was notified of {end['state']}"
            for end in ends
            if (end["state"], end["numbers"]) != (document["state"], document["numbers"])
        )
        versions = [one["version"] for one in received]
        # Sent twice is allowed; an older version after a newer one, not sent before, is not.
        first_told = list(dict.fromkeys(versions))
        if first_told != sorted(first_told):
            yield f"order {order_id} was notified out of order: versions {versions}"


def _tickets_wrong(tickets: Mapping[str, set[str]], accepted: set[str], ours: Mapping[str, Document]) -> Iterator[str]:
    for key, ids in tickets.items():
        if len(ids) > 1:
            yield f"key {key} has {len(ids)} orders: {', '.join(sorted(ids))}"
    yield from (f"order {order_id} is in the ledger without a ticket" for order_id in sorted(ours.keys() - accepted))
    for key, count in Counter(document["key"] for document in ours.values()).items():
        if count > 1:
            yield f"key {key} is {count} times in the ledger"
