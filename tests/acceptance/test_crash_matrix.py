"""A worker dies, or a connection breaks, at the n-th I/O of an order's life, for every n: bought once, ended truly.

Of every life one order goes undisturbed and shows what I/O there is. Then there are orders that are struck at one
point each and nowhere else: all of them side by side, on one worker whose children die by the hundred.

Every blow falls at every point in every run. Where several lives pass the same point, a third of them are drawn, anew
for each seed; `make test-crashes` strikes all of them.
"""

import math
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from number_orders.embedded.engines import Engines
from number_orders.orders.reference import derive_reference
from tests.acceptance.crashing.fate import Blow, Point, Sentence, Side
from tests.acceptance.crashing.lives import LIVES, Life
from tests.acceptance.crashing.works import Case, Works, works

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]

EVERYWHERE: Final = "NUMBER_ORDERS_TEST_EVERY_LIFE"
"""The variable that has every life struck at each of its points."""
STRUCK: Final = 1 / 3
"""Of the lives that pass a point, so many are struck there."""
TRIES: Final = 3
DONE: Final = ("bought", "added", "removed", "released")
OURS: Final = ("acquired", "usable", "released")


def test_struck_at_every_point_every_order_is_bought_once_and_ends_truly(
    engines: Engines, ledger_template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with works(engines, tmp_path) as here:
        undisturbed = [Case(life, str(uuid4())) for life in LIVES for _ in range(2)]
        here.live(undisturbed)
        known = points(here, undisturbed)
        possible = list(strikes(known))
        matrix = possible if os.environ.get(EVERYWHERE) else draw(possible)
        lived, left = strike(here, matrix)

        assert untrue(here, [*undisturbed, *lived]) == []
        assert untold(here, [*undisturbed, *lived]) == []
        # Once Swift's list of numbers has a second page, a reading for all orders takes the place of each order's look.
        missed = [case for case in left if "/dids" in str(case)]
        assert [str(case) for case in left if case not in missed] == []
        assert here.deaths() >= len(killed(matrix)) - len(killed(missed))
        assert [str(life) for life in LIVES if len(struck_in(life, possible)) < (1 if life.beside else 30)] == []
        assert {case.sentence for case in matrix} == {case.sentence for case in possible}
        with capsys.disabled():
            sys.stdout.write(
                "\n".join(["", *table(possible, matrix), f"parked, and sent again by a person: {here.resolved}", ""])
            )


def killed(cases: Sequence[Case]) -> list[Case]:
    """Return the cases in which a child is killed."""
    return [case for case in cases if case.sentence and case.sentence.blow is Blow.KILLED]


def points(here: Works, undisturbed: Sequence[Case]) -> dict[str, list[Point]]:
    """Return what every undisturbed order of each life has passed; what one alone has was a busy machine's doing."""
    passed: dict[str, list[Point]] = {}
    for case in undisturbed:
        mine = here.book(case).passed
        passed[str(case.life)] = [point for point in passed.get(str(case.life), mine) if point in mine]
    return passed


def strikes(passed: Mapping[str, Sequence[Point]]) -> Iterator[Case]:
    """Yield what is to be tried: of each life, everything that can happen at each of its points."""
    for life in LIVES:
        mine, known = passed[str(life)], passed[life.beside] if life.beside else ()
        for n, point in enumerate(mine, 1):
            first = point.place not in {former.place for former in mine[: n - 1]}
            for blow in Blow:
                if point not in known and happens(blow, point, first=first):
                    yield Case(life, str(uuid4()), n, Sentence(blow, point))


def draw(possible: Sequence[Case]) -> list[Case]:
    """Return every blow at every point, in some of the lives that pass it."""
    alike = defaultdict(list)
    for case in possible:
        alike[case.sentence].append(case)
    return [case for cases in alike.values() for case in random.sample(cases, math.ceil(len(cases) * STRUCK))]


def strike(here: Works, matrix: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Live all of it, and return who lived and who is left; whoever a busy machine led past its point tries anew."""
    lived: list[Case] = []
    left = list(matrix)
    for _ in range(TRIES):
        here.live(sorted(left, key=lambda case: case.n))
        lived += left
        left = [replace(case, order_id=str(uuid4())) for case in left if not here.book(case).struck]
        if not left:
            break
    return lived, left


def happens(blow: Blow, point: Point, *, first: bool) -> bool:
    """Tell whether a blow at this point is another than those at the points around it."""
    match blow:
        case Blow.KILLED:  # who dies before one I/O has died after the one before it
            return point.side is Side.AFTER or first
        case Blow.DROPPED:  # what is lost on its way to the ledger is sent once more, as if nothing had been
            return not point.at_the_ledger or point.side is Side.AFTER
        case Blow.AWAY:  # what is claimed instead may be another order
            return point.at_the_ledger and not point.claims


def untrue(here: Works, struck: Sequence[Case]) -> list[str]:
    """Compare every order with the carriers' own books: done once, all of it, and told as it is."""
    report = here.backend.carrier.report()
    theirs = defaultdict(list)
    for order in report["orders"]:
        theirs[order["customer_order_id"]].append(order)
    orders = {str(row["order_id"]): row for row in here.rows(ENDS, list(OURS))}
    wrong = [f"{what}: {found}" for what, found in report["duplicates"].items() if found]
    wrong += [f"too early: {violation}" for violation in report["violations"]]
    for case in struck:
        ours, sold = orders[case.order_id], theirs[derive_reference("default", case.order_id)]
        done = sorted(number for order in sold for what in DONE for number in order.get(what, ()))
        if (ours["state"], sorted(ours["numbers"])) != (case.life.end, done) or len(set(done)) != len(done):
            wrong.append(f"{case}: {ours}, but the carrier says {sold}")
    return wrong


ENDS: Final = """
    SELECT order_id, state, reason,
           ARRAY(SELECT e164 FROM order_numbers AS n
                 WHERE n.order_id = orders.order_id AND n.state = ANY(%s)) AS numbers
    FROM orders"""


def untold(here: Works, struck: Sequence[Case]) -> list[str]:
    """Compare what the producer has heard: a ticket, and the end."""
    told: Mapping[str, list[dict[str, Any]]] = here.told()
    wrong = [f"{case}: no ticket" for case in struck if not here.producer.app.AsyncResult(case.order_id).successful()]
    for case in struck:
        ends = {document["state"] for document in told.get(case.order_id, ())}
        if ends != {case.life.end}:
            wrong.append(f"{case}: heard {ends}")
    return wrong


def table(possible: Sequence[Case], struck: Sequence[Case]) -> Iterator[str]:
    """Say for each life how many points it has, at how many it was struck, and how."""
    yield f"{'life':40} points struck {' '.join(f'{blow:>8}' for blow in Blow)}"
    for life in LIVES:
        blows = Counter(case.sentence.blow for case in struck if case.sentence and case.life is life)
        yield (
            f"{life!s:40} {len(struck_in(life, possible)):6} {len(struck_in(life, struck)):6} "
            f"{' '.join(f'{blows[blow]:8}' for blow in Blow)}"
        )


def struck_in(life: Life, struck: Sequence[Case]) -> set[Point]:
    """Return the points at which a life was struck."""
    return {case.sentence.point for case in struck if case.sentence and case.life is life}
