"""Read the numbers of an account, which Swift shows only as a list of pages.

A list of one page is read by the conversation that needs it. A longer one is read whole for all orders together, by a
worker that asks `read_page` for each page, and conversations ask that reading (`FindInList`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from number_orders.carriers.contract import (
    CarrierAnswer,
    ConversationOf,
    FindInList,
    Inquiry,
    ListedNumbers,
    ListPage,
    SaveProgress,
)
from number_orders.carriers.swift.answers import require_content
from number_orders.carriers.swift.facts import DIDS
from number_orders.carriers.swift.json import Did, read_list, read_listed_did
from number_orders.carriers.swift.requests import account_path, get
from number_orders.carriers.swift.steps import Steps
from number_orders.orders.numbers import E164, ListedNumber


@dataclass(frozen=True, slots=True)
class Dids:
    """What a list of numbers has shown of the numbers asked for; a short list shows every number."""

    by_number: Mapping[E164, Did]
    read_since: datetime | None = None
    """When the reading of a long list began, on the ledger's clock; None: the list was read just now, at once."""

    @property
    def is_from_reading(self) -> bool:
        """Whether the list was too long to be seen at one moment."""
        return self.read_since is not None

    def seen_at(self, now: datetime) -> datetime:
        """Return the moment that these numbers are no older than; `now` if they were read just now."""
        return self.read_since or now


def read_dids(
    account: str | None, steps: Steps, question: str, *, numbers: tuple[E164, ...], since: datetime | None = None
) -> ConversationOf[Dids]:
    """Return what the list of one account shows of some numbers; without an account, the list of all accounts.

    Args:
        account: Whose numbers.
        steps: Say whether the list was seen to be long.
        question: What they are wanted for. A long list is read from its beginning after this was first asked.
        numbers: The numbers that are looked for.
        since: Also every number that came at this moment or later.
    """
    path = account_path(account, DIDS)
    if not steps.long_list:
        page = yield from read_page(path, None)
        if page.after is None:
            return Dids(_by_number(page.numbers))
        yield SaveProgress(replace(steps, long_list=True).as_progress())
    listed: ListedNumbers = yield FindInList(path, question, numbers, since)
    return Dids(_by_number(listed.numbers), listed.began_at)


def read_page(list_name: str, cursor: str | None) -> Inquiry[ListPage]:
    """Read one page of a list of numbers, which has its path as its name: the first, or the one after `cursor`.

    Raises:
        NoAnswer: It is no answer of Swift's.
        UnreadableAnswer: It is not a page of such a list.
    """
    answer = yield get(list_name, cursor or "")
    return _decode_page(answer, cursor)


def _decode_page(answer: CarrierAnswer, cursor: str | None) -> ListPage:
    """Return a page. One that is empty is the last if it has the cursor that was asked for, or none."""
    require_content(answer)
    page = read_list(answer.body)
    dids = (read_listed_did(item) for item in page.items)
    listed = tuple(ListedNumber(did.e164, did.inserted_at, _detail(did)) for did in dids if did is not None)
    return ListPage(listed, page.after if page.items or page.after != cursor else None)


def _by_number(numbers: tuple[ListedNumber, ...]) -> Mapping[E164, Did]:
    """Return the numbers by name. If a number has two entries, the later one counts."""
    return {one.e164: _did(one) for one in sorted(numbers, key=lambda one: one.inserted_at)}


def _detail(did: Did) -> Mapping[str, object]:
    shown = {"sms": did.sms, "mms": did.mms, "written": did.written}
    return {name: value for name, value in shown.items() if value is not None}


def _did(listed: ListedNumber) -> Did:
    texts = {name: None if value is None else str(value) for name, value in listed.detail.items()}
    return Did(listed.e164, listed.inserted_at, texts.get("sms"), texts.get("mms"), texts.get("written"))
