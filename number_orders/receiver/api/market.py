"""Questions to carriers: numbers for sale, how many there are, the rules of sale, and what each carrier can do.

Each costs a request to the carrier, so it counts several times against the producer's rate, and few run at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from number_orders.carriers.market import CoverageQuery, RestrictionsQuery, SearchQuery, Topic
from number_orders.fulfilment.abilities import abilities_to_json
from number_orders.fulfilment.answers import faults_to_json
from number_orders.fulfilment.authority import Identity
from number_orders.fulfilment.inquiries import (
    Answer,
    Ask,
    FailureKind,
    Replies,
    answered,
    ask_each,
    choose,
    coverage_entries,
    entries_to_json,
)
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria
from number_orders.receiver import shapes
from number_orders.receiver.access import QUESTION_COST, Caller, Served, charge
from number_orders.receiver.api.documentation import problems
from number_orders.receiver.parts import Receiver
from number_orders.receiver.problems import Problem, refused
from number_orders_client import contract

router = APIRouter(tags=["carriers"])

_PROBLEMS: Final = problems("question-refused", "no-answer")
_LINE: Final = 100
_CRITERIA: Final = tuple(field.name for field in fields(Criteria))

Carrier = Annotated[str | None, Query(max_length=_LINE, description="Only this one; default: every one that answers.")]


class CriteriaQuery(contract.Criteria):
    """The criteria of an order, as parameters."""

    model_config = contract.Criteria.model_config | {"strict": False}


class SearchParameters(CriteriaQuery):
    """The parameters of a search."""

    carrier: contract.Line | None = None
    quantity: Annotated[int, Query(ge=1, le=contract.NUMBERS_MAX)] = 20


class CoverageParameters(CriteriaQuery):
    """The parameters of a question about coverage."""

    carrier: contract.Line | None = None
    group_by: Annotated[list[contract.Line], Query(max_length=10, default_factory=list)]


@router.get("/v1/search", response_model=shapes.Offers, responses=_PROBLEMS)
async def search(asked: Annotated[SearchParameters, Query()], caller: Caller, receiver: Served) -> Response:
    """Search for numbers for sale. Buys and reserves nothing; the parameters are the criteria of an order."""
    wanted = SearchQuery(_criteria(asked), asked.quantity)
    replies = await _ask(receiver, caller, Topic.SEARCH, lambda market: market.search(wanted), asked.carrier)
    return JSONResponse(
        {"offers": entries_to_json(replies, lambda offers: offers.listed), "failures": _failures(replies)}
    )


@router.get("/v1/coverage", response_model=shapes.Coverage, responses=_PROBLEMS)
async def coverage(asked: Annotated[CoverageParameters, Query()], caller: Caller, receiver: Served) -> Response:
    """Count the numbers for sale, in all or grouped by fields such as the area code."""
    wanted = CoverageQuery(_criteria(asked), tuple(asked.group_by))
    replies = await _ask(receiver, caller, Topic.COVERAGE, lambda market: market.coverage(wanted), asked.carrier)
    totals = {carrier: answer.quantity for carrier, answer in answered(replies)}
    entries = entries_to_json(replies, coverage_entries)
    return JSONResponse({"entries": entries, "totals": totals, "failures": _failures(replies)})


@router.get("/v1/restrictions", response_model=shapes.Restrictions, responses=_PROBLEMS)
async def restrictions(
    caller: Caller,
    receiver: Served,
    *,
    country: Annotated[str, Query(pattern="^[A-Z]{3}$", description="ISO 3166 alpha-3, such as ITA.")],
    number_type: Annotated[str | None, Query(max_length=_LINE)] = None,
    carrier: Carrier = None,
) -> Response:
    """Show the rules under which numbers of a country are sold."""
    wanted = RestrictionsQuery(country, number_type)
    replies = await _ask(receiver, caller, Topic.RESTRICTIONS, lambda market: market.restrictions(wanted), carrier)
    return JSONResponse({"restrictions": entries_to_json(replies, list), "failures": _failures(replies)})


@router.get("/v1/carriers", response_model=dict[str, dict[str, Any]], responses=problems())
async def carriers(request: Request, caller: Caller, receiver: Served) -> Response:
    """Show what each carrier that is set up can do. No carrier is asked."""
    sellers = sorted(receiver.sellers.items())
    return JSONResponse({name: abilities_to_json(seller.adapter, seller.market) for name, seller in sellers})


def _criteria(asked: CriteriaQuery) -> Criteria:
    return Criteria(**{name: getattr(asked, name) for name in _CRITERIA})


async def _ask(
    receiver: Receiver, caller: Identity, topic: Topic, question: Ask[Answer], carrier: str | None
) -> Replies[Answer]:
    """Ask, and return at least one answer.

    Raises:
        Problem: No carrier answered, or there are too many questions under way.
        InquiryRefused: No carrier can be asked.
    """
    charge(receiver, caller, QUESTION_COST)
    with _under_way(receiver):
        replies = await ask_each(choose(receiver.sellers, topic, carrier), question)
    if answered(replies):
        return replies
    kinds = {reply.failure.kind for reply in replies if reply.failure}
    if kinds == {FailureKind.REFUSED}:
        faults = [fault for reply in replies if reply.failure for fault in reply.failure.faults]
        raise refused(faults or [Fault("request", "breaks a rule")], name="question-refused")
    words = "; ".join(f"{reply.carrier}: {reply.failure.words}" for reply in replies if reply.failure)
    raise Problem("no-answer", words, failures=_failures(replies))


@contextmanager
def _under_way(receiver: Receiver) -> Iterator[None]:
    if receiver.questions >= receiver.questions_max:
        words = f"{receiver.questions_max} questions to carriers are under way; try again in a second"
        raise Problem("too-many-requests", words, headers={"Retry-After": "1"})
    receiver.questions += 1
    try:
        yield
    finally:
        receiver.questions -= 1


def _failures(replies: Replies[Answer]) -> list[dict[str, object]]:
    return [
        {
            "carrier": reply.carrier,
            "why": reply.failure.kind.value,
            "words": reply.failure.words,
            "faults": faults_to_json(reply.failure.faults),
        }
        for reply in replies
        if reply.failure
    ]
