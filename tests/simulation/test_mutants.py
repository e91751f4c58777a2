"""Tests of the simulator: builds that are broken on purpose must be caught in some world."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from number_orders.carriers.contract import Conversation, ConversationStore, RateLimiter
from number_orders.carriers.http.courier import Courier, Outcome
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.events import AnswerLost, NotSent
from number_orders.simulation.carriers import POLICIES
from number_orders.simulation.clock import EPOCH, true_now
from number_orders.simulation.ledger_connection import LedgerConnection
from number_orders.simulation.statements.history import add_event
from number_orders.simulation.tables import Row
from number_orders.simulation.world import Parts, Plan, run

SEEDS = 40
"""The number of seeds within which a mutant must be caught."""


class ResendsAfterLostAnswer(Courier):
    """Takes a lost answer for a request that was never sent."""

    async def converse(
        self,
        conversation: Conversation,
        *,
        deadline: float,
        store: ConversationStore | None = None,
        rate_limiter: RateLimiter | None = None,
    ) -> Outcome:
        outcome = await super().converse(conversation, deadline=deadline, store=store, rate_limiter=rate_limiter)
        if isinstance(outcome.event, AnswerLost):
            return replace(outcome, event=NotSent(outcome.event.reason))
        return outcome


class SkipsVersionCheck(LedgerConnection):
    """Writes steps without a check of the version."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for step in params["steps"].obj if statement == "record_steps" else ():
            order = self._tables.orders[UUID(step["order_id"])]
            step |= {"from_version": order["version"], "from_state": order["state"]}
        return super()._carry_out(statement, params)


class SharesClaims(LedgerConnection):
    """Gives a claimed order to other children too."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        lent = {**params, "lease": timedelta()} if statement in {"claim", "claim_unlimited"} else params
        return super()._carry_out(statement, lent)


class IgnoresRateSlots(LedgerConnection):
    """Takes rate slots without waiting for them."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        rows = super()._carry_out(statement, params)
        if statement == "take_rate_slot":
            return []
        return [{**row, "rate_slot_at": None} for row in rows] if statement == "claim" else rows


class AnswersFromOldReadings(LedgerConnection):
    """Answers every question from any reading, as if that had just been made."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        if statement == "put_question":
            key = (params["order_id"], params["list_name"], params["question"])
            self._tables.list_questions.setdefault(key, {**params, "asked_at": EPOCH})
        rows = super()._carry_out(statement, params)
        return [{**row, "began_at": true_now()} for row in rows] if statement == "find_in_reading" else rows


class ForgetsHoldings(LedgerConnection):
    """Holds no number that an order brings."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        rows = super()._carry_out(statement, params)
        for row in [row for row in self._tables.held if row["released_at"] is None]:
            self._tables.release_number(row["e164"], self._tables.orders[row["acquired_by"]])
        return rows


class RaisesNoAlarms(LedgerConnection):
    """Keeps every alarm to itself."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for step in params["steps"].obj if statement == "record_steps" else ():
            step["alarms"] = []
        return [{"times": 1}] if statement == "raise_alarm" else super()._carry_out(statement, params)


class RaisesFalseAlarms(LedgerConnection):
    """Says of every order that ends that it was bought twice."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        rows = super()._carry_out(statement, params)
        for row in rows if statement == "record_steps" else ():
            if self._tables.orders[row["order_id"]]["ended_at"]:
                alarm = {"what": "bought_twice", "subject": str(row["order_id"]), "detail": "", "carrier": None}
                self._watcher.on_statement("w", "raise_alarm", alarm | {"order_id": row["order_id"]}, [])
        return rows


class SeesErrorsEverywhere(LedgerConnection):
    """Ends every purchase with errors."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for step in params["steps"].obj if statement == "record_steps" else ():
            step["state"] = step["state"].replace("COMPLETED_WITH_ERRORS", "COMPLETED")
            step["state"] = step["state"].replace("COMPLETED", "COMPLETED_WITH_ERRORS")
        return super()._carry_out(statement, params)


class ForgetsLateLooks(LedgerConnection):
    """Drops the late looks that ended orders are owed."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for step in params["steps"].obj if statement == "record_steps" else ():
            step["effects"] = [effect for effect in step["effects"] if not (step["ends"] and effect["lane"] == "ask")]
        return super()._carry_out(statement, params)


class LosesAcceptedOrders(LedgerConnection):
    """Acknowledges orders without storing them."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        if statement != "accept_orders":
            return super()._carry_out(statement, params)
        return [
            {"order_id": UUID(order["order_id"]), "outcome": "ACCEPTED", "why": None} for order in params["orders"].obj
        ]


class IgnoresFalls(LedgerConnection):
    """Takes a ledger that fell back in time for the one that it was."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        self._tables.guard["identity"] = self._tables.ledger_identity
        return super()._carry_out(statement, params)


