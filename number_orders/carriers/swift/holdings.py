"""The numbers that Swift lists: those of the key's own account and of all its sub accounts.

Swift shows no record that says which order brought a number: its date is all there is. Opens no socket, reads no clock.

Source: Swift's page "DID" (the list covers all accounts); the paging is inferred (`facts`).
"""

from typing import Final

from number_orders.carriers.contract import ONE_LIMIT_GROUP, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.holdings import HoldingsPage
from number_orders.carriers.market import HeldNumber
from number_orders.carriers.swift.answers import page_query, require_content
from number_orders.carriers.swift.facts import ACCEPT, CARRIER, DIDS, HOLDINGS_PAGES_MAX, ROOT
from number_orders.carriers.swift.json import Did, read_list, read_listed_did
from number_orders.orders.errors import UnreadableAnswer


class SwiftHoldings:
    """The inquiries about the numbers that one API key can see."""

    pages_max: Final = HOLDINGS_PAGES_MAX
    list_group: Final = ONE_LIMIT_GROUP

    def page(self, name: str | None = None) -> Inquiry[HoldingsPage]:
        """Read one page of the numbers of all accounts."""
        query = page_query(name or "")
        answer = yield CarrierRequest("GET", f"{ROOT}{DIDS}", Purpose.READ, query, accept=ACCEPT)
        require_content(answer)
        shown = read_list(answer.body)
        dids = [read_listed_did(item) for item in shown.items]
        if shown.after is not None and shown.after == name:
            raise UnreadableAnswer(CARRIER, "a page of numbers that names itself as the next", answer.body)
        listed = tuple(_held(did) for did in dids if did)
        return HoldingsPage(listed, shown.after if shown.items else None, unreadable=dids.count(None))


def _held(did: Did) -> HeldNumber:
    return HeldNumber(did.e164, status=did.sms, ordered_at=did.inserted_at)
