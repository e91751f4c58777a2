"""What each carrier offers beside the orders that have modules of their own: criteria, limits, questions, reservations.

And what none of them does: it is refused at the door, with the reason, and the carrier hears nothing of it.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from config.settings import PREFIX
from number_orders.cli.stack.environment import spelled
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import QUICK, Backend, MakeOrder, Producer
from tests.acceptance.conftest import environment as backend_environment
from tests.acceptance.demo_processes import NUMBER_ORDERS
from tests.acceptance.queries import acquired, rows, sold_for, traces
from tests.acceptance.swift_orders import brought_along
from tests.later import LATER
from tests.processes import eventually

pytestmark = pytest.mark.acceptance

Order = dict[str, Any]
NAMED = {"criteria": None, "quantity": None, "numbers": ["+19195550123"]}
DUTCH = {"country": "NLD", "number_type": "local", "npa": "020"}

BANDWIDTH_CRITERIA: Mapping[str, Order] = {
    "area code": {"npa": "303"},
    "NPA-NXX": {"npa": "984", "nxx": "247"},
    "thousands block": {"npa": "984", "nxx": "247", "thousands_block": "1"},
    "rate center": {"rate_center": "DENVER", "state": "CO"},
    "city": {"city": "AUSTIN", "state": "TX"},
    "state": {"state": "WA"},
    "ZIP": {"zip": "60601"},
    "LATA": {"lata": "128"},
    "vanity": {"vanity": "HOME", "npa": "704"},
    "toll-free pattern": {"number_type": "toll_free", "toll_free_pattern": "83*"},
    "toll-free vanity": {"number_type": "toll_free", "vanity": "FLOWERS"},
    "a combination": {"npa": "919", "city": "DURHAM", "state": "NC"},
}
CM_CRITERIA: Mapping[str, Order] = {
    "area code": DUTCH,
    "city": {"country": "NLD", "number_type": "local", "city": "Rotterdam"},
    "both": {"country": "GBR", "number_type": "local", "npa": "020", "city": "London"},
    "a region": {"country": "USA", "number_type": "local", "npa": "646", "state": "NY"},
    "another type": {"country": "NLD", "number_type": "toll_free", "npa": "0800"},
}
MOST: Mapping[str, tuple[Order, str]] = {
    "swift": ({"npa": "919"}, "quantity: must be 1 to 1000"),
    "cm": (DUTCH, "quantity: must be 1 to 1000"),
    "bandwidth": ({"npa": "919"}, "quantity: "),
}
REFUSED: Mapping[tuple[str, str], tuple[Order, str]] = {
    ("swift", "ranges"): ({"range_size": 10, "quantity": 10}, "range_size: is not offered"),
    ("bandwidth", "ranges"): ({"range_size": 10, "quantity": 10}, "range_size: is not offered"),
    ("swift", "named numbers"): (NAMED, "numbers: Swift sells no numbers by name"),
    ("cm", "named numbers"): (NAMED, "numbers: CM.com sells no numbers by name"),
    ("cm", "messaging"): ({**NAMED, "kind": "add_messaging_numbers"}, "kind: "),
    ("bandwidth", "messaging"): ({**NAMED, "kind": "add_messaging_numbers"}, "kind: "),
    ("cm", "sub accounts"): ({"criteria": DUTCH, "account": "01"}, "account: is not offered"),
    ("cm", "removals"): ({**NAMED, "kind": "remove_numbers"}, "kind: "),
    ("cm", "taint window"): ({"criteria": DUTCH, "when_tainted": "split"}, "when_tainted: "),
    ("bandwidth", "taint window"): (
        {**NAMED, "kind": "remove_numbers", "when_tainted": "split"},
        "when_tainted: Bandwidth has no taint window",
    ),
    ("swift", "backorder"): ({"allow_backorder": True}, "allow_backorder: is not offered"),
    ("cm", "backorder"): ({"criteria": DUTCH, "allow_backorder": True}, "allow_backorder: is not offered"),
}
NOT_ANSWERED = {
    "search": ("swift", "cm"),
    "coverage": ("cm", "bandwidth"),
    "restrictions": ("swift",),
    "number": ("swift", "cm"),
    "numbers": ("cm",),
    "reconcile": ("cm",),
    "reserve": ("swift", "cm"),
}


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """One installation for all of these."""
    return shared_backend


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return three_carriers()


def three_carriers() -> dict[str, str]:
    """Return settings of all carriers there are, but for their address: practice accounts, quickly asked."""
    own = {
        f"{PREFIX}{carrier}__{name}".upper(): spelled(value)
        for carrier, values in sandbox_settings("").items()
        for name, value in ({**values, **QUICK}).items()
    }
    return {name: value for name, value in own.items() if not name.endswith("__BASE_URL")}


def told(backend: Backend, *words: str) -> Any:
    """Run a command as a person would, and return what it tells a machine."""
    addresses = backend_environment(backend.ledger_url, backend.broker_url, backend.carrier)
    env = {**os.environ, **addresses, **three_carriers()}
    done = subprocess.run(
        [*NUMBER_ORDERS, *words, "--json"], env=env, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def ended(producer: Producer, orders: Mapping[str, Order]) -> dict[str, Order]:
    """Hand orders in all at once, and return their documents when all of them are at their end."""
    order_ids = {what: producer.submit(order)["order_id"] for what, order in orders.items()}
    return {what: producer.await_end(order_id) for what, order_id in order_ids.items()}


def untrue(carrier: SandboxControl, documents: Mapping[str, Order]) -> dict[str, Order]:
    """Return the orders that are not COMPLETED with just what was sold."""
    return {
        what: document
        for what, document in documents.items()
        if document["state"] != "COMPLETED"
        or [acquired(document)] != [sorted(sold["bought"]) for sold in sold_for(carrier, document)]
    }


def test_bandwidth_sells_by_every_criterion(producer: Producer, an_order: MakeOrder, carrier: SandboxControl) -> None:
    orders = {what: an_order(criteria=criteria) for what, criteria in BANDWIDTH_CRITERIA.items()}
    documents = ended(producer, orders)

    assert untrue(carrier, documents) == {}
    ((toll_free,), (vanity,), (exchange,)) = (
        acquired(documents[what]) for what in ("toll-free vanity", "vanity", "thousands block")
    )
    assert toll_free.endswith("3569377")
    assert vanity.startswith("+1704")
    assert "4663" in vanity
    assert exchange.startswith("+19842471")


def test_cm_sells_by_every_criterion(producer: Producer, an_order: MakeOrder, carrier: SandboxControl) -> None:
    orders = {what: an_order(carrier="cm", criteria=criteria) for what, criteria in CM_CRITERIA.items()}
    assert untrue(carrier, ended(producer, orders)) == {}


@pytest.mark.parametrize("name", MOST)
def test_the_most_in_one_order(producer: Producer, an_order: MakeOrder, name: str) -> None:
    """As many as the table says are taken, here for a day that does not come; one more is refused."""
    criteria, rule = MOST[name]
    most = {"swift": 1000, "cm": 1000, "bandwidth": 5000}[name]
    taken = an_order(carrier=name, criteria=criteria, quantity=most, not_before=LATER)
    ticket = producer.submit(taken)
    assert producer.call("orders.cancel", ticket["order_id"])["state"] == "CANCELLED"
    with pytest.raises(ValueError, match=rule):
        producer.submit(an_order(carrier=name, criteria=criteria, quantity=most + 1))


def test_a_sub_account_of_bandwidth(producer: Producer, an_order: MakeOrder, ledger_url: str) -> None:
    """Numbers go to the site that the order names."""
    documents = ended(producer, {"other": an_order(options={"site_id": "744", "peer_id": "500018"})})
    assert documents["other"]["state"] == "COMPLETED"
    kept = rows(ledger_url, "SELECT sent FROM receipts WHERE order_id = %s", documents["other"]["order_id"])
    (sent,) = (row["sent"] for row in kept if row["sent"])
    assert "<SiteId>744</SiteId>" in sent
    assert "<PeerId>500018</PeerId>" in sent


def test_all_or_nothing_at_bandwidth(producer: Producer, an_order: MakeOrder, carrier: SandboxControl) -> None:
    short = {"criteria": {"npa": "808"}, "quantity": 4}
    documents = ended(producer, {"all": an_order(**short, allow_partial=False), "some": an_order(**short)})
    assert {what: (end["state"], len(acquired(end))) for what, end in documents.items()} == {
        "all": ("FAILED", 0),
        "some": ("PARTIAL", 2),
    }


def test_numbers_that_a_search_has_found_are_bought_by_name(
    backend: Backend, producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    found = [offer["e164"] for offer in search(backend, "--npa", "206", "--quantity", "2")]
    documents = ended(producer, {"named": an_order(criteria=None, quantity=None, numbers=found)})
    assert untrue(carrier, documents) == {}
    assert acquired(documents["named"]) == sorted(found)


@pytest.mark.parametrize(("name", "what"), REFUSED)
def test_what_a_carrier_does_not_offer_is_refused_at_the_door(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl, ledger_url: str, name: str, what: str
) -> None:
    changes, rule = REFUSED[name, what]
    order, order_id = an_order(**{"carrier": name, **changes}), str(uuid4())
    with pytest.raises(ValueError, match="order refused") as refused:
        producer.submit(order, order_id=order_id)
    assert rule in str(refused.value)
    assert traces(ledger_url, carrier, order_id, order["key"]) == []


def test_swift_calls_nothing_back(producer: Producer, carrier: SandboxControl) -> None:
    """An order that is open there stays so, and whoever calls it back is told why."""
    order_id = producer.submit(brought_along("+12025559905"))["order_id"]
    for _ in eventually():
        if producer.call("orders.get", order_id)["state"] == "OPEN":
            break
    with pytest.raises(Exception, match="swift"):
        producer.call("orders.cancel", order_id)
    assert producer.call("orders.get", order_id)["state"] == "OPEN"


def test_bandwidth_is_searched_in_north_america_and_abroad(backend: Backend) -> None:
    for words in (("--city", "RALEIGH", "--state", "NC"), ("--vanity", "HOME", "--npa", "704")):
        assert [offer["country"] for offer in search(backend, *words, "--quantity", "2")] == ["USA", "USA"]
    (abroad,) = search(backend, "--country", "DEU", "--npa", "30", "--quantity", "1")
    assert abroad["e164"].startswith("+4930")


def test_swift_counts_what_it_has(backend: Backend) -> None:
    """Grouped by all six fields at once, and one of those groups again by every filter there is."""
    fields = ("npa", "nxx", "lata", "state", "rate_center", "country_code")
    grouped = told(backend, "coverage", "--state", "ON", *(word for field in fields for word in ("--group-by", field)))
    entries = grouped["entries"]
    first = entries[0]["group"]
    filters = {"--country": "CAN"} | {f"--{field.replace('_', '-')}": first[field] for field in fields[:-1]}
    summed = told(backend, "coverage", *(word for pair in filters.items() for word in pair))

    assert {entry["group"]["npa"] for entry in entries} == {"705", "416"}
    assert sum(entry["quantity"] for entry in entries) == grouped["totals"]["swift"]
    assert summed["totals"] == {"swift": entries[0]["quantity"]}


def test_restrictions_are_told_by_cm_and_bandwidth(backend: Backend) -> None:
    dutch = told(backend, "restrictions", "--carrier", "cm", "--country", "NLD", "--number-type", "local")
    italian = told(backend, "restrictions", "--carrier", "bandwidth", "--country", "ITA")
    assert {rule["subject"] for rule in dutch["restrictions"]} == {"quantity", "range_size"}
    assert {rule["carrier"] for rule in italian["restrictions"]} == {"bandwidth"}
    assert len(italian["restrictions"]) > 1


def test_bandwidth_tells_of_one_number_and_of_those_in_service(
    backend: Backend, producer: Producer, an_order: MakeOrder
) -> None:
    """With the order that brought it; by area code, and all."""
    documents = ended(producer, {"west": an_order(criteria={"npa": "503"}), "south": an_order(criteria={"npa": "305"})})
    (west,), (south,) = (acquired(documents[where]) for where in ("west", "south"))

    (one,) = told(backend, "number", west)["numbers"]
    here = {each["e164"] for each in told(backend, "numbers", "--npa", "503")["numbers"]}
    everywhere = {each["e164"] for each in told(backend, "numbers")["numbers"]}

    assert (one["status"], one["carrier_order_id"]) == ("Inservice", documents["west"]["carrier_order_id"])
    assert (west in here, south in here) == (True, False)
    assert {west, south} <= everywhere


def test_the_carriers_numbers_are_listed_and_compared_with_the_ledger(
    backend: Backend, producer: Producer, an_order: MakeOrder
) -> None:
    """Both sides agree on what was bought and brought along."""
    mine = "+12025550150"
    documents = ended(producer, {"brought along": brought_along(mine), "bought": an_order(criteria={"npa": "303"})})
    (bought,) = acquired(documents["bought"])

    listed = {each["e164"] for each in told(backend, "numbers", "--carrier", "swift", "--npa", "202")["numbers"]}
    compared = told(backend, "reconcile")["carriers"]

    assert documents["brought along"]["state"] == "COMPLETED"
    assert listed == {mine}
    assert compared.keys() == {"swift", "bandwidth"}
    assert [(one["orphans"], one["ghosts"]) for one in compared.values()] == [([], []), ([], [])]
    assert min(one["theirs"] for one in compared.values()) > 0
    assert bought in {each["e164"] for each in told(backend, "numbers", "--carrier", "bandwidth")["numbers"]}


def test_a_reservation_is_made_seen_used_up_and_let_go(
    backend: Backend, producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    """For four hours nobody else has the number; the order that names the reservation does, and one is let go."""
    numbers = [offer["e164"] for offer in search(backend, "--npa", "212", "--quantity", "2")]
    kept = {one["number"]: one for one in told(backend, "reserve", *numbers)["reservations"]}
    seen = told(backend, "reservations", numbers[0])["reservations"]
    ids = [kept[number]["reservation_id"] for number in numbers]
    named = [{"criteria": None, "quantity": None, "numbers": [number]} for number in numbers]
    documents = ended(
        producer, {"without": an_order(**named[0]), "with": an_order(**named[0], options={"reservation_ids": ids[:1]})}
    )
    told(backend, "unreserve", ids[1])
    free = ended(producer, {"free": an_order(**named[1])})

    assert 4 * 3600 - 600 < kept[numbers[0]]["expires_in_s"] <= 4 * 3600
    assert [one["reservation_id"] for one in seen] == ids[:1]
    assert {what: document["state"] for what, document in (documents | free).items()} == {
        "without": "FAILED",
        "with": "COMPLETED",
        "free": "COMPLETED",
    }


def test_carriers_declare_what_the_table_says(backend: Backend) -> None:
    """As `number-orders carriers` tells it: kinds, limits, rules, and which questions each answers."""
    declared = told(backend, "carriers")
    for topic, silent in NOT_ANSWERED.items():
        assert {name for name, abilities in declared.items() if not abilities[topic]} == set(silent), topic
    assert {name: abilities["quantity_max"] for name, abilities in declared.items()} == {
        "swift": 1000,
        "cm": 1000,
        "bandwidth": 5000,
    }
    assert {name for name, abilities in declared.items() if abilities["backorder"]} == {"bandwidth"}
    assert {name: abilities["taint_window_s"] for name, abilities in declared.items()} == {
        "swift": 1800,
        "cm": None,
        "bandwidth": None,
    }


def search(backend: Backend, *words: str) -> list[Order]:
    offers: list[Order] = told(backend, "search", "--carrier", "bandwidth", *words)["offers"]
    return offers
