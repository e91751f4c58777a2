"""CM.com's answers to questions about no order: how much one number request may ask for.

CM.com's restrictions depend on the company profile, so there are answers for the countries and number types that have
one. `restrictions` asks for them and reads them. No page of CM.com's describes a search over its stock.
"""

from collections.abc import Iterator

from number_orders.carriers.cm.facts import CARRIER, NumberType
from number_orders.carriers.cm.restrictions import Allowance, ask_allowances
from number_orders.carriers.cm.rules import Profiles
from number_orders.carriers.contract import Inquiry
from number_orders.carriers.market import Market, Restriction, RestrictionsQuery, Topic
from number_orders.orders.errors import Fault, InquiryRefused
from number_orders.orders.model import CarrierName


class CMMarket(Market):
    """The question that CM.com answers about one account."""

    offers = frozenset({Topic.RESTRICTIONS})

    def __init__(self, account_guid: str, company_profiles: Profiles) -> None:
        super().__init__(CarrierName(CARRIER))
        self._account = account_guid
        self._profiles = company_profiles

    def restrictions(self, query: RestrictionsQuery) -> Inquiry[tuple[Restriction, ...]]:
        """Ask how many numbers one order may have, and in ranges of which sizes."""
        if faults := tuple(self._faults(query)):
            raise InquiryRefused(faults)
        allowances = yield from ask_allowances(self._account, self._profiles, query.country, query.number_type)
        return tuple(rule for one in allowances for rule in _restrictions(one))

    def _faults(self, query: RestrictionsQuery) -> Iterator[Fault]:
        known = sorted(self._profiles)
        countries = sorted({key.partition(":")[0] for key in known})
        if query.number_type not in {None, *NumberType}:
            yield Fault("criteria.number_type", f"must be one of {', '.join(NumberType)}")
        elif query.country not in countries:
            rule = f"no company profile is set up for it; there are {', '.join(countries) or 'none'}"
            yield Fault("criteria.country", rule)
        elif query.number_type is not None and f"{query.country}:{query.number_type}" not in known:
            yield Fault("criteria.number_type", f"no company profile is set up for it; there are {', '.join(known)}")


def _restrictions(allowed: Allowance) -> Iterator[Restriction]:
    quantity = "not said" if allowed.quantity_max is None else f"at most {allowed.quantity_max} in one order"
    yield Restriction(allowed.country, "quantity", quantity, number_type=allowed.number_type)
    sizes = f"one of {', '.join(map(str, allowed.range_sizes))}" if allowed.range_sizes else "no ranges: one by one"
    yield Restriction(allowed.country, "range_size", sizes, number_type=allowed.number_type)
