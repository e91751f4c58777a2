"""What CM.com's pages say in words and numbers, and what we assume where they are silent.

The stored page "Create Number Request" lost the names of its fields: it keeps their order, types and texts. So nearly
every name on the wire stands under INFERRED, here and nowhere else; docs/carriers/cm.md gives the ground of each.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

CARRIER: Final = "cm"

# --- Documented -------------------------------------------------------------------------------

QUANTITY_MAX: Final = 1000
TOKEN_HEADER: Final = "X-CM-PRODUCTTOKEN"  # noqa: S105  the name of the header, no secret
SKIP: Final = "skip"
TAKE: Final = "take"
TOTAL_HEADER: Final = "x-cm-pagination-total"


class NumberType(StrEnum):
    """The three types of numbers, in our words."""

    LOCAL = "local"
    NATIONAL = "national"
    TOLL_FREE = "toll_free"


# --- INFERRED ---------------------------------------------------------------------------------

TYPE_WORDS: Final[Mapping[NumberType, str]] = MappingProxyType(
    {NumberType.LOCAL: "LOCAL", NumberType.NATIONAL: "NATIONAL", NumberType.TOLL_FREE: "TOLLFREE"}
)
"""The company profile page has these words; the page of the request itself lost its own."""

REQUESTS_PATH: Final = "/voice-phonenumberrequestapi/v1/{account}/numberRequests"
RESTRICTIONS_PATH: Final = "/voice-phonenumberrequestapi/v1/{account}/restrictions"
CANCEL: Final = "/cancel"
"""Added to the path of a number request, and POSTed to. Cancelling is offered; how it is asked for was not found."""


class Sent:
    """The fields of a number request as we send it."""

    PROFILE: Final = "companyProfileGuid"
    QUANTITY: Final = "quantity"
    RANGE_SIZE: Final = "rangeSize"
    TYPE: Final = "phoneNumberType"
    AREA_CODE: Final = "areaCode"
    CITY: Final = "city"
    REGION: Final = "region"
    COMMENT: Final = "comment"
    CALLBACK: Final = "callbackUrl"


class Shown:
    """The fields of a number request as CM.com shows it."""

    GUID: Final = "guid"
    STATUS: Final = "status"
    REASON: Final = "statusReason"
    COMMENT: Final = "comment"
    CREATED_ON: Final = "createdOn"
    RANGES: Final = "ranges"
    START: Final = "start"
    SIZE: Final = "size"


class Restricted:
    """The fields of the restrictions on number requests, and of the question for them."""

    PROFILE: Final = "companyProfileGuid"
    TYPE: Final = "phoneNumberType"
    QUANTITY_MAX: Final = "maximumQuantity"
    RANGE_SIZES: Final = "allowedRangeSizes"


class Fault:
    """The fields of an error body: those of CM.com's own services, and those that .NET gives by itself."""

    MESSAGE: Final = "message"
    CODE: Final = "messageCode"
    DETAIL: Final = "messageDetail"
    TITLE: Final = "title"
    ERRORS: Final = "errors"


class Meaning(StrEnum):
    """What a status means for an order."""

    OPEN = "open"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


STATUSES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "created": Meaning.OPEN,
        "new": Meaning.OPEN,
        "pending": Meaning.OPEN,
        "accepted": Meaning.OPEN,
        "in progress": Meaning.OPEN,
        "completed": Meaning.COMPLETED,
        "rejected": Meaning.REJECTED,
        "cancelled": Meaning.CANCELLED,
        "canceled": Meaning.CANCELLED,
    }
)
"""The endpoint that lists the statuses is known, its values are not. Settings add to this and override it."""

REFERENCE: Final = "number-orders:{order_id}"
"""How the comment begins. The comment is the only free text that a request has."""

TIMED_OUT: Final = re.compile(rb"time[sd]?[ -]?out", re.IGNORECASE)
"""A refusal with these words may be none."""

GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""Whatever this does not match is never put into a path."""

PAGE_SIZE: Final = 100
PAGES_MAX: Final = 100
"""Ten thousand number requests. CM.com has no filter that finds ours, so the list is read whole."""

NUMBERS_READ_MAX: Final = 10 * QUANTITY_MAX
"""No request may get more than a tenth of this. A range that claims more is no range."""

NANPA: Final = frozenset({
    "USA", "CAN", "AIA", "ASM", "ATG", "BHS", "BMU", "BRB", "CYM", "DMA", "DOM", "GRD", "GUM",
    "JAM", "KNA", "LCA", "MNP", "MSR", "PRI", "SXM", "TCA", "TTO", "VCT", "VGB", "VIR",
})  # fmt: skip
"""Countries of the North American Numbering Plan, ISO 3166 alpha-3. CM.com wants a region there."""


def same_word(word: str) -> str:
    """Return a status without what spelling adds: `InProgress`, `in_progress` and `In progress` are one word."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
