"""The numbers that Bandwidth says we hold: those in service, the record of one, and the order that brought it.

A number that was bought need not be in service yet (status InAccount), so a number that the list does not have is ours
all the same if its record says so. Opens no socket, reads no clock, retries nothing.

Source: Bandwidth/api-docs, site/specs/numbers_v2.yml (inserviceNumbers, tns, orders).
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import decode_errors, require_content
from number_orders.carriers.bandwidth.disconnects import get_number
from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    CARRIER_ORDER_ID,
    FIRST_PAGE,
    IN_SERVICE_GROUP,
    IN_SERVICE_PAGE_SIZE,
    IN_SERVICE_PAGES_MAX,
    NOT_OURS_CODE,
    RECORD_GROUP,
)
from number_orders.carriers.bandwidth.market import decode_holdings_page, require_answered
from number_orders.carriers.bandwidth.records import read_held
from number_orders.carriers.bandwidth.xml import read_order
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.holdings import HoldingsPage
from number_orders.carriers.market import HeldNumber
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.numbers import E164


class BandwidthHoldings:
    """The inquiries about the numbers of one account."""

    pages_max: Final = IN_SERVICE_PAGES_MAX
    list_group: Final = IN_SERVICE_GROUP
    record_group: Final = RECORD_GROUP

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._account = f"/api/v2/accounts/{quote(account_id, safe='')}"

    def page(self, name: str | None = None) -> Inquiry[HoldingsPage]:
        """Read one page of the numbers in service."""
        wanted = name or FIRST_PAGE
        query = {"page": wanted, "size": str(IN_SERVICE_PAGE_SIZE)}
        answer = yield CarrierRequest("GET", f"{self._account}/inserviceNumbers", Purpose.READ, query)
        shown = decode_holdings_page(answer)
        if shown.next_page == wanted:
            raise UnreadableAnswer(CARRIER, "a page of numbers that names itself as the next", answer.body)
        return shown

    def record(self, e164: E164) -> Inquiry[HeldNumber]:
        """Read the record of a number. Without one on this account, it is not ours."""
        answer = yield get_number(e164)
        if _is_not_ours(answer):
            return HeldNumber(e164, is_ours=False)
        require_answered(answer)
        held = read_held(answer.body, e164)
        return held if held.account in {None, self._account_id} else HeldNumber(e164, held.status, is_ours=False)

    def reference(self, carrier_order_id: str) -> Inquiry[str | None]:
        """Read the CustomerOrderId of an order."""
        if not CARRIER_ORDER_ID.fullmatch(carrier_order_id):
            return None
        answer = yield CarrierRequest("GET", f"{self._account}/orders/{carrier_order_id}", Purpose.READ)
        if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return None
        require_content(answer)
        return read_order(answer.body).reference


def _is_not_ours(answer: CarrierAnswer) -> bool:
    not_on_account = any(error.code == NOT_OURS_CODE for error in decode_errors(answer))
    return answer.status == HTTPStatus.NOT_FOUND or not_on_account
