"""What Swift's pages say in words and numbers, and what we assume where they are silent.

The page "Number Ordering" shows carts, requests and checkouts; it shows no order being read, no list and no error. What
fills those gaps stands under INFERRED, here and nowhere else; docs/carriers/swift.md gives the ground of each.
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
GROUPS: Final = ("npa", "nxx", "lata", "state", "rate_center", "country_code")
"""What coverage can be grouped by."""
ACCEPT: Final = "application/json, text/plain"
NUMBER_TYPE: Final = "tendlc"
COUNTRY_CODE: Final = "1"
TAINT_WINDOW: Final = timedelta(minutes=30)
"""How long a number cannot be removed after it was ordered."""


class Wish(StrEnum):
    """What a request in a cart asks for."""

    NEW = "NEW_NUMBERS"
    ADD = "ADD_MESSAGING_NUMBERS"
    REMOVE = "REMOVE_NUMBERS"


class Type(StrEnum):
    """What an envelope says that it holds."""

    CART = "cart"
    REQUEST = "cart_request"
    ORDER = "order"
    LIST = "list"


class Status(StrEnum):
    """How an order stands."""

    NEW = "NEW"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    ERROR = "ERROR"


class Reach(StrEnum):
    """How far messaging is on a number (`sms_status`, `mms_status`)."""

    UNAVAILABLE = "UNAVAILABLE"
    PENDING = "PENDING"
    AVAILABLE = "AVAILABLE"


OK: Final = "ok"
"""The error code of what went well. Codes are compared in small letters: the list of them and the examples differ."""

# --- INFERRED ---------------------------------------------------------------------------------

ORDERS: Final = "/orders"
"""The path is named for sub accounts, with no method; reading one order or all follows the pattern of /dids."""

AFTER: Final = "after"
LIMIT: Final = "limit"
"""The parameters of a list are named as its `page_info` names them."""
PAGE_SIZE: Final = 100
PAGES_MAX: Final = 500
"""Fifty thousand numbers."""
ORDER_PAGES_MAX: Final = 50
"""How far an order is looked for that is not found by its cart. The list of all there ever were grows for ever, and the
time to read it in does not: what is in doubt must come out of it all the same."""

IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""Ids are printed with 26 and with 27 characters. Whatever this does not match is never put into a path."""

QUANTITY_MAX: Final = 1000
NUMBERS_MAX: Final = 1000
"""No page says how many numbers one request may ask for or name."""
NAME_MAX: Final = 255

NAME: Final = "number-orders {order_id}"
"""How a cart is named, should nobody be able to search by `reference_id`."""

TAINTED_WORDS: Final = re.compile(r"taint", re.IGNORECASE)
TAINTED_CODES: Final = frozenset({"time_restricted"})
"""How a removal is refused that came too early: the page has the word, the list of error codes a code that fits."""
NUMBERS_NAMED: Final = re.compile(r"(?<!\d)\+?1[2-9]\d{2}[2-9]\d{6}(?!\d)")
"""The numbers that a refusal names, if it names any."""

CHECKED_OUT_WORDS: Final = re.compile(r"check(ed|ing)?[ -]?out|already", re.IGNORECASE)
"""A refused checkout with these words may mean that an earlier one got through."""
TIMED_OUT: Final = re.compile(rb"time[sd]?[ -]?out", re.IGNORECASE)
"""A refusal with these words may be none."""

LOOKS: Final = 4
"""Numbers may be listed, or drop out of the list, later than the order ends: after so many looks it is believed."""
UNAVAILABLE_LOOKS: Final = 12
"""A number that cannot message, when nothing is PENDING any more, may yet get there: believed after so many looks."""
NOTHING_LOOKS: Final = 60
"""An order that is done and shows nothing at all is for a person, after so many looks."""

AWAITED_PARTS: Final = 30
"""A removal of a number that another order is still to bring looks again after a thirtieth of the taint window, then
less and less often, and never later than after a whole one: the number cannot leave sooner than that anyway."""

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
"""Countries with country code 1, ISO 3166 alpha-3."""
