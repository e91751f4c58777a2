"""Bandwidth's words, codes and limits: every fact and every guess about the dialect, in one place.

Documented facts come first. What the documents leave open stands under INFERRED, each with its
ground; docs/carriers/bandwidth.md lists the same assumptions for people.
"""

import re
from datetime import timedelta
from typing import Final

from number_orders.orders.model import Kind, Lane

CARRIER: Final = "bandwidth"

# --- Documented -------------------------------------------------------------------------------

QUANTITY_MAX: Final = 5000
NAME_LENGTH_MAX: Final = 50

NOT_ACTIVATED_YET: Final = frozenset({"RECEIVED", "PROCESSING", "SUBMITTED"})
BACKORDERED: Final = "BACKORDERED"
COMPLETE: Final = frozenset({"COMPLETE", "COMPLETED"})
"""The API's schema says the first, its newer pages the second."""
PARTIAL: Final = "PARTIAL"
FAILED: Final = "FAILED"

PENDING_CODE: Final = "5019"
"""The order is being worked on, whatever the rest of the answer says."""
BACKORDER_NEWS: Final = frozenset({"5520", "5521"})
"""Entries of an ErrorList that are no errors: they tell how a backorder stands."""
MAY_HAVE_HAPPENED: Final = frozenset({"1000", "1010", "5003", PENDING_CODE, "5086"})
"""Look like refusals of an order, yet leave open whether it was made: internal errors, time-outs."""
TAKEN_CODES: Final = frozenset({"5005", "5218", "5042", "5043"})
"""The number is unavailable, or in process on another order, or its reservation is used up: by us, it may be."""
GONE_CODES: Final = frozenset({"5006", "5074", "5076"})
"""The number cannot be disconnected since it is not ours (any more); after a lost answer: it was given up before."""
GIVEN_UP: Final = frozenset({"AGING", "DISCONNECTED"})
"""What `/tns/{tn}` says of a number that was ours a while ago."""
PROTECTED: Final = ("TRUE", "FALSE", "UNCHANGED")
DISCONNECT_MODE: Final = "normal"
"""The other one, PURGE, is internal to Bandwidth."""
NOT_OURS_CODE: Final = "15610"
"""The number is not on this account."""
TIMED_OUT_WORDS: Final = "timed out"
"""From "API request timed out. Please resubmit your request.", which must not be followed blindly."""

LIMIT_GROUPS: Final = {
    (Lane.SUBMIT, Kind.NEW_NUMBERS): "ORDER",
    (Lane.SUBMIT, Kind.REMOVE_NUMBERS): "DISCONNECT",
    **{(Lane.ASK, kind): "HISTORY" for kind in Kind},
}
"""What is limited together: POSTs of orders and of disconnects by themselves, all reading of either in one."""

RESERVATION_LASTS: Final = timedelta(hours=4)
"""Unless the reservation itself says otherwise."""

SEARCH_AGAIN_CODES: Final = frozenset({"4009"})
"""A search that failed for reasons of theirs: nothing is wrong with it."""

LIST_ROOT: Final = "ResponseSelectWrapper"
FIRST_PAGE: Final = "1"
PAGE_SIZE: Final = 500
"""The documents allow 1000."""

# --- INFERRED ---------------------------------------------------------------------------------

NUMBERS_MAX: Final = QUANTITY_MAX
"""Error 5095 says that there is a most for named numbers, and no document says how many."""

DISCONNECT_PAGE_SIZE: Final = 1000
"""The documents allow 5000, which would be a megabyte of XML."""
DISCONNECT_PAGES_MAX: Final = 5
DISCONNECTS_LOOKED_AT: Final = 20
"""The list of disconnects shows no references: so many are read to find ours, those nearest in time first."""
STRANGERS_LOOKED_AT: Final = 20
"""After a lost disconnect: so many numbers that the ledger has never heard of are looked up, to tell if we had them."""
CLOCKS_DIFFER: Final = timedelta(hours=1)
"""A disconnect that was made longer than this before the order was accepted is not ours."""

IN_SERVICE_PAGE_SIZE: Final = 500
"""What a published reply was asked with. The documents have a default of 300 and no maximum."""

CARRIER_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
"""Every published id is a UUID. Whatever this does not match is never put into a path."""

PAGES_MAX: Final = 20
"""Our reference matches a handful of orders. If the filter turned out to be ignored, stop here."""

NUMBERS_LOOKED_AT: Final = 3
"""To find an order by its numbers, ask about this many: numbers of one order share its fate mostly."""

CODE: Final = re.compile(r"[0-9]{3,6}")
"""All published codes have four or five digits. An error without one is no refusal to believe."""
