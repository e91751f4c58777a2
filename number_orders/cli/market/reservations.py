"""Reserves numbers at a carrier, looks reservations up, and ends them; needs no ledger.

Each number or reservation is handled by itself: a failure does not affect the others.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from config.settings import Settings
from number_orders.carriers.http.courier import Courier
from number_orders.carriers.reservations import Reservation, Reservations, TakesReservations
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.output import clean, screen, write_json
from number_orders.cli.typed_number import typed_number
from number_orders.orders.errors import Declined, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.story import times
from workers.carriers import ConfiguredCarrier, configured_carriers

_WORST_FIRST: Final = (ExitCode.OUT_OF_REACH, ExitCode.NO, ExitCode.USAGE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one number or reservation, as it was typed."""

    typed: str
    reservation: Reservation | None = None
    trouble: str | None = None
    code: ExitCode = ExitCode.DONE


async def reserve_numbers(settings: Settings, carrier: str, numbers: Sequence[str]) -> list[Outcome]:
    """Reserve each of these numbers.

    Raises:
        Stop: One is not E.164, or the carrier takes no reservations.
    """
    wanted = {typed: typed_number(typed) for typed in numbers}

    async def one(courier: Courier, reservations: Reservations, typed: str) -> Reservation:
        try:
            made = await courier.inquire(reservations.reserve(wanted[typed]))
        except (NoAnswer, UnreadableAnswer) as silence:
            look = f"it may be reserved all the same: `number-orders reservations {typed}` shows it"
            raise NoAnswer(f"{silence}; {look}") from silence
        return await _with_time_left(courier, reservations, made)

    return await _each(settings, carrier, numbers, one)


async def look_up(settings: Settings, carrier: str, names: Sequence[str]) -> list[Outcome]:
    """Look up reservations, by id or by number.

    Raises:
        Stop: A name begins with a plus sign and is not E.164, or the carrier takes no reservations.
    """
    numbers = {name: typed_number(name) for name in names if name.startswith("+")}

    async def one(courier: Courier, reservations: Reservations, name: str) -> Reservation:
        if name in numbers:
            return await courier.inquire(reservations.by_number(numbers[name]))
        return await courier.inquire(reservations.by_id(name))

    return await _each(settings, carrier, names, one)


async def release(settings: Settings, carrier: str, reservation_ids: Sequence[str]) -> list[Outcome]:
    """End reservations early.

    Raises:
        Stop: The carrier takes no reservations.
    """

    async def one(courier: Courier, reservations: Reservations, reservation_id: str) -> None:
        await courier.inquire(reservations.release(reservation_id))

    return await _each(settings, carrier, reservation_ids, one)


def show_reservations(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print the reservations, and an error for each failure."""
    kept = [outcome.reservation for outcome in outcomes if outcome.reservation]
    if as_json:
        return write_json({"reservations": [_to_json(one) for one in kept], "failures": _failures(outcomes)})
    if kept:
        cells = [(one.e164, clean(one.reservation_id), _time_left(one)) for one in kept]
        output.rows(screen(), ("NUMBER", "RESERVATION", "EXPIRES IN"), cells, whole=2)
    return _print_errors(outcomes)


def show_released(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print the ended reservations, and an error for each failure."""
    gone = [outcome.typed for outcome in outcomes if outcome.code is ExitCode.DONE]
    if as_json:
        return write_json({"released": gone, "failures": _failures(outcomes)})
    for typed in gone:
        screen().print(f"ended  {clean(typed)}")
    return _print_errors(outcomes)


def exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """Return the exit code: the worst failure."""
    failed = {outcome.code for outcome in outcomes}
    return next((code for code in _WORST_FIRST if code in failed), ExitCode.DONE)


async def _with_time_left(courier: Courier, reservations: Reservations, made: Reservation) -> Reservation:
    """Return the reservation with the time left; if that cannot be read, with the carrier's usual time."""
    try:
        return await courier.inquire(reservations.by_id(made.reservation_id))
    except FulfilmentError:
        return replace(made, expires_in=reservations.lifetime)


async def _each(
    settings: Settings,
    carrier: str,
    names: Sequence[str],
    one: Callable[[Courier, Reservations, str], Awaitable[Reservation | None]],
) -> list[Outcome]:
    chosen, reservations = _carrier_with_reservations(settings, carrier)
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


def _carrier_with_reservations(settings: Settings, name: str) -> tuple[ConfiguredCarrier, Reservations]:
    known = configured_carriers(settings)
    chosen = known.get(CarrierName(name))
    if chosen is None:
        configured = ", ".join(sorted(known)) or "none"
        raise Stop(ExitCode.USAGE, f"--carrier: {clean(name)} is not set up here; these are: {configured}")
    if not isinstance(chosen.adapter, TakesReservations):
        raise Stop(ExitCode.NO, f"{name} takes no reservations")
    return chosen, chosen.adapter.reservations


def _failed(typed: str, trouble: FulfilmentError) -> Outcome:
    match trouble:
        case InquiryRefused():
            return Outcome(typed, trouble=str(trouble), code=ExitCode.USAGE)
        case Declined():
            return Outcome(typed, trouble=trouble.words, code=ExitCode.NO)
        case _:
            return Outcome(
                typed, trouble=f"no answer: {str(trouble).removeprefix('no answer: ')}", code=ExitCode.OUT_OF_REACH
            )


def _time_left(reservation: Reservation) -> str:
    if reservation.expires_in is None:
        return "unknown"
    return times.span(reservation.expires_in) if reservation.expires_in else "expired"


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


def _print_errors(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.trouble:
            print_error(f"{clean(outcome.typed)}: {clean(outcome.trouble)}")
