"""The practice CM.com's books: number requests, and their course from the desk of a reviewer to their end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from number_orders.sandbox.behaviour import Behaviour, Span
from number_orders.sandbox.cm.access import Profile
from number_orders.sandbox.cm.order_requests import NumberRequest, reference_in
from number_orders.sandbox.cm.stock import Area, CmFate, CmStock, find_area

NEW: Final = "NEW"
IN_PROGRESS: Final = "IN_PROGRESS"
COMPLETED: Final = "COMPLETED"
REJECTED: Final = "REJECTED"
CANCELLED: Final = "CANCELLED"
STATUSES: Final = (NEW, IN_PROGRESS, COMPLETED, REJECTED, CANCELLED)
FINAL: Final = {COMPLETED, REJECTED, CANCELLED}
_TAKEN_UP: Final = 0.4  # of the review, a request lies unread


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers in a row that were assigned: the first of them, and how many."""

    guid: str
    start: str
    size: int

    def numbers(self) -> Iterator[str]:
        """List them in E.164."""
        first = int(self.start.removeprefix("+"))
        return (f"+{number}" for number in range(first, first + self.size))


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What the carrier says of a request from `at` on."""

    at: datetime
    status: str
    reason: str | None = None
    ranges: tuple[Range, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One number request. Only a cancellation changes it; time alone moves it from stage to stage."""

    guid: str
    said: NumberRequest
    reference: str
    created_at: datetime
    listed_at: datetime
    stages: tuple[Stage, ...]
    taken: tuple[Range, ...]
    fate: CmFate

    def stage(self, now: datetime) -> Stage:
        """Say how the request stands."""
        return next(stage for stage in reversed(self.stages) if stage.at <= now or stage is self.stages[0])

    def ended_at(self, now: datetime) -> datetime | None:
        """Say when it was finalised."""
        stage = self.stage(now)
        return stage.at if stage.status in FINAL else None


class Finalised(Exception):
    """A request that can be cancelled no more."""


class Book:
    """All number requests of the account."""

    def __init__(self) -> None:
        self.stock = CmStock()
        self._requests: dict[str, Request] = {}

    def place(self, guid: str, said: NumberRequest, profile: Profile, behaviour: Behaviour, now: datetime) -> Request:
        """Accept a request and decide its whole course."""
        reference = reference_in(said.comment)
        dice = Random(f"{behaviour.seed}/{reference or guid}")
        area = find_area(profile.country, said.phone_number_type, said.area_code, said.city)
        at_once = area is not None and said.quantity <= self.stock.at_hand(area, said.size)
        taken = () if area is None else self._take(area, said, dice)
        fate = area.fate if area is not None else CmFate.ORDINARY
        stages = _at_once(taken, now) if at_once else _reviewed(taken, said, fate, behaviour, dice, now)
        request = Request(
            guid=guid,
            said=said,
            reference=reference,
            created_at=now,
            listed_at=now + _draw(behaviour.listing_delay_s, dice),
            stages=(Stage(now, NEW), *stages),
            taken=taken,
            fate=fate,
        )
        self._requests[guid] = request
        return request

    def get(self, guid: str) -> Request | None:
        """Return the request with this id."""
        return self._requests.get(guid.lower())

    def all_requests(self) -> Iterator[Request]:
        """List every request, oldest first."""
        return iter(self._requests.values())

    def listed(self, now: datetime) -> list[Request]:
        """Return every request that has come to be listed."""
        return [request for request in self._requests.values() if request.listed_at <= now]

    def cancel(self, request: Request, behaviour: Behaviour, now: datetime) -> Stage | None:
        """Give a request up; numbers that were set aside for it go back to no one.

        Returns:
            The stage in which it ends thereby; none when it will have ended before somebody gets round to it.

        Raises:
            Finalised: it has ended already.
        """
        if request.ended_at(now) is not None:
            raise Finalised(request.guid)
        at = now + _draw(behaviour.cm_cancel_s, Random(f"{behaviour.seed}/{request.reference or request.guid}/cancel"))
        if request.ended_at(at) is not None:
            return None
        past = tuple(stage for stage in request.stages if stage.at <= at)
        end = Stage(at, CANCELLED, "Cancelled by the customer.")
        request.stages = (*past, end)
        return end

    def _take(self, area: Area, said: NumberRequest, dice: Random) -> tuple[Range, ...]:
        if area.fate is CmFate.REJECTED:
            return ()
        starts = self.stock.take(area, said.quantity, said.size)
        return tuple(Range(_guid(dice), start, said.size) for start in starts)


def _at_once(taken: tuple[Range, ...], now: datetime) -> tuple[Stage, ...]:
    return (Stage(now, COMPLETED, "The numbers were directly available.", taken),)


def _reviewed(
    taken: tuple[Range, ...], said: NumberRequest, fate: CmFate, behaviour: Behaviour, dice: Random, now: datetime
) -> tuple[Stage, ...]:
    """Let a person look at it: they take it up, and decide."""
    review = _draw(behaviour.cm_review_s, dice)
    taken_up = Stage(now + review * _TAKEN_UP, IN_PROGRESS, "Your request is being reviewed.")
    decided_at = now + review
    if fate is CmFate.NEVER_DECIDED:
        return (taken_up,)
    if not taken:
        return taken_up, Stage(decided_at, REJECTED, "No numbers are available in the requested area.")
    if fate is CmFate.STRANGE_WORD:
        strange = Stage(decided_at, behaviour.strange_word, "Please see the portal.")
        end = Stage(decided_at + _draw(behaviour.strange_s, dice), COMPLETED, "The numbers were assigned.", taken)
        return taken_up, strange, end
    given = _given(taken, fate)
    count = sum(each.size for each in given)
    whole = count == said.quantity or fate is CmFate.CONTRADICTS
    reason = "The numbers were assigned." if whole else f"{count} of {said.quantity} numbers were assigned."
    return taken_up, Stage(decided_at, COMPLETED if given or whole else REJECTED, reason, given)


def _given(taken: tuple[Range, ...], fate: CmFate) -> tuple[Range, ...]:
    match fate:
        case CmFate.PARTIAL:
            return taken[: len(taken) // 2]
        case CmFate.CONTRADICTS:
            return ()
        case _:
            return taken


def _guid(dice: Random) -> str:
    return str(UUID(int=dice.getrandbits(128), version=4))


def _draw(span: Span, dice: Random) -> timedelta:
    return timedelta(seconds=dice.uniform(*span))
