"""The order book of the sandbox CM.com: number requests from their review to their end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

from number_orders.sandbox.behaviour import Behaviour, listing_delay, random_duration
from number_orders.sandbox.cm.access import Profile
from number_orders.sandbox.cm.appearance import as_shown
from number_orders.sandbox.cm.order_requests import NumberRequest, reference_in
from number_orders.sandbox.cm.stages import (
    CANCELLED,
    COMPLETED,
    IN_PROGRESS,
    NEW,
    REJECTED,
    Range,
    Stage,
    numbers_in,
)
from number_orders.sandbox.cm.stock import Area, CmFate, CmStock, find_area

_REVIEW_STARTS: Final = 0.4  # of the review time, a request stays NEW


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One number request. Only a cancellation changes it; otherwise time moves it from stage to stage."""

    guid: str
    sent: NumberRequest
    reference: str
    created_at: datetime
    listed_at: datetime
    stages: tuple[Stage, ...]
    taken: tuple[Range, ...]
    fate: CmFate

    def stage(self, now: datetime) -> Stage:
        """Return the stage at `now`."""
        return next(stage for stage in reversed(self.stages) if stage.at <= now or stage is self.stages[0])

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when the request was finalised."""
        if not self.stage(now).is_final:
            return None
        return next(stage.at for stage in self.stages if stage.is_final)

    def withdrawn(self, now: datetime) -> list[str]:
        """Return the numbers that were shown for good and are not assigned in the end."""
        kept = set(numbers_in(self.stage(now).ranges))
        past = (stage for stage in self.stages if stage.at <= now and not stage.is_final)
        return [e164 for e164 in dict.fromkeys(e164 for s in past for e164 in numbers_in(s.shown)) if e164 not in kept]


class Finalised(Exception):
    """The request has ended and can no longer be cancelled."""


class OrderBook:
    """All number requests of the account."""

    def __init__(self) -> None:
        self.stock = CmStock()
        self._requests: dict[str, Request] = {}

    def accept(self, guid: str, sent: NumberRequest, profile: Profile, behaviour: Behaviour, now: datetime) -> Request:
        """Accept a request and decide all that happens to it."""
        reference = reference_in(sent.comment)
        dice = Random(f"{behaviour.seed}/{reference or guid}")
        area = find_area(profile.country, sent.phone_number_type, sent.area_code, sent.city)
        is_immediate = area is not None and sent.quantity <= self.stock.directly_available(area, sent.size)
        taken = () if area is None else self._take(area, sent, dice)
        fate = area.fate if area is not None else CmFate.ORDINARY
        if is_immediate:
            stages: tuple[Stage, ...] = (Stage(now, COMPLETED, "The numbers were directly available.", taken),)
        else:
            stages = _review_stages(taken, sent, fate, behaviour, dice, now)
        shown_dice = Random(f"{behaviour.seed}/{reference or guid}/shown")
        spare = self._spare(area, sent, behaviour, shown_dice)
        request = Request(
            guid=guid,
            sent=sent,
            reference=reference,
            created_at=now,
            listed_at=now + listing_delay(behaviour, dice, reference or guid),
            stages=as_shown((Stage(now, NEW), *stages), spare, behaviour, shown_dice),
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
        """Return the requests that are listed by `now`."""
        return [request for request in self._requests.values() if request.listed_at <= now]

    def cancel(self, request: Request, behaviour: Behaviour, now: datetime) -> Stage | None:
        """Cancel a request. The numbers set aside for it are not sold again.

        Returns:
            The stage in which the cancellation takes effect; None if the request ends before that.

        Raises:
            Finalised: it has ended already.
        """
        if request.ended_at(now) is not None:
            raise Finalised(request.guid)
        at = now + random_duration(
            behaviour.cm_cancel_s, Random(f"{behaviour.seed}/{request.reference or request.guid}/cancel")
        )
        if request.ended_at(at) is not None:
            return None
        past = tuple(stage for stage in request.stages if stage.at <= at)
        end = Stage(at, CANCELLED, "Cancelled by the customer.")
        request.stages = (*past, end)
        return end

    def _spare(self, area: Area | None, sent: NumberRequest, behaviour: Behaviour, dice: Random) -> Range | None:
        """Take a range that will replace another of the request, if it is to be revised."""
        if area is None or dice.random() >= behaviour.cm_revises:
            return None
        starts = self.stock.take(area, sent.size, sent.size)
        return Range(_guid(dice), starts[0], sent.size) if starts else None

    def _take(self, area: Area, sent: NumberRequest, dice: Random) -> tuple[Range, ...]:
        if area.fate is CmFate.REJECTED:
            return ()
        starts = self.stock.take(area, sent.quantity, sent.size)
        return tuple(Range(_guid(dice), start, sent.size) for start in starts)


def _review_stages(
    taken: tuple[Range, ...], sent: NumberRequest, fate: CmFate, behaviour: Behaviour, dice: Random, now: datetime
) -> tuple[Stage, ...]:
    """Return the stages of a request that a person at CM.com reviews and decides."""
    review = random_duration(behaviour.cm_review_s, dice)
    in_review = Stage(now + review * _REVIEW_STARTS, IN_PROGRESS, "Your request is being reviewed.")
    decided_at = now + review
    if fate is CmFate.NEVER_DECIDED:
        return (in_review,)
    if not taken:
        return in_review, Stage(decided_at, REJECTED, "No numbers are available in the requested area.")
    if fate is CmFate.STRANGE_WORD:
        strange = Stage(decided_at, behaviour.strange_word, "Please see the portal.")
        end = Stage(
            decided_at + random_duration(behaviour.strange_s, dice), COMPLETED, "The numbers were assigned.", taken
        )
        return in_review, strange, end
    assigned = _assigned(taken, fate)
    count = sum(each.size for each in assigned)
    whole = count == sent.quantity or fate is CmFate.CONTRADICTS
    reason = "The numbers were assigned." if whole else f"{count} of {sent.quantity} numbers were assigned."
    return in_review, Stage(decided_at, COMPLETED if assigned or whole else REJECTED, reason, assigned)


def _assigned(taken: tuple[Range, ...], fate: CmFate) -> tuple[Range, ...]:
    match fate:
        case CmFate.PARTIAL:
            return taken[: len(taken) // 2]
        case CmFate.CONTRADICTS:
            return ()
        case _:
            return taken


def _guid(dice: Random) -> str:
    return str(UUID(int=dice.getrandbits(128), version=4))
