"""Fault rules: which requests are faulted, how, and how often it has happened.

Knows rules and counts. `routes.py` carries the faults out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import count
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter


class FaultKind(StrEnum):
    """Every fault. `before`: the request is not processed; `after`: it is processed, and its answer is lost."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    SLOW = "slow"
    GARBAGE = "garbage"
    HTML = "html"
    EMPTY = "empty"
    TOO_MANY_REQUESTS = "too_many_requests"
    TIMEOUT_400 = "timeout_400"
    CODE_5086 = "code_5086"


_NEVER_PROCESSED = {
    FaultKind.DROP_BEFORE,
    FaultKind.ERROR_BEFORE,
    FaultKind.HANG_BEFORE,
    FaultKind.TOO_MANY_REQUESTS,
}
_ONLY_AT = {FaultKind.TIMEOUT_400: "bandwidth", FaultKind.CODE_5086: "bandwidth"}
_PROCESSED_BY_CHOICE = {
    FaultKind.GARBAGE,
    FaultKind.HTML,
    FaultKind.EMPTY,
    FaultKind.TIMEOUT_400,
    FaultKind.CODE_5086,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a rule applies to; a field that is left out matches everything.

    `path` is the template in the report (`/orders`, `/orders/{orderId}`); `*` stands for anything.
    `customer_order_id` is our reference, whatever the carrier calls it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    method: str | None = None
    path: str | None = None
    customer_order_id: str | None = None
    carrier: str | None = None

    def fits(self, request: "RequestFacts") -> bool:
        """Return whether the rule applies to this request."""
        return (
            self.method in {None, request.method}
            and self.carrier in {None, request.carrier}
            and self.customer_order_id in {None, request.reference}
            and (self.path is None or fnmatchcase(request.template, self.path))
        )


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a rule can match."""

    carrier: str
    method: str
    template: str
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule: what to match, what to do, how often.

    docs/sandbox.md says what `status` and `delay_s` mean for each kind. For the kinds that allow both, `processed` says
    whether the order is made before its answer is faulted.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    fault: FaultKind
    match: Match = field(default_factory=Match)
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    delay_s: Annotated[float, Field(ge=0)] | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int = 7
    processed: bool = True

    @property
    def reaches_carrier(self) -> bool:
        """Return whether the request is processed at all."""
        return self.fault not in _NEVER_PROCESSED and (self.processed or self.fault not in _PROCESSED_BY_CHOICE)


_READER: TypeAdapter[Fault] = TypeAdapter(Fault)


def read_fault(given: Mapping[str, Any]) -> Fault:
    """Read a rule as the control API receives it.

    Raises:
        pydantic.ValidationError: an unknown field or fault, or a value out of its range.
    """
    return _READER.validate_python(dict(given))


class _Rule:
    """A rule with its own random generator and its counts."""

    def __init__(self, rule_id: int, fault: Fault) -> None:
        self.rule_id = rule_id
        self.fault = fault
        self.seen = 0
        self.hits = 0
        self._dice = Random(fault.seed)

    def applies_to(self, facts: RequestFacts) -> bool:
        worn_out = self.fault.times is not None and self.hits >= self.fault.times
        offered_here = _ONLY_AT.get(self.fault.fault, facts.carrier) == facts.carrier
        if worn_out or not offered_here or not self.fault.match.fits(facts):
            return False
        self.seen += 1
        hit = self._dice.random() < self.fault.probability
        self.hits += hit
        return hit

    def as_json(self) -> dict[str, Any]:
        return {"id": self.rule_id, "seen": self.seen, "hits": self.hits, **asdict(self.fault)}


class FaultRules:
    """The rules in force, oldest first. Of several that apply, the first is carried out."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> dict[str, Any]:
        """Put a rule in force and describe it."""
        rule = _Rule(next(self._ids), fault)
        self._rules.append(rule)
        return rule.as_json()

    def select(self, facts: RequestFacts) -> Fault | None:
        """Return the fault for this request, or None."""
        return next((rule.fault for rule in self._rules if rule.applies_to(facts)), None)

    def clear(self) -> int:
        """Remove every rule and return how many there were."""
        dropped = len(self._rules)
        self._rules.clear()
        return dropped

    def as_json(self) -> list[dict[str, Any]]:
        """List the rules with how often each matched and was carried out."""
        return [rule.as_json() for rule in self._rules]
