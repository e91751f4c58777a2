"""The test of the test: builds that are broken on purpose, each of which some world must notice."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from number_orders.carriers.contract import Conversation, Memory, Pace
from number_orders.carriers.http.courier import Courier, Outcome
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.events import AnswerLost, NotSent
from number_orders.simulation.carriers import POLICIES
from number_orders.simulation.ledger_connection import LedgerConnection
from number_orders.simulation.tables import Row
from number_orders.simulation.world import Parts, Plan, run

SEEDS = 40
"""Within so many a mutant must be caught."""


class ResendsWhatWasLost(Courier):
    """A lost answer is taken for a request that never left."""

    async def hold(
        self, conversation: Conversation, *, deadline: float, memory: Memory | None = None, pace: Pace | None = None
    ) -> Outcome:
        outcome = await super().hold(conversation, deadline=deadline, memory=memory, pace=pace)
        if isinstance(outcome.event, AnswerLost):
            return replace(outcome, event=NotSent(outcome.event.reason))
        return outcome


class MovesWithoutLooking(LedgerConnection):
    """Steps are written without a look at the version."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for step in params["steps"].obj if statement == "record_steps" else ():
            step["from_version"] = self._tables.orders[UUID(step["order_id"])]["version"]
        return super()._carry_out(statement, params)


class LendsToEverybody(LedgerConnection):
    """A claim keeps nobody else away."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        lent = {**params, "lease": timedelta()} if statement in {"claim", "claim_unlimited"} else params
        return super()._carry_out(statement, lent)


class KeepsNoPlaces(LedgerConnection):
    """Places in a carrier's rate are taken, and nobody waits for them."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        rows = super()._carry_out(statement, params)
        if statement == "take_rate_slot":
            return []
        return [{**row, "rate_slot_at": None} for row in rows] if statement == "claim" else rows


class SaysItIsStored(LedgerConnection):
    """Orders are acknowledged, and then not stored."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        if statement != "accept_orders":
            return super()._carry_out(statement, params)
        return [{"order_id": UUID(order["order_id"])} for order in params["orders"].obj]


IMPATIENT = {
    name: replace(policy, doubt_first=timedelta(), doubt_patience=timedelta(), doubt_asks=1, resend_when_absent=True)
    for name, policy in POLICIES.items()
}
"""Whatever is not on the carrier's list at the first look is sent again."""


def swarm(seed: int) -> Plan:
    return Plan.drawn(seed)


def frozen(seed: int) -> Plan:
    return Plan.drawn(seed, profile="clocks")


def calm_at_swift(seed: int) -> Plan:
    return Plan.drawn(seed, profile="none", carriers=["swift"])


MUTANTS: dict[str, tuple[Callable[[int], Plan], Callable[[], Parts]]] = {
    "resends on a lost answer": (swarm, lambda: Parts(courier=ResendsWhatWasLost)),
    "settles without a look at the version": (frozen, lambda: Parts(ledger=MovesWithoutLooking)),
    "claims without a lease": (swarm, lambda: Parts(ledger=LendsToEverybody)),
    "takes absence for proof at once": (swarm, lambda: Parts(policies=IMPATIENT)),
    "removes what is tainted": (calm_at_swift, lambda: Parts(taint=Taint(timedelta(minutes=1), timedelta()))),
    "sends more than a carrier's rate allows": (calm_at_swift, lambda: Parts(ledger=KeepsNoPlaces)),
    "loses what it has accepted": (swarm, lambda: Parts(ledger=SaysItIsStored)),
}
"""Each with the worlds that show it soonest."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_build_is_caught(mutant: str) -> None:
    """A simulator that finds nothing in these would find nothing in anything."""
    planned, parts = MUTANTS[mutant]
    assert any(run(planned(seed), parts=parts()).broken for seed in range(1, SEEDS + 1))
