"""Reads number requests. Field names are a guess, as docs/sandbox.md says; the rules are from the page."""

import re
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from number_orders.sandbox.cm.access import CmAccount, Profile
from number_orders.sandbox.cm.stock import NANPA, restrictions

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAMED: Final = re.compile(r"\bref(?:erence)?\s*[=:]\s*(\S+)", re.IGNORECASE)


class Refused(Exception):
    """A request that is refused, with every reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


class NumberRequest(BaseModel):
    """The body of Create Number Request."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)

    company_profile_guid: Annotated[UUID, Field(strict=False)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    range_size: Annotated[int, Field(ge=1)] | None = None
    phone_number_type: str
    area_code: str | None = None
    city: str | None = None
    region: str | None = None
    comment: str | None = None
    callback_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+\S*$")] | None = None

    @property
    def size(self) -> int:
        """Return the size of each range; without ranges, each number is a range of its own."""
        return self.range_size or 1


def read_request(body: bytes) -> NumberRequest:
    """Read the body of a POST.

    Raises:
        Refused: it is not JSON, or a field cannot be read.
    """
    try:
        return NumberRequest.model_validate_json(body)
    except ValidationError as fault:
        raise Refused([_reason(each["loc"], each["msg"]) for each in fault.errors(include_url=False)]) from fault


def profile_for(request: NumberRequest, account: CmAccount) -> Profile:
    """Return the company that will operate the numbers, after checking every rule.

    Raises:
        Refused: the company profile is unknown, or a rule of the page or of the restrictions is broken.
    """
    profile = account.company_profiles.get(str(request.company_profile_guid))
    if profile is None:
        raise Refused(["companyProfileGuid: unknown company profile"])
    reasons = [*_place_faults(request, profile), *_size_faults(request, profile)]
    if reasons:
        raise Refused(reasons)
    return profile


def reference_in(comment: str | None) -> str:
    """Return our reference from a comment: a UUID, else what follows `ref=`, else all of it."""
    text = (comment or "").strip()
    found = _UUID.search(text)
    if found is not None:
        return found[0]
    named = _NAMED.search(text)
    return named[1] if named is not None else text


def _place_faults(request: NumberRequest, profile: Profile) -> list[str]:
    reasons = []
    if request.phone_number_type not in profile.types:
        reasons.append(f"phoneNumberType: must be one of {', '.join(profile.types)} for this company profile")
    if not request.area_code and not request.city:
        reasons.append("areaCode: required when city is not provided")
    if profile.country in NANPA and not request.region:
        reasons.append("region: required for NANPA")
    return reasons


def _size_faults(request: NumberRequest, profile: Profile) -> list[str]:
    rule = next(restrictions(profile.country, request.phone_number_type), None)
    if rule is None:
        return []
    reasons = []
    if request.quantity > rule.quantity_max:
        reasons.append(f"quantity: at most {rule.quantity_max} can be requested")
    if request.range_size is not None and request.range_size not in rule.range_sizes:
        reasons.append(f"rangeSize: allowed are {', '.join(map(str, rule.range_sizes)) or 'no ranges'}")
    elif request.quantity % request.size:
        reasons.append("quantity: must be a multiple of rangeSize")
    return reasons


def _reason(path: tuple[Any, ...], text: str) -> str:
    return f"{'.'.join(map(str, path)) or 'body'}: {text}"
