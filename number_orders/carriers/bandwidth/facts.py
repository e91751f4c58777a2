"""Bandwidth's codes, words and limits: every fact and every assumption about its API, in one place.

Documented facts come first. What the documents leave open follows under INFERRED, each with its ground.
docs/carriers/bandwidth.md lists the same assumptions.
"""

import re
from datetime import timedelta
from typing import Final

from number_orders.orders.model import Kind, Lane

CARRIER: Final = "bandwidth"

# --- Documented -------------------------------------------------------------------------------

QUANTITY_MAX: Final = 5000
NAME_LENGTH_MAX: Final = 50

OPEN_STATUSES: Final = frozenset({"RECEIVED", "PROCESSING", "SUBMITTED"})
"""PROCESSING and SUBMITTED are inferred: documents name them for notices and for other kinds of order."""
BACKORDERED: Final = "BACKORDERED"
COMPLETE: Final = frozenset({"COMPLETE", "COMPLETED"})
"""The API's schema has the first, its newer pages the second."""
PARTIAL: Final = "PARTIAL"
FAILED: Final = "FAILED"

PENDING_CODE: Final = "5019"
"""The order is still being processed, whatever else the answer says. Inferred from "pending" in the list of codes."""
BACKORDER_INFO_CODES: Final = frozenset({"5520", "5521"})
"""Entries of an ErrorList that are not errors: they tell how a backorder stands."""
DOUBTFUL_CODES: Final = frozenset({"1000", "1010", "5003", PENDING_CODE, "5086"})
"""Look like a refusal, but the order may have been made: internal and provisioning errors, time-outs. Inferred."""
TAKEN_CODES: Final = frozenset({"5005", "5218", "5042", "5043"})
"""The number is not available, is in process on another order, or its reservation is used up: perhaps by us.

For reservations (5042, 5043) this is inferred from the texts of the codes.
"""
NOT_DISCONNECTABLE_CODES: Final = frozenset({"5006", "5074", "5076"})
"""The number is not ours (any more), so it cannot be disconnected. After a lost answer: it was disconnected before."""
RELEASED_STATUSES: Final = frozenset({"AGING", "DISCONNECTED"})
"""What `/tns/{tn}` says of a number that was ours until a while ago. Inferred from the list of its statuses."""
NOT_OWNED_STATUSES: Final = RELEASED_STATUSES | {"AVAILABLE", "RESERVED", "PORTOUT", "REMOVED", "ELIMINATED"}
"""What `/tns/{tn}` says of a number that nobody has, or that is not ours any more."""
OWNED_STATUSES: Final = frozenset({"INSERVICE", "INACCOUNT"})
"""What `/tns/{tn}` says of a number that is ours: with its services active, or without them yet."""
PROTECTED: Final = ("TRUE", "FALSE", "UNCHANGED")
DISCONNECT_MODE: Final = "normal"
"""The other mode, PURGE, is internal to Bandwidth."""
NOT_OURS_CODE: Final = "15610"
"""The number is not on this account."""
TIMED_OUT_TEXT: Final = "timed out"
"""From "API request timed out. Please resubmit your request.": resubmitting blindly could buy twice."""

LIMIT_GROUPS: Final = {
    (Lane.SUBMIT, Kind.NEW_NUMBERS): "ORDER",
    (Lane.SUBMIT, Kind.REMOVE_NUMBERS): "DISCONNECT",
    **{(Lane.ASK, kind): "HISTORY" for kind in Kind},
}
"""What Bandwidth limits together: POSTs of orders, POSTs of disconnects, and all reading of both."""

IN_SERVICE_GROUP: Final = "INSERVICE_NPANXX"
RECORD_GROUP: Final = "HISTORY"
"""What limits the list of numbers in service, which is inferred from the group's name, and reading one number."""

RESERVATION_LIFETIME: Final = timedelta(hours=4)
"""Unless the reservation itself says otherwise."""

SEARCH_FAILED_CODES: Final = frozenset({"4009"})
"""The search failed at Bandwidth. Nothing is wrong with it, and it may be repeated."""

NOTICE_ROOT: Final = "Notification"
REFERENCE_LENGTH_MAX: Final = 40
"""Of a CustomerOrderId."""

SUBSCRIPTION_GROUP: Final = "SUBSCRIPTION"
SUBSCRIBED_TYPES: Final = ("orders", "disconnects")
"""The order types whose notices we want."""
SUBSCRIPTION_LIST_ROOT: Final = "SubscriptionsResponse"
SUBSCRIPTION_REFUSALS: Final = frozenset({400, 403, 404, 409})
"""Account problem, no right to, not valid, there already."""

LIST_ROOT: Final = "ResponseSelectWrapper"
FIRST_PAGE: Final = "1"
PAGE_SIZE: Final = 500
"""The documents allow 1000."""

# --- INFERRED ---------------------------------------------------------------------------------

SUBSCRIPTION_STATUS: Final = "Status"
"""Of the last delivery. No document says whether it stands inside `CallbackSubscription` or beside it."""
SUBSCRIPTION_URL_LENGTH_MAX: Final = 2000
"""So much of the address of a subscription is read. The documents name no maximum."""

NUMBERS_MAX: Final = QUANTITY_MAX
"""Error 5095 says that named numbers are limited. No document says to how many."""

DISCONNECT_PAGE_SIZE: Final = 1000
"""The documents allow 5000, which would be a megabyte of XML."""
DISCONNECT_PAGES_MAX: Final = 5
DISCONNECTS_READ_MAX: Final = 20
"""The list of disconnects shows no references. To find ours, this many are read, the nearest in time first."""
UNMENTIONED_NUMBERS_READ_MAX: Final = 20
"""An order that has ended may leave numbers unmentioned. This many are looked up; of the rest nothing is known."""
UNKNOWN_NUMBERS_READ_MAX: Final = 20
"""After a lost disconnect, this many numbers that the ledger does not know are looked up: did we have them?"""
FORGOTTEN_NUMBERS_READ_MAX: Final = 50
"""Of a purchase that a fallen ledger may have forgotten, this many numbers are looked up, since their removal may be
forgotten too. Of the others, the nightly reconciliation finds those that are gone."""
CLOCK_DIFFERENCE_MAX: Final = timedelta(hours=1)
"""A disconnect that was made earlier than this before the order was accepted is not ours. Nor was a purchase forgotten
that was made later than this after the ledger fell back in time."""

FORGOTTEN_DAYS: Final = 3
"""So long before a ledger fell back in time, a disconnect that it has forgotten is looked for. One that is older is
found by the numbers being gone."""

IN_SERVICE_PAGE_SIZE: Final = 500
"""As a published reply was asked for. The documents have a default of 300 and no maximum."""

IN_SERVICE_PAGES_MAX: Final = 2000
"""A million numbers."""

CARRIER_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
"""Every published id is a UUID. An id that does not match is never put into a path."""

PAGES_MAX: Final = 20
"""Our reference matches a handful of orders. If the filter turns out to be ignored, reading stops here."""

OWNER_LOOKUPS_MAX: Final = 3
"""To find an order by its numbers, this many are looked up: one order mostly gets all or none of its numbers."""

CODE: Final = re.compile(r"[0-9]{3,6}")
"""All published codes have four or five digits. An error without one does not count as a refusal."""
