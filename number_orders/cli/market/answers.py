"""Prints carriers' answers: all in one table, or as one JSON document."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, TypeVar

from rich.text import Text

from number_orders.carriers.market import Coverage, HeldNumber, Holdings, Offer, Offers, Restriction
from number_orders.cli import output
from number_orders.cli.market.questions import failures_to_json
from number_orders.cli.output import aside, clean, heading, pairs, screen, write_json
from number_orders.fulfilment.inquiries import Replies, answered, coverage_entries
from number_orders.orders.model import CarrierName

Answer = TypeVar("Answer")
Entry = TypeVar("Entry")
Listed = Sequence[tuple[CarrierName, Entry]]

_OFFER: Final = ("NUMBER", "CARRIER", "COUNTRY", "TYPE", "STATE", "CITY", "RATE CENTER", "LATA", "AREA CODE", "TIER")
_RULE: Final = ("COUNTRY", "CARRIER", "TYPE", "NATURE", "SUBJECT", "RULE")
_EVERY_TYPE: Final = "all"


def show_offers(replies: Replies[Offers], *, as_json: bool) -> None:
    """Print the numbers for sale."""
    listed = _listed(replies, lambda offers: offers.listed)
    if as_json:
        return _write("offers", listed, replies)
    _table(_OFFER, [_offer_cells(carrier, offer) for carrier, offer in listed], replies, none="no such numbers")
    for carrier, offers in answered(replies):
        _print_unreadable(carrier, offers.unreadable)
    return None


def show_coverage(replies: Replies[Coverage], *, as_json: bool) -> None:
    """Print how many numbers there are."""
    listed = _listed(replies, coverage_entries)
    if as_json:
        return _write("entries", listed, replies, totals=[(c, answer.quantity) for c, answer in answered(replies)])
    groups = tuple(dict.fromkeys(name for _, entry in listed for name in entry.group))
    columns = (*(name.upper().replace("_", " ") for name in groups), "CARRIER", "QUANTITY")
    cells = [
        (*(clean(entry.group.get(name)) for name in groups), carrier, str(entry.quantity)) for carrier, entry in listed
    ]
    _table(columns, cells, replies, none="no such numbers")
    for carrier, answer in answered(replies):
        if groups and answer.quantity is not None:
            aside().print(f"{carrier}: {answer.quantity} in all")
    return None


def show_restrictions(replies: Replies[tuple[Restriction, ...]], *, as_json: bool) -> None:
    """Print the rules of sale."""
    listed = _listed(replies, lambda rules: rules)
    if as_json:
        return _write("restrictions", listed, replies)
    cells = [
        (r.country, carrier, r.number_type or _EVERY_TYPE, clean(r.nature), clean(r.subject), clean(r.rule))
        for carrier, r in listed
    ]
    _table(_RULE, cells, replies, none="no restrictions")
    return None


def show_number(replies: Replies[HeldNumber], *, as_json: bool) -> None:
    """Print a carrier's record of a number."""
    listed = _listed(replies, lambda held: (held,))
    if as_json:
        return _write("numbers", listed, replies)
    for carrier, held in listed:
        console = screen()
        heading(console, held.e164, carrier)
        console.print(pairs(_held_pairs(held)))
    return None


def show_numbers(replies: Replies[Holdings], *, as_json: bool) -> None:
    """Print the numbers in service."""
    listed = _listed(replies, lambda holdings: holdings.listed)
    if as_json:
        return _write("numbers", listed, replies, totals=[(c, answer.total) for c, answer in answered(replies)])
    cells = [(held.e164, carrier, clean(held.status)) for carrier, held in listed]
    _table(("NUMBER", "CARRIER", "STATUS"), cells, replies, none="no such numbers")
    for carrier, answer in answered(replies):
        _print_unreadable(carrier, answer.unreadable)
        if answer.total is not None and answer.total > len(answer.listed):
            aside().print(f"{carrier}: {len(answer.listed)} of {answer.total}; --limit reads more")
    return None


def _listed(replies: Replies[Answer], entries: Callable[[Answer], Iterable[Entry]]) -> Listed[Entry]:
    """Return the entries of all answers, each with its carrier."""
    return [(carrier, entry) for carrier, answer in answered(replies) for entry in entries(answer)]


def _table(
    columns: Sequence[str], cells: Sequence[Sequence[Text | str]], replies: Replies[Answer], *, none: str
) -> None:
    """Print the table, without its empty columns."""
    console = screen()
    if not cells:
        if answered(replies):
            console.print(none)
        return
    filled = [index for index in range(len(columns)) if any(str(line[index]) for line in cells)]
    shown = [[line[index] for index in filled] for line in cells]
    output.rows(console, [columns[index] for index in filled], shown, whole=1)


def _write(
    name: str, listed: Listed[Any], replies: Replies[Answer], **totals: Sequence[tuple[CarrierName, int | None]]
) -> None:
    entries = [{"carrier": carrier, **asdict(entry)} for carrier, entry in listed]
    sums = {what: dict(of) for what, of in totals.items()}
    write_json({name: entries, **sums, "failures": failures_to_json(replies)})


def _offer_cells(carrier: CarrierName, offer: Offer) -> tuple[str, ...]:
    where = (offer.state, offer.city, offer.rate_center, offer.lata, offer.area_code, offer.tier)
    return (offer.e164, carrier, *map(clean, (offer.country, offer.number_type, *where)))


def _held_pairs(held: HeldNumber) -> list[tuple[str, str]]:
    return [
        ("status", clean(held.status)),
        ("account", clean(held.account)),
        ("sub-account", clean(held.sub_account)),
        ("carrier order", clean(held.carrier_order_id)),
        ("ordered", _utc(held.ordered_at)),
        ("in service", _utc(held.in_service_at)),
        ("changed", _utc(held.changed_at)),
    ]


def _print_unreadable(carrier: CarrierName, count: int) -> None:
    if count:
        aside().print(f"{carrier}: {count} entries are not telephone numbers, and are left out")


def _utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
