"""README's table "What each carrier can do" promises nothing that is not tested: every cell names its tests here.

A no is a promise as well: what a carrier does not offer is refused, or declared not to be had.
"""

import ast
import re
from collections.abc import Mapping
from typing import Final

import pytest

from tests.processes import REPOSITORY

pytestmark = pytest.mark.acceptance

HERE: Final = REPOSITORY / "tests" / "acceptance"
HEADING: Final = "## What each carrier can do"
CARRIERS: Final = ("Swift", "CM.com", "Bandwidth")

REFUSED: Final = "test_offers.test_what_a_carrier_does_not_offer_is_refused_at_the_door"
DECLARED: Final = "test_offers.test_carriers_declare_what_the_table_says"
COMPARED: Final = "test_offers.test_the_carriers_numbers_are_listed_and_compared_with_the_ledger"
MOST: Final = "test_offers.test_the_most_in_one_order"
ENDS: Final = "test_swift.test_every_end_of_a_purchase_is_told_as_it_was"

PROVEN: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    "new numbers by criteria": (
        (ENDS, "test_swift.test_orders_that_could_be_taken_for_each_other_end_with_their_own_numbers"),
        ("test_offers.test_cm_sells_by_every_criterion", "test_cm.test_whole_ranges_and_american_numbers"),
        ("test_offers.test_bandwidth_sells_by_every_criterion",),
    ),
    "at most in one order": ((MOST,), (MOST,), (MOST,)),
    "ranges": ((REFUSED,), ("test_cm.test_whole_ranges_and_american_numbers",), (REFUSED,)),
    "named numbers": (
        (REFUSED,),
        (REFUSED,),
        ("test_offers.test_numbers_that_a_search_has_found_are_bought_by_name",),
    ),
    "numbers brought along for messaging": (
        ("test_swift.test_numbers_brought_along_are_told_one_by_one",),
        (REFUSED,),
        (REFUSED,),
    ),
    "sub accounts": (
        ("test_swift.test_orders_that_could_be_taken_for_each_other_end_with_their_own_numbers",),
        (REFUSED,),
        ("test_offers.test_a_sub_account_of_bandwidth",),
    ),
    "removals": (
        (
            "test_swift.test_every_end_of_a_removal_is_told_number_by_number",
            "test_swift.test_a_removal_ordered_before_the_purchase_has_ended_waits_for_it_and_then_for_the_window",
            "test_swift.test_two_removals_of_one_number_at_once_give_it_up_once",
        ),
        (REFUSED,),
        (
            "test_removals.test_numbers_that_were_bought_are_given_up_and_can_be_bought_again",
            "test_removals.test_what_is_not_ours_fails_by_itself",
        ),
    ),
    "taint window": (
        (
            "test_swift.test_a_removal_waits_for_the_window_and_then_leaves",
            "test_swift_taint.test_a_removal_that_waits_says_so_for_each_number",
            "test_swift_taint.test_neither_a_killed_worker_nor_a_wiped_broker_lets_a_removal_leave_early_or_never",
            "test_swift_taint.test_wait_sends_one_removal_and_split_two",
            "test_swift_taint.test_fail_fails_and_gives_nothing_up",
        ),
        (REFUSED, DECLARED),
        (REFUSED, DECLARED),
    ),
    "partial": (
        (ENDS,),
        ("test_cm.test_a_part_is_told_as_a_part",),
        ("test_main_job.test_every_end_is_told_as_it_was", "test_offers.test_all_or_nothing_at_bandwidth"),
    ),
    "backorder": (
        (REFUSED, DECLARED),
        (REFUSED, DECLARED, "test_cm.test_what_nobody_decides_stays_open"),
        (
            "test_main_job.test_every_end_is_told_as_it_was",
            "test_backorders.test_a_backorder_is_called_back_closed_and_told",
        ),
    ),
    "called back while open": (
        ("test_offers.test_swift_calls_nothing_back",),
        ("test_cm.test_an_order_is_called_back_while_people_decide",),
        (
            "test_backorders.test_a_backorder_is_called_back_closed_and_told",
            "test_backorders.test_a_backorder_called_back_with_half_of_its_numbers_keeps_them",
        ),
    ),
    "reservations": (
        (DECLARED,),
        (DECLARED,),
        (
            "test_offers.test_a_reservation_is_made_seen_used_up_and_let_go",
            "test_backorders.test_a_reserved_number_is_bought_by_the_order_that_names_its_reservation",
        ),
    ),
    "found again after a lost answer": (
        (
            "test_swift.test_an_answer_that_was_lost_is_found_again_by_the_cart",
            "test_crash_matrix.test_struck_at_every_point_every_order_is_bought_once_and_ends_truly",
        ),
        (
            "test_cm.test_an_answer_that_was_lost_is_found_by_its_comment_and_nothing_is_bought_twice",
            "test_cm.test_what_is_not_listed_is_for_a_person_to_decide",
        ),
        (
            "test_killed_workers.test_killed_at_twenty_random_moments_every_order_is_bought_once_and_ends_truly",
            "test_removals.test_when_the_answer_is_lost_the_disconnect_is_found",
            "test_removals.test_when_it_cannot_be_found_sending_it_again_does_no_harm",
            "test_removals.test_when_it_never_arrived_it_is_sent_again",
        ),
    ),
    "search for numbers": (
        (DECLARED,),
        (DECLARED,),
        ("test_offers.test_bandwidth_is_searched_in_north_america_and_abroad",),
    ),
    "coverage": (("test_offers.test_swift_counts_what_it_has",), (DECLARED,), (DECLARED,)),
    "restrictions": (
        (DECLARED,),
        ("test_offers.test_restrictions_are_told_by_cm_and_bandwidth",),
        ("test_offers.test_restrictions_are_told_by_cm_and_bandwidth",),
    ),
    "one number": (
        (DECLARED,),
        (DECLARED,),
        ("test_offers.test_bandwidth_tells_of_one_number_and_of_those_in_service",),
    ),
    "numbers in service": (
        (COMPARED,),
        (DECLARED,),
        ("test_offers.test_bandwidth_tells_of_one_number_and_of_those_in_service",),
    ),
    "compared with the ledger": ((COMPARED,), (DECLARED,), (COMPARED,)),
}
"""The tests of each row, for Swift, CM.com and Bandwidth: module and function."""


