"""Where the sandbox's numbers are located: real area codes, states, LATAs and rate centers.

They are real, so that Google's libphonenumber calls every number valid, and few, so that a person can remember them.
The magic area codes (`fates.py`) have their own states, so that an order by state or city meets one only on purpose.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a number is located, in the carrier's words. An empty field does not apply to such numbers."""

    country: str = "USA"
    number_type: str = "GEOGRAPHIC"
    area_code: str
    city: str = ""
    state: str = ""
    rate_center: str = ""
    lata: str = ""
    zip_code: str = ""


def _area(area_code: str, state: str, lata: str, *towns: tuple[str, str, str]) -> tuple[Place, ...]:
    """Describe one area code by its towns: rate center, city, ZIP."""
    return tuple(
        Place(area_code=area_code, state=state, lata=lata, rate_center=center, city=city, zip_code=zip_code)
        for center, city, zip_code in towns
    )


_TRIANGLE = (("RALEIGH", "RALEIGH", "27601"), ("DURHAM", "DURHAM", "27701"), ("CARY", "CARY", "27511"))

ORDINARY_AREAS: tuple[tuple[Place, ...], ...] = (
    _area("919", "NC", "426", *_TRIANGLE),
    _area("984", "NC", "426", *_TRIANGLE),
    _area("704", "NC", "422", ("CHARLOTTE", "CHARLOTTE", "28202"), ("CONCORD", "CONCORD", "28025")),
    _area("336", "NC", "424", ("GREENSBORO", "GREENSBORO", "27401")),
    _area("303", "CO", "656", ("DENVER", "DENVER", "80202"), ("BOULDER", "BOULDER", "80301")),
    _area("206", "WA", "674", ("SEATTLE", "SEATTLE", "98101")),
    _area("312", "IL", "358", ("CHICAGO", "CHICAGO", "60601")),
    _area("617", "MA", "128", ("BOSTON", "BOSTON", "02108"), ("CAMBRIDGE", "CAMBRIDGE", "02139")),
    _area("404", "GA", "438", ("ATLANTA", "ATLANTA", "30303")),
    _area("512", "TX", "558", ("AUSTIN", "AUSTIN", "78701")),
    _area("214", "TX", "552", ("DALLAS", "DALLAS", "75201")),
    _area("415", "CA", "722", ("SNFC CNTRL", "SAN FRANCISCO", "94102")),
    _area("213", "CA", "730", ("LOSANGELES", "LOS ANGELES", "90012")),
    _area("602", "AZ", "666", ("PHOENIX", "PHOENIX", "85003")),
    _area("305", "FL", "460", ("MIAMI", "MIAMI", "33130")),
    _area("503", "OR", "672", ("PORTLAND", "PORTLAND", "97201")),
    _area("212", "NY", "132", ("NWYRCYZN01", "NEW YORK", "10001")),
)

MAGIC_AREAS: tuple[tuple[Place, ...], ...] = (
    _area("808", "HI", "834", ("HONOLULU", "HONOLULU", "96813")),
    _area("406", "MT", "648", ("HELENA", "HELENA", "59601")),
    _area("307", "WY", "654", ("CHEYENNE", "CHEYENNE", "82001")),
    _area("701", "ND", "636", ("FARGO", "FARGO", "58102")),
    _area("907", "AK", "832", ("ANCHORAGE", "ANCHORAGE", "99501")),
    _area("605", "SD", "640", ("PIERRE", "PIERRE", "57501")),
    _area("208", "ID", "652", ("BOISE", "BOISE", "83702")),
    _area("802", "VT", "124", ("MONTPELIER", "MONTPELIER", "05602")),
)

