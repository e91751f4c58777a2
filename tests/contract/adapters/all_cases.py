"""All cases, and the decorators that run a test for each of them."""

from collections.abc import Iterator, Sequence

import pytest
from _pytest.mark import ParameterSet

from tests.contract.adapters.case import Case, Fate, Product
from tests.contract.adapters.cases import bandwidth, cm, meridian, swift

CASES: Sequence[Case] = (bandwidth.CASE, cm.CASE, swift.CASE, meridian.CASE)

every_case = pytest.mark.parametrize("case", CASES, ids=[case.entry.name for case in CASES])


def every_product(*fates: Fate, prepared: bool = False) -> pytest.MarkDecorator:
    """Run a test for every product; with fates, for every product and fate that has a plan.

    With `prepared`, only for products that need more than one step.
    """
    names = ("case", "product", "fate") if fates else ("case", "product")
    return pytest.mark.parametrize(names, list(_with_fate(fates) if fates else _all(prepared=prepared)))


def _all(*, prepared: bool) -> Iterator[ParameterSet]:
    for case in CASES:
        for product in case.products:
            if prepared and not product.prepares:
                continue
            yield pytest.param(case, product, id=_id(case, product))


def _with_fate(fates: Sequence[Fate]) -> Iterator[ParameterSet]:
    for case in CASES:
        for product in case.products:
            for fate in fates:
                if fate in product.plans:
                    yield pytest.param(case, product, fate, id=f"{_id(case, product)}-{fate}")


def _id(case: Case, product: Product) -> str:
    return f"{case.entry.name}-{product.what.replace(' ', '_')}"
