"""Swift's names, words and limits: what its pages say, and what we assume where they do not.

The page "Number Ordering" shows carts, requests and checkouts. It does not show how an order is read, a list, or an
error. What fills those gaps stands under INFERRED, here and nowhere else; docs/carriers/swift.md gives the ground of
each.
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final

CARRIER: Final = "swift"

# --- Documented -------------------------------------------------------------------------------

KEY_PREFIX: Final = "apik_"
ROOT: Final = "/api/v1"
ACCOUNT_ROOT: Final = "/api/v1/accounts/{account}"
CARTS: Final = "/carts"
REQUESTS: Final = "/requests"
CHECKOUT: Final = "/checkout"
DIDS: Final = "/dids"
COVERAGE: Final = "/inventory/coverage"
COVERAGE_TYPE: Final = "inventory_coverage"
GROUP_FIELDS: Final = ("npa", "nxx", "lata", "state", "rate_center", "country_code")
"""The fields that coverage can be grouped by."""
ACCEPT: Final = "application/json, text/plain"
NUMBER_TYPE: Final = "tendlc"
COUNTRY_CODE: Final = "1"
TAINT_WINDOW: Final = timedelta(minutes=30)
"""For how long a number cannot be removed after it was ordered."""


class RequestType(StrEnum):
    """What a request in a cart asks for."""

    NEW = "NEW_NUMBERS"
    ADD = "ADD_MESSAGING_NUMBERS"
    REMOVE = "REMOVE_NUMBERS"


class EnvelopeType(StrEnum):
    """What an envelope says that it contains."""

    CART = "cart"
    REQUEST = "cart_request"
    ORDER = "order"
    LIST = "list"


class Status(StrEnum):
    """The status of an order."""

    NEW = "NEW"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    ERROR = "ERROR"


class MessagingStatus(StrEnum):
    """Whether messages work on a number (`sms_status`, `mms_status`)."""

    UNAVAILABLE = "UNAVAILABLE"
    PENDING = "PENDING"
    AVAILABLE = "AVAILABLE"


OK: Final = "ok"
"""The error code of success. Codes are compared in lower case, because the list of codes and the examples differ."""

# --- INFERRED ---------------------------------------------------------------------------------

ORDERS: Final = "/orders"
"""The page has the path for sub accounts, without a method. Reading one order or all follows the pattern of /dids."""

AFTER: Final = "after"
LIMIT: Final = "limit"
"""The parameters of a list are assumed to have the names in its `page_info`."""
PAGE_SIZE: Final = 100
"""How many entries of a list are asked for. A page may have fewer: the printed one has 50."""
HOLDINGS_PAGES_MAX: Final = 10_000
"""A million numbers. The list of a reconciliation is read at leisure, and that of an order is not."""
ORDER_PAGES_MAX: Final = 50
"""How many pages are searched for an order that is not found by its cart. The list of all orders only grows, and the
time to read it does not: the search must end."""

IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""Ids are printed with 26 and with 27 characters. What does not match is never put into a path."""

QUANTITY_MAX: Final = 1000
NUMBERS_MAX: Final = 1000
"""No page says how many numbers one request may order or name."""
NAME_MAX: Final = 255

NAME_FORMAT: Final = "number-orders {reference} {content}"
"""The name of a cart: our reference, in case the list cannot be searched by `reference_id`, and a digest of what is
ordered, which Swift does not show."""
CONTENT_IN_NAME: Final = re.compile(r"number-orders [0-9a-f-]{36} ([nar][0-9a-f]{8})(?: |$)")
"""The first letter is that of the kind of order. Carts of release 0.1.0 have no such digest."""
REFERENCE_IN_NAME: Final = re.compile(r"number-orders ([0-9a-f-]{36})(?: |$)")
BUYS: Final = "n"
CLOCK_DIFFERENCE_MAX: Final = timedelta(minutes=5)
"""How far Swift's clock may differ from the ledger's."""
OUR_NAME: Final = re.compile(r"number-orders [0-9a-f]{8}-")
"""The beginning of the name of every cart of ours."""

TAINTED_WORDS: Final = re.compile(r"taint", re.IGNORECASE)
TAINTED_CODES: Final = frozenset({"time_restricted"})
"""How a removal that came too early is refused: the page has the word, the list of error codes has a code that fits."""
NUMBER_IN_TEXT: Final = re.compile(r"(?<!\d)\+?1[2-9]\d{2}[2-9]\d{6}(?!\d)")
"""The numbers that a refusal names, if it names any."""

MAY_BE_CHECKED_OUT: Final = re.compile(r"check(ed|ing)?[ -]?out|already", re.IGNORECASE)
"""A refused checkout with these words may mean that an earlier checkout succeeded."""
TIMED_OUT: Final = re.compile(rb"time[sd]?[ -]?out", re.IGNORECASE)
"""A refusal with these words may not be one."""

LOOKS_WANTED_UNAVAILABLE: Final = 12
"""A number without messaging may still get it when nothing is PENDING. After this many looks it is believed."""
LOOKS_TO_SETTLE: Final = 3
SETTLE_AFTER: Final = timedelta(minutes=10)
"""Numbers may appear in the list later than the order ends. They count as complete after so many looks in such a time
without another."""

SAME_REFUSALS_MAX: Final = 3
"""A step before the checkout that is refused this often in a row with the same words is refused for good."""
REFUSALS_MAX: Final = 10
"""So is one that is refused this often with any words, or with none."""

AWAITED_PAUSES: Final = 30
"""A removal of a number that another order is to bring waits a thirtieth of the taint window, then twice as long each
time, and a whole window at most: the number cannot be removed sooner than that."""


# --- Our own codes, on numbers ----------------------------------------------------------------

TAINTED: Final = "TAINTED"
AWAITED: Final = "AWAITED"
NOT_LISTED: Final = "NOT_LISTED"
NOT_TRIED: Final = "NOT_TRIED"
SMS_UNAVAILABLE: Final = "SMS_UNAVAILABLE"
MMS_UNAVAILABLE: Final = "MMS_UNAVAILABLE"
STILL_LISTED: Final = "STILL_LISTED"

NANP: Final = frozenset({
    "USA", "CAN", "AIA", "ASM", "ATG", "BHS", "BMU", "BRB", "CYM", "DMA", "DOM", "GRD", "GUM",
    "JAM", "KNA", "LCA", "MNP", "MSR", "PRI", "SXM", "TCA", "TTO", "VCT", "VGB", "VIR",
})  # fmt: skip
"""Countries with country code 1 (ISO 3166 alpha-3)."""