class RefersByChance(LedgerConnection):
    """Gives an order a reference that the same key does not get again."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        for order in params["orders"].obj if statement == "accept_orders" else ():
            order["reference"] = order["order_id"]
        return super()._carry_out(statement, params)


class BelievesNotices(LedgerConnection):
    """Ends an order as a notice says, without asking the carrier."""

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        rows = super()._carry_out(statement, params)
        for notice in params["notices"].obj if statement == "store_notices" else ():
            owner = self._tables.owner(notice["carrier"], notice["carrier_order_id"])
            order = self._tables.orders.get(owner) if owner else None
            end = next((state for word, state in NOTICED_ENDS.items() if f">{word}<" in notice["body"]), None)
            if order is not None and end is not None and order["state"] == "OPEN":
                order.update(state=end, ended_at=true_now(), version=order["version"] + 1)
                self._tables.drop_work(order["order_id"], set())
                add_event(self._tables, order["order_id"], order["version"], "Noticed", end, late=False, detail={})
        return rows


NOTICED_ENDS = {"COMPLETE": "COMPLETED", "PARTIAL": "PARTIAL", "FAILED": "FAILED"}


IMPATIENT = {
    name: replace(policy, doubt_first=timedelta(), doubt_patience=timedelta(), doubt_asks=1, resend_when_absent=True)
    for name, policy in POLICIES.items()
}
"""Policies that send again whatever is not on the carrier's list at the first look."""


CREDULOUS = {name: replace(policy, settle_after=timedelta(), settle_looks=1) for name, policy in POLICIES.items()}
"""Policies that believe an end that falls short at the first look."""


def lists(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="lists")


def swarm(seed: int) -> Plan:
    return Plan.from_seed(seed)


def patience(seed: int) -> Plan:
    """Start with a world that has a second purchase; most have none."""
    return Plan.from_seed(6011 + seed, profile="patience")


def late_looks(seed: int) -> Plan:
    """Start with a world in which only the late look finds a purchase."""
    return Plan.from_seed(6033 + seed, profile="patience")


def withdrawals(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="withdrawals")


def calm(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="none")


def frozen(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="clocks")


def falling(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="falls")


def noticed(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="notices", carriers=["bandwidth"])


def calm_at_swift(seed: int) -> Plan:
    return Plan.from_seed(seed, profile="none", carriers=["swift"])


MUTANTS: dict[str, tuple[Callable[[int], Plan], Callable[[], Parts]]] = {
    "resends on a lost answer": (swarm, lambda: Parts(courier=ResendsAfterLostAnswer)),
    "settles without a version check": (frozen, lambda: Parts(ledger=SkipsVersionCheck)),
    "claims without a lease": (swarm, lambda: Parts(ledger=SharesClaims)),
    "resends at the first absence": (swarm, lambda: Parts(policies=IMPATIENT)),
    "removes tainted numbers": (calm_at_swift, lambda: Parts(taint=Taint(timedelta(minutes=1), timedelta()))),
    "sends more than a carrier's rate allows": (calm_at_swift, lambda: Parts(ledger=IgnoresRateSlots)),
    "takes a ledger that fell back for the same": (falling, lambda: Parts(ledger=IgnoresFalls)),
    "gives references by chance": (falling, lambda: Parts(ledger=RefersByChance)),
    "answers from old readings": (calm_at_swift, lambda: Parts(ledger=AnswersFromOldReadings)),
    "believes an end at once": (lists, lambda: Parts(policies=CREDULOUS)),
    "holds no numbers": (calm, lambda: Parts(ledger=ForgetsHoldings)),
    "is silent about second purchases": (patience, lambda: Parts(ledger=RaisesNoAlarms)),
    "is silent about withdrawn numbers": (withdrawals, lambda: Parts(ledger=RaisesNoAlarms)),
    "raises false alarms": (calm, lambda: Parts(ledger=RaisesFalseAlarms)),
    "ends without errors as with errors": (calm, lambda: Parts(ledger=SeesErrorsEverywhere)),
    "makes no late look": (late_looks, lambda: Parts(ledger=ForgetsLateLooks)),
    "believes notices": (noticed, lambda: Parts(ledger=BelievesNotices)),
    "loses accepted orders": (swarm, lambda: Parts(ledger=LosesAcceptedOrders)),
}
"""Each with the worlds that catch it soonest."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_build_is_caught(mutant: str) -> None:
    """A simulator that misses these would find nothing."""
    planned, parts = MUTANTS[mutant]
    assert any(run(planned(seed), parts=parts()).broken for seed in range(1, SEEDS + 1))
