"""Has numbers reserved at a carrier, looks reservations up, and lets them go; none of it needs a ledger.

Each number or reservation is its own: what fails with one leaves the others alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from config.settings import Settings
from number_orders.carriers.http.courier import Courier
from number_orders.carriers.reservations import Reservation, Reservations, Reserving
from number_orders.cli import output, times
from number_orders.cli.exits import Code, Stop, complain
from number_orders.cli.market.questions import number
from number_orders.cli.output import clean, screen, write_json
from number_orders.orders.errors import Declined, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from workers.carriers import ConfiguredCarrier, configured_carriers

_WORST_FIRST: Final = (Code.OUT_OF_REACH, Code.NO, Code.USAGE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one number or reservation, as it was typed."""

    typed: str
    reservation: Reservation | None = None
    trouble: str | None = None
    code: Code = Code.DONE


async def reserve(settings: Settings, carrier: str, numbers: Sequence[str]) -> list[Outcome]:
    """Have each of these numbers kept.

    Raises:
        Stop: One is no number, or the carrier takes no reservations.
    """
    wanted = {typed: number(typed) for typed in numbers}

    async def one(courier: Courier, reservations: Reservations, typed: str) -> Reservation:
        try:
            made = await courier.inquire(reservations.reserve(wanted[typed]))
        except (NoAnswer, UnreadableAnswer) as silence:
            look = f"it may be reserved all the same: `number-orders reservations {typed}` tells"
            raise NoAnswer(f"{silence}; {look}") from silence
        return await _with_its_time(courier, reservations, made)

    return await _each(settings, carrier, numbers, one)


async def look_up(settings: Settings, carrier: str, names: Sequence[str]) -> list[Outcome]:
    """Look up reservations, by their ids or by their numbers.

    Raises:
        Stop: What begins with a plus sign is no number, or the carrier takes no reservations.
    """
    numbers = {name: number(name) for name in names if name.startswith("+")}

    async def one(courier: Courier, reservations: Reservations, name: str) -> Reservation:
        if name in numbers:
            return await courier.inquire(reservations.of_number(numbers[name]))
        return await courier.inquire(reservations.read(name))

    return await _each(settings, carrier, names, one)


async def release(settings: Settings, carrier: str, reservation_ids: Sequence[str]) -> list[Outcome]:
    """Let reservations go before their time.

    Raises:
        Stop: The carrier takes no reservations.
    """

    async def one(courier: Courier, reservations: Reservations, reservation_id: str) -> None:
        await courier.inquire(reservations.release(reservation_id))

    return await _each(settings, carrier, reservation_ids, one)


def tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print the reservations, and complain of what failed."""
    kept = [outcome.reservation for outcome in outcomes if outcome.reservation]
    if as_json:
        return write_json({"reservations": [_to_json(one) for one in kept], "failures": _failures(outcomes)})
    if kept:
        cells = [(one.e164, clean(one.reservation_id), _left(one)) for one in kept]
        output.rows(screen(), ("NUMBER", "RESERVATION", "EXPIRES IN"), cells, whole=2)
    return _complain(outcomes)


def tell_released(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print what was let go, and complain of what failed."""
    gone = [outcome.typed for outcome in outcomes if outcome.code is Code.DONE]
    if as_json:
        return write_json({"released": gone, "failures": _failures(outcomes)})
    for typed in gone:
        screen().print(f"let go  {clean(typed)}")
    return _complain(outcomes)


def code_of(outcomes: Sequence[Outcome]) -> Code:
    """Return the exit code: the worst of what failed."""
    failed = {outcome.code for outcome in outcomes}
    return next((code for code in _WORST_FIRST if code in failed), Code.DONE)


async def _with_its_time(courier: Courier, reservations: Reservations, made: Reservation) -> Reservation:
    """Return a reservation with the time that is left of it; not knowing it exactly takes nothing away from it."""
    try:
        return await courier.inquire(reservations.read(made.reservation_id))
    except FulfilmentError:
        return replace(made, expires_in=reservations.lasts)


async def _each(
    settings: Settings,
    carrier: str,
    names: Sequence[str],
    one: Callable[[Courier, Reservations, str], Awaitable[Reservation | None]],
) -> list[Outcome]:
    chosen, reservations = _reserving(settings, carrier)
    courier = chosen.courier()
    outcomes = []
    try:
        for typed in dict.fromkeys(names):
            try:
                outcomes.append(Outcome(typed, await one(courier, reservations, typed)))
            except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
                outcomes.append(_failed(typed, trouble))
    finally:
        await courier.aclose()
    return outcomes


def _reserving(settings: Settings, name: str) -> tuple[ConfiguredCarrier, Reservations]:
    known = configured_carriers(settings)
    chosen = known.get(CarrierName(name))
    if chosen is None:
        set_ups = ", ".join(sorted(known)) or "none is set up"
        raise Stop(Code.USAGE, f"--carrier: {clean(name)} is none of ours: {set_ups}")
    if not isinstance(chosen.adapter, Reserving):
        raise Stop(Code.NO, f"{name} takes no reservations")
    return chosen, chosen.adapter.reservations


def _failed(typed: str, trouble: FulfilmentError) -> Outcome:
    match trouble:
        case InquiryRefused():
            return Outcome(typed, trouble=str(trouble), code=Code.USAGE)
        case Declined():
            return Outcome(typed, trouble=trouble.words, code=Code.NO)
        case _:
            return Outcome(typed, trouble=f"no answer: {trouble}", code=Code.OUT_OF_REACH)


def _left(reservation: Reservation) -> str:
    if reservation.expires_in is None:
        return "not told"
    return times.span(reservation.expires_in) if reservation.expires_in else "over"


def _to_json(reservation: Reservation) -> dict[str, object]:
    left = reservation.expires_in
    return {
        "number": reservation.e164,
        "reservation_id": clean(reservation.reservation_id),
        "expires_in_s": None if left is None else left.total_seconds(),
    }


def _failures(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    return [
        {"of": outcome.typed, "exit_code": int(outcome.code), "words": clean(outcome.trouble)}
        for outcome in outcomes
        if outcome.trouble
    ]


def _complain(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.trouble:
            complain(f"{clean(outcome.typed)}: {clean(outcome.trouble)}")
