"""Which request each sample belongs to. How it must be read is in the tests of its carrier."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
_BANDWIDTH: Final = "/api/v2/accounts/{accountId}"


class Role(StrEnum):
    """What a sample is."""

    REQUEST = "request"
    ANSWER = "answer"
    BROKEN_REQUEST = "broken request"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True)
class Sample:
    """One file, and the request line that it is printed with. `status` is an answer's."""

    file: str
    role: Role
    line: str
    status: int | None = None

    @property
    def carrier(self) -> str:
        """The carrier whose page prints it."""
        return self.file.partition("/")[0]

    @property
    def body(self) -> bytes:
        """The file's content."""
        return (FOLDER / self.file).read_bytes()


SAMPLES: Final[Sequence[Sample]] = (
    Sample("bandwidth/01-restrictions-answer.xml", Role.ANSWER, "GET /api/v2/restrictions?countryCodeA3=ITA", 200),
    Sample(
        "bandwidth/02-search-gbr-answer.xml",
        Role.ANSWER,
        f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=GBR&phoneNumberType=GEOGRAPHIC&quantity=5",
        200,
    ),
    Sample(
        "bandwidth/03-search-raleigh-answer.xml",
        Role.ANSWER,
        f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=USA&quantity=5&city=Raleigh&state=NC",
        200,
    ),
    Sample("bandwidth/04-order.xml", Role.REQUEST, f"POST {_BANDWIDTH}/orders"),
    Sample("bandwidth/05-order-answer.xml", Role.ANSWER, f"POST {_BANDWIDTH}/orders", 201),
    Sample("bandwidth/06-order-status-answer.xml", Role.ANSWER, f"GET {_BANDWIDTH}/orders/{{orderId}}", 200),
    Sample(
        "swift/01-coverage-answer.json",
        Role.ANSWER,
        "GET /api/v1/inventory/coverage?number_type=tendlc&group_by[]=npa",
        200,
    ),
    Sample("swift/02-cart.json", Role.REQUEST, "POST /api/v1/carts"),
    Sample("swift/03-cart-answer.json", Role.ANSWER, "POST /api/v1/carts", 201),
    Sample("swift/04-new-numbers.json", Role.REQUEST, "POST /api/v1/carts/{cart_id}/requests"),
    Sample("swift/05-new-numbers-answer.json", Role.ANSWER, "POST /api/v1/carts/{cart_id}/requests", 201),
    Sample("swift/06-checkout-answer.json", Role.ANSWER, "POST /api/v1/carts/{cart_id}/checkout", 200),
    Sample(
        "swift/07-coverage-answer-value-twice.json",
        Role.ANSWER,
        "GET /api/v1/inventory/coverage?number_type=tendlc&group_by[]=npa",
        200,
    ),
    Sample("swift/08-remove-numbers.json", Role.REQUEST, "POST /api/v1/carts/{cart_id}/requests"),
    Sample("swift/09-remove-numbers-answer.json", Role.ANSWER, "POST /api/v1/carts/{cart_id}/requests", 201),
    Sample("swift/10-checkout-answer.json", Role.ANSWER, "POST /api/v1/carts/{cart_id}/checkout", 200),
    Sample("swift/11-add-messaging-numbers.json", Role.REQUEST, "POST /api/v1/carts/{cart_id}/requests"),
    Sample("swift/11-add-messaging-numbers.broken.json", Role.BROKEN_REQUEST, "POST /api/v1/carts/{cart_id}/requests"),
    Sample(
        "cm/01-fields.json",
        Role.FIELDS,
        "POST /voice-phonenumberrequestapi/v1/{accountGuid}/numberRequests",
    ),
)

OTHER_LINES: Final[Sequence[str]] = (
    f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=DEU&quantity=5",
    f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=DEU&PhoneNumberType=NATIONAL&quantity=5",
    f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=DEU&areaCode=30&quantity=5",
    f"GET {_BANDWIDTH}/availableNumbers?countryCodeA3=DEU&City=Berlin&quantity=5",
)
"""Requests that Bandwidth's page prints without an answer."""


def sample(file: str) -> Sample:
    """Return one sample."""
    return next(one for one in SAMPLES if one.file == file)


def of(carrier: str, role: Role) -> set[str]:
    """Return the files of one carrier that have a role."""
    return {one.file for one in SAMPLES if (one.carrier, one.role) == (carrier, role)}