# Swift is Canadian. The last four are magic for removals (`swift/fates.py`).
CANADIAN_AREAS: tuple[tuple[Place, ...], ...] = (
    _area("705", "ON", "888", ("SUDBURY", "SUDBURY", "P3E")),
    _area("416", "ON", "888", ("TORONTO", "TORONTO", "M5H")),
    _area("604", "BC", "888", ("VANCOUVER", "VANCOUVER", "V6B")),
    _area("867", "YT", "888", ("WHITEHORSE", "WHITEHORSE", "Y1A")),
    _area("506", "NB", "888", ("MONCTON", "MONCTON", "E1C")),
    _area("709", "NL", "888", ("ST JOHNS", "ST JOHNS", "A1C")),
    _area("902", "NS", "888", ("HALIFAX", "HALIFAX", "B3J")),
)

# Magic for purchases at Swift alone.
SWIFT_MAGIC_AREAS: tuple[tuple[Place, ...], ...] = (
    _area("204", "MB", "888", ("WINNIPEG", "WINNIPEG", "R3C")),
    _area("306", "SK", "888", ("REGINA", "REGINA", "S4P")),
)

# A real shortage: five numbers in stock.
THIN_AREA: tuple[Place, ...] = _area("207", "ME", "120", ("PORTLAND", "PORTLAND", "04101"))

TOLL_FREE_CODES = ("800", "833", "844", "855", "866", "877", "888")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRange:
    """A block of numbers outside North America."""

    place: Place
    prefix: str
    line_digits: int


def _foreign(country: str, kind: str, area_code: str, city: str, prefix: str, digits: int) -> ForeignRange:
    place = Place(country=country, number_type=kind, area_code=area_code, city=city)
    return ForeignRange(place=place, prefix=prefix, line_digits=digits)


FOREIGN_RANGES: tuple[ForeignRange, ...] = (
    _foreign("GBR", "GEOGRAPHIC", "1224", "ABERDEEN", "+44122400", 4),
    _foreign("GBR", "GEOGRAPHIC", "20", "LONDON", "+442079", 6),
    _foreign("GBR", "NATIONAL", "330", "", "+44330", 7),
    _foreign("GBR", "TOLL_FREE", "800", "", "+44800048", 4),
    _foreign("GBR", "MOBILE", "7400", "", "+447400", 6),
    _foreign("DEU", "GEOGRAPHIC", "30", "BERLIN", "+493023", 6),
    _foreign("DEU", "GEOGRAPHIC", "69", "FRANKFURT", "+496923", 6),
    _foreign("DEU", "GEOGRAPHIC", "89", "MUNICH", "+498923", 6),
    _foreign("DEU", "NATIONAL", "32", "", "+49322", 8),
    _foreign("DEU", "TOLL_FREE", "800", "", "+49800", 7),
)

# Numbers in the examples of Bandwidth's page "Order Numbers", so that tests can replay the examples.
NUMBERS_ON_THE_PAGE: tuple[str, ...] = (
    "+441224003908",
    "+441224003995",
    "+441224003996",
    "+441224003997",
    "+441224003998",
    "+441224003845",
    "+448000488968",
)
RALEIGH_ON_THE_PAGE = ("247", ("1432", "1793", "1794", "1827", "1828"))

# The same page's restrictions of Italy: type, category, description. It shows no other country's.
RESTRICTIONS_ON_THE_PAGE: tuple[tuple[str, str, str], ...] = (
    (
        "LEGAL",
        "Sub allocation",
        (
            "Customers providing Electronic Communication Services must be registered operators with the local "
            "regulator and must provide these services to end users."
        ),
    ),
    (
        "LEGAL",
        "Others",
        (
            "Customers or end users conducting call center activities must be notified/registered operators with the "
            "local regulator."
        ),
    ),
    ("SERVICE", "Outbound call", "Enhanced Voice Transit does not support access to Emergency Services."),
    (
        "SERVICE",
        "Outbound call",
        (
            "Customer shall not send traffic through the Enhanced Voice Transit feature to Bandwidth's network from "
            "numbers not permitted to originate calls, short codes, specialized service numbers, Emergency Service "
            "numbers and Premium Rate numbers as designated as such by the National numbering plan."
        ),
    ),
)

CALLING_CODES = {"+44": "GBR", "+49": "DEU", "+39": "ITA", "+33": "FRA", "+34": "ESP", "+31": "NLD"}
