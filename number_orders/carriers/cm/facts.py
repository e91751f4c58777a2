"""CM.com's names, words and limits: what its pages say, and what we assume where they do not.

The stored page "Create Number Request" lost the names of its fields, but kept their order, types and texts. So nearly
every name that is sent or read stands under INFERRED, here and nowhere else. docs/carriers/cm.md gives the ground of
each.
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
    """The three number types, in our words."""

    LOCAL = "local"
    NATIONAL = "national"
    TOLL_FREE = "toll_free"


# --- INFERRED ---------------------------------------------------------------------------------

TYPE_WORDS: Final[Mapping[NumberType, str]] = MappingProxyType(
    {NumberType.LOCAL: "LOCAL", NumberType.NATIONAL: "NATIONAL", NumberType.TOLL_FREE: "TOLLFREE"}
)
"""The company profile page has these words. The page of the request itself lost its own."""

REQUESTS_PATH: Final = "/voice-phonenumberrequestapi/v1/{account}/numberRequests"
RESTRICTIONS_PATH: Final = "/voice-phonenumberrequestapi/v1/{account}/restrictions"
CANCEL_SUFFIX: Final = "/cancel"
"""Follows the path of a number request, for a POST. CM.com offers to cancel; how to ask for it was not found."""


class RequestField:
    """The fields of a number request that we send."""

    PROFILE: Final = "companyProfileGuid"
    QUANTITY: Final = "quantity"
    RANGE_SIZE: Final = "rangeSize"
    TYPE: Final = "phoneNumberType"
    AREA_CODE: Final = "areaCode"
    CITY: Final = "city"
    REGION: Final = "region"
    COMMENT: Final = "comment"
    CALLBACK: Final = "callbackUrl"


class ResponseField:
    """The fields of a number request that CM.com shows."""

    GUID: Final = "guid"
    STATUS: Final = "status"
    REASON: Final = "statusReason"
    COMMENT: Final = "comment"
    QUANTITY: Final = "quantity"
    CREATED_ON: Final = "createdOn"
    RANGES: Final = "ranges"
    START: Final = "start"
    SIZE: Final = "size"


class RestrictionField:
    """The fields of restrictions on number requests, and of the question about them."""

    PROFILE: Final = "companyProfileGuid"
    TYPE: Final = "phoneNumberType"
    QUANTITY_MAX: Final = "maximumQuantity"
    RANGE_SIZES: Final = "allowedRangeSizes"


class ErrorField:
    """The fields of an error: those of CM.com's own services, and those of .NET's default errors."""

    MESSAGE: Final = "message"
    CODE: Final = "messageCode"
    DETAIL: Final = "messageDetail"
    TITLE: Final = "title"
    ERRORS: Final = "errors"


class StatusMeaning(StrEnum):
    """What a status means for an order."""

    OPEN = "open"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


STATUSES: Final[Mapping[str, StatusMeaning]] = MappingProxyType(
    {
        "created": StatusMeaning.OPEN,
        "new": StatusMeaning.OPEN,
        "pending": StatusMeaning.OPEN,
        "accepted": StatusMeaning.OPEN,
        "in progress": StatusMeaning.OPEN,
        "completed": StatusMeaning.COMPLETED,
        "rejected": StatusMeaning.REJECTED,
        "cancelled": StatusMeaning.CANCELLED,
        "canceled": StatusMeaning.CANCELLED,
    }
)
"""CM.com has an endpoint that lists the statuses; its values are not known. Settings add to this and override it."""

REFERENCE_FORMAT: Final = "number-orders:{reference}"
"""The beginning of the comment. The comment is a request's only free text."""

DIGEST_FORMAT: Final = "content:{digest}"
DIGEST: Final = re.compile(r"content:([0-9a-f]{8})")
"""The second word of the comment, a digest of what is ordered: which field shows the criteria is not known. Comments of
release 0.1.0 have none."""

TIMED_OUT: Final = re.compile(rb"time[sd]?[ -]?out", re.IGNORECASE)
"""A refusal with these words may not be one."""

GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""What does not match is never put into a path."""

PAGE_SIZE: Final = 100
PAGES_MAX: Final = 100
"""Ten thousand number requests. CM.com has no filter that finds ours, so the whole list is read."""

NUMBERS_READ_MAX: Final = 10 * QUANTITY_MAX
"""Ten times what a request may have. Ranges with more numbers are unreadable."""

NANPA: Final = frozenset({
    "USA", "CAN", "AIA", "ASM", "ATG", "BHS", "BMU", "BRB", "CYM", "DMA", "DOM", "GRD", "GUM",
    "JAM", "KNA", "LCA", "MNP", "MSR", "PRI", "SXM", "TCA", "TTO", "VCT", "VGB", "VIR",
})  # fmt: skip
"""Countries of the North American Numbering Plan (ISO 3166 alpha-3). CM.com requires a region there."""


def normalized(word: str) -> str:
    """Return a status without case, blanks and punctuation: `InProgress`, `in_progress`, `In progress` are the same."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
