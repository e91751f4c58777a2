"""All cases, and what tests are multiplied by."""

from collections.abc import Iterator, Sequence

import pytest
from _pytest.mark import ParameterSet

from tests.contract.adapters.case import Case, Fate, Offer
from tests.contract.adapters.cases import bandwidth, cm, meridian, swift

CASES: Sequence[Case] = (bandwidth.CASE, cm.CASE, swift.CASE, meridian.CASE)

every_case = pytest.mark.parametrize("case", CASES, ids=[case.entry.name for case in CASES])


def every_offer(*fates: Fate, prepared: bool = False) -> pytest.MarkDecorator:
    """Multiply a test by everything that can be ordered with one of these fates; with none given, by everything.

    With `prepared`, by what takes more than one step.
    """
    names = ("case", "offer", "fate") if fates else ("case", "offer")
    return pytest.mark.parametrize(names, list(_with_fate(fates) if fates else _all(prepared=prepared)))


def _all(*, prepared: bool) -> Iterator[ParameterSet]:
    for case in CASES:
        for offer in case.offers:
            if prepared and not offer.prepares:
                continue
            yield pytest.param(case, offer, id=_id(case, offer))


def _with_fate(fates: Sequence[Fate]) -> Iterator[ParameterSet]:
    for case in CASES:
        for offer in case.offers:
            for fate in fates:
                if fate in offer.wishes:
                    yield pytest.param(case, offer, fate, id=f"{_id(case, offer)}-{fate}")


def _id(case: Case, offer: Offer) -> str:
    return f"{case.entry.name}-{offer.what.replace(' ', '_')}"
