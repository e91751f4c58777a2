"""Bandwidth's vocabulary: order types, error codes with their texts, and the values its fields may have.

Bandwidth reuses codes with different texts; the table has those of orders and searches.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from number_orders.sandbox.inventory import Criteria

QUANTITY_MAX: Final = 5000


class Kind(StrEnum):
    """The order types, by the name of their element."""

    NAMED = "ExistingTelephoneNumberOrderType"
    AREA_CODE = "AreaCodeSearchAndOrderType"
    RATE_CENTER = "RateCenterSearchAndOrderType"
    NPANXX = "NPANXXSearchAndOrderType"
    TOLL_FREE_VANITY = "TollFreeVanitySearchAndOrderType"
    TOLL_FREE_WILD_CARD = "TollFreeWildCharSearchAndOrderType"
    STATE = "StateSearchAndOrderType"
    CITY = "CitySearchAndOrderType"
    ZIP = "ZIPSearchAndOrderType"
    LATA = "LATASearchAndOrderType"
    COMBINED = "CombinedSearchAndOrderType"


@dataclass(frozen=True, slots=True)
class CarrierError:
    """One entry of an ErrorList; `e164` is empty when the error concerns the whole order."""

    code: int
    description: str
    e164: str = ""


_TEXTS: Final = {
    1006: "The size parameter is invalid; it may be at most 2500.",
    4000: "Please verify that your Area Code search input parameters are correct.",
    4001: "Please verify that your Rate Center search input parameters are correct.",
    4002: "Please verify that your NPA, NPA-NXX, or NPA-NXX-X search input parameters are correct.",
    4003: "Please verify that your Toll Free Vanity search input parameters are correct.",
    4004: "Please verify that your Toll Free Wild Card search input parameters are correct.",
    4005: "Please verify that your City search input parameters are correct.",
    4006: "Please verify that your State search input parameters are correct.",
    4007: "Please verify that your Zip Code search input parameters are correct.",
    4008: "Please verify that your LATA search input parameters are correct.",
    4010: "Provided search criteria are unsupported or are not valid",
    4020: "Please verify that your orderBy search query parameter is correct. "
    "Valid values are: fullNumber,npaNxxx,npaNxx,areaCode",
    4021: "The orderBy parameter is not supported for specified search criteria",
    4022: "Please verify that your protected search query parameter is correct. Valid values are: NONE, ONLY, MIXED",
    5001: "Invalid input telephone number list",
    5002: "Validation error",
    5003: "Provisioning Failure",
    5005: "Telephone Number Unavailable",
    5009: "The quantity specified %s is invalid.",
    5016: "The SiteId submitted is invalid.",
    5017: "Only a partial quantity of the total telephone numbers ordered could be fulfilled",
    5018: "The entire quantity of telephone numbers ordered is unavailable",
    5019: "Order is pending. Please check the status of your order later.",
    5020: "No default SIP peer is set on the account and site. Please create one then resubmit your request.",
    5022: "SiteId is a required field.",
    5023: "SIP peer submitted is invalid.",
    5040: "Reservation failed: telephone number %s not found.",
    5041: "Reservation failed: telephone number %s is not available.",
    5042: "Reservation %s for account %s not found.",
    5043: "Reservation %s not found.",
    5044: "Reservation object is invalid.",
    5052: "Customer order ID is invalid. Only alphanumeric values, dashes and spaces are allowed. "
    "Max length is 40 characters.",
    5060: "Only Backordered order can be closed.",
    5061: "Order ID is invalid.",
    5086: "Order request timed out. Please resubmit your request.",
    5087: "The input order type is not a valid entry.",
    5093: "Order cannot contain duplicate telephone numbers",
    5095: "The count of telephone numbers in order exceeds the maximum size of %d",
    5165: "A single order cannot contain a mix of NANP and International telephone numbers",
    5198: "AreaCodeSearchAndOrderType requires both AreaCode and Quantity values.",
    5199: "TollFreeVanitySearchAndOrderType requires both TollFreeVanity and Quantity values.",
    5211: "The quantity of telephone numbers requested has exceeded the max limit for an order.",
    5213: "The telephone number is not valid for ordering.",
    5217: "The PartialAllowed value submitted is invalid.",
    5218: "Telephone number cannot be ordered because it is already processing on another order.",
    5224: "The search criteria '%s' cannot be empty",
    5520: "Order backordered - awaiting additional numbers",
    5521: "Order Backordered - no numbers allocated, awaiting available inventory to completely fulfill order",
    5522: "Backorders are not compatible with Specific TN, NPANXX, NPANXXX, TollFree Vanity or Local Vanity orders",
    14500: "The subscription does not exist.",
    14501: "The subscription is not well formed.",
    14502: "The order type of the subscription is not valid.",
    14503: "The URL of the subscription is not valid.",
    14504: "The expiry of the subscription is not valid.",
    14505: "The username of the subscription is too long.",
    15518: "Status is invalid. Valid values are: complete, partial, failed, backordered",
    15610: "The telephone number does not belong to this account.",
    16008: "A subscription with these values exists already.",
}

# 5002 is Bandwidth's validation error, with many texts; these are used here.
NO_CRITERIA: Final = "Unable to perform search. Please, provide some search criteria"
UNSUPPORTED: Final = "The combination of search criteria is unsupported."
ENDS_IN_ALONE: Final = "Ends In is meaningless without Local Vanity"
NO_CALLING_AREA: Final = "LCA search is not supported for specified search criteria"
ALSO_SPECIFY: Final = "Please also specify %s to search by current criteria."
UNPARSABLE: Final = "The value specified for the search criteria '%s' cannot be parsed."


def error(code: int, *values: object, e164: str = "") -> CarrierError:
    """Return an error with the text that Bandwidth publishes for its code."""
    return CarrierError(code, _TEXTS[code] % values, e164)


def invalid(text: str, *values: object) -> CarrierError:
    """Return a 5002 with one of its many texts."""
    return CarrierError(5002, text % values)


_PATTERNS: Final = {
    "NpaNxx": re.compile(r"[2-9]\d{2}[2-9]\d{2}"),
    "NpaNxxX": re.compile(r"[2-9]\d{2}[2-9]\d{3}"),
    "State": re.compile(r"[A-Za-z]{2}"),
    "Zip": re.compile(r"\d{5}(-\d{4})?"),
    "Lata": re.compile(r"\d{1,5}"),
    "City": re.compile(r"\S.*"),
    "RateCenter": re.compile(r"\S.*"),
    "TollFreeVanity": re.compile(r"[A-Za-z0-9]{4,7}"),
    "TollFreeWildCardPattern": re.compile(r"8[0-9*]\*"),
    "LocalVanity": re.compile(r"[A-Za-z0-9*_?]{3,7}"),
}
_TEXT_OF_FIELD: Final = {
    "NpaNxx": "The Nxx cannot begin with a 0 or 1",
    "NpaNxxX": "The Nxx cannot begin with a 0 or 1",
    "State": "The state abbreviation %s is not valid.",
    "Zip": "The zip code %s is not valid.",
    "Lata": "The lata %s is not valid",
    "City": "The city value %s is not valid.",
    "RateCenter": "The ratecenter abbreviation %s is not valid",
    "TollFreeVanity": "%s should be alphanumeric.",
    "TollFreeWildCardPattern": "Tollfree Wild Card search invalid format.",
    "LocalVanity": "The localVanity value %s is invalid.",
}


def field_error(field: str, value: str) -> CarrierError | None:
    """Return what is wrong with one search field of an order, or None."""
    if field == "AreaCode":
        return _area_code_error(value)
    if _PATTERNS[field].fullmatch(value):
        return None
    length = {"NpaNxx": 6, "NpaNxxX": 7}.get(field)
    if length is not None and len(value) != length:
        text = "The length of the search criteria '%s' is not valid, the acceptable length is %s characters."
        return invalid(text, field, length)
    text = _TEXT_OF_FIELD[field]
    return invalid(text, value) if "%s" in text else invalid(text)


def _area_code_error(value: str) -> CarrierError | None:
    if not re.fullmatch(r"\d{3}", value):
        return invalid(UNPARSABLE, "AreaCode")
    if re.match(r"[01]|37|96", value):
        return invalid("The area code of telephone numbers cannot begin with 0,1 or 37 or 96.")
    if value[1] == "9":
        return invalid("The area Code of telephone numbers can not have a 9 as the second digit.")
    if value.endswith("11"):
        return invalid("The area code of telephone numbers can not end with 11.")
    return None


def has_calling_area(fields: set[str]) -> bool:
    """Return whether a search with these fields alone can be widened to the local calling area."""
    return fields in ({"NpaNxx"}, {"NpaNxxX"}, {"RateCenter", "State"})


def criteria_from(fields: dict[str, str], *, calling_area: bool, ends_in: bool) -> Criteria:
    """Return valid North American search fields as the inventory's criteria."""
    prefix = fields.get("NpaNxxX") or fields.get("NpaNxx") or fields.get("AreaCode") or ""
    wild_card = fields.get("TollFreeWildCardPattern", "")
    toll_free_vanity = fields.get("TollFreeVanity", "")
    return Criteria(
        pool="toll_free" if wild_card or toll_free_vanity else "local",
        starts_with=wild_card.rstrip("*") or prefix,
        rate_center=fields.get("RateCenter", "").upper(),
        city=fields.get("City", "").upper(),
        state=fields.get("State", "").upper(),
        zip_code=fields.get("Zip", "")[:5],
        lata=fields.get("Lata", "").lstrip("0"),
        vanity=toll_free_vanity or fields.get("LocalVanity", ""),
        vanity_at_end=ends_in,
        calling_area=calling_area and has_calling_area(set(fields)),
    )
