"""An adapter accepts what it declares, and the carrier accepts what the adapter accepts."""

from dataclasses import replace

from number_orders.orders.events import Acknowledged
from number_orders.orders.model import Kind
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.all_cases import CASES, every_case, every_product
from tests.contract.adapters.case import Case, Fate, OrderPlan, Product
from tests.contract.adapters.harness import open_harness, run, set_up
from tests.contract.fourth_carrier.settings import MERIDIAN, SettingsWithMeridian
from workers.carriers import CARRIERS, configured_carriers

NOWHERE = "http://127.0.0.1:9"


def test_every_carrier_of_the_registry_keeps_the_contract() -> None:
    assert [case.entry for case in CASES] == [*CARRIERS, MERIDIAN]


@every_case
def test_an_entry_and_its_adapter_have_one_name(case: Case) -> None:
    settings = SettingsWithMeridian.model_validate({case.entry.name: dict(case.own(NOWHERE))})
    carriers = configured_carriers(settings, [*CARRIERS, MERIDIAN])
    assert carriers[set_up(case, NOWHERE).adapter.name].adapter.name == case.entry.name


@every_case
def test_kinds_that_are_not_offered_are_refused_with_the_reason(case: Case) -> None:
    adapter = set_up(case, NOWHERE).adapter
    offered = {product.kind: product for product in case.products}
    assert set(offered) == adapter.capabilities.kinds
    for kind in set(Kind) - adapter.capabilities.kinds:
        (fault, *_) = [
            fault for fault in adapter.check(replace(case.products[0].sized(1), kind=kind)) if fault.field == "kind"
        ]
        assert case.entry.title in fault.rule
        assert kind in fault.rule


@every_case
def test_backorders_are_accepted_only_where_they_are_declared(case: Case) -> None:
    adapter = set_up(case, NOWHERE).adapter
    asked = [adapter.check(replace(product.sized(1), allow_backorder=True)) for product in case.products]
    assert any(faults == () for faults in asked) is adapter.capabilities.backorder
    assert all(fault.field == "allow_backorder" for faults in asked for fault in faults)


@every_case
def test_partial_fills_happen_only_where_they_are_declared(case: Case) -> None:
    declared = set_up(case, NOWHERE).adapter.capabilities.partial_fill
    assert any(Fate.PARTIAL in product.plans for product in case.products) is declared


@every_product()
def test_quantity_is_limited_as_declared(control: SandboxControl, case: Case, product: Product) -> None:
    async def bounded() -> None:
        async with open_harness(case, control) as harness:
            most = harness.adapter.capabilities.quantity_max
            too_many = harness.adapter.check(product.sized(most + 1))
            assert {fault.field for fault in too_many} <= {"quantity", "numbers"}
            assert too_many
            placed = await harness.begin(OrderPlan(lambda _: product.sized(most)))
            assert isinstance(await placed.send(), Acknowledged)
            assert placed.carrier_orders()[0]["quantity"] == most

    run(bounded())


@every_case
def test_no_secret_is_in_a_repr(case: Case) -> None:
    carrier = set_up(case, NOWHERE)
    printed = repr(carrier) + repr(case.entry) + repr(carrier.authenticator())
    assert not [secret for secret in case.secrets if secret in printed]