def promised() -> dict[str, tuple[str, ...]]:
    """Read the table in README: what is said of each carrier, by row."""
    _, below = (REPOSITORY / "README.md").read_text().split(HEADING)
    lines = re.findall(r"^\|(.*)\|$", below.partition("\n## ")[0], re.MULTILINE)
    head, _, *table = [tuple(cell.strip() for cell in line.split("|")) for line in lines]
    assert head[1:] == CARRIERS
    return {title: tuple(cells) for title, *cells in table}


def functions_of(module: str) -> set[str]:
    """Return the names of a module's tests, without running anything of it."""
    tree = ast.parse((HERE / f"{module}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_of_the_table_is_proven() -> None:
    """A row more, a row fewer, or a carrier without a test, and this fails."""
    table = promised()
    assert list(table) == list(PROVEN)
    assert [title for title, cells in table.items() if len(cells) != len(CARRIERS) or not all(cells)] == []
    assert [title for title, tests in PROVEN.items() if not all(tests)] == []


def test_every_test_that_is_named_is_there() -> None:
    named = {test for row in PROVEN.values() for cell in row for test in cell}
    lost = [test for test in named if test.partition(".")[2] not in functions_of(test.partition(".")[0])]
    assert lost == []


def test_a_no_is_proven_by_a_refusal_and_nothing_else_is() -> None:
    """So that a cell cannot turn from no to yes, or back, with its tests left as they were."""
    noes = {REFUSED, DECLARED, "test_offers.test_swift_calls_nothing_back"}
    wrong = [
        (title, carrier)
        for title, cells in promised().items()
        for carrier, cell, tests in zip(CARRIERS, cells, PROVEN[title], strict=True)
        if bool(re.match(r"no\b", cell)) != bool(noes & set(tests))
    ]
    assert wrong == []
