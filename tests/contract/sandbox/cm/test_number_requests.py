"""Number requests at the sandbox CM.com."""

from uuid import UUID

import httpx
import pytest

from tests.contract.sandbox.cm.client import ACCOUNT, AMERICAN, DUTCH, GERMAN, TOKEN, CmClient, request_body

NULLS = {"id": None, "start": None, "size": 1, "validFrom": None, "validTo": None}


def test_create_answers_with_empty_ranges_even_if_all_is_assigned_at_once(cm: CmClient) -> None:
    answer = cm.post(areaCode="020", quantity=2, comment="ref=o-1")

    body = answer.json()
    assert answer.status_code == 200
    assert body == {
        "guid": body["guid"],
        "createdOn": body["createdOn"],
        "status": "NEW",
        "statusReason": None,
        **request_body(areaCode="020", quantity=2, comment="ref=o-1"),
        "ranges": [NULLS, NULLS],
    }
    assert str(UUID(body["guid"])) == body["guid"]
    now = cm.read(body["guid"])
    assert now["status"] == "COMPLETED"
    assert [each["start"] for each in now["ranges"]] == ["+31207990000", "+31207990001"]
    assert all(each["validFrom"] == body["createdOn"] and each["validTo"] is None for each in now["ranges"])


def test_request_that_is_not_directly_available_is_reviewed(cm: CmClient) -> None:
    cm.control.behave(cm_review_s=1000)
    guid = cm.place(areaCode="010", quantity=3)

    seen = []
    for _ in range(3):
        seen.append((cm.status(guid), len(cm.starts(guid))))
        cm.control.advance(501)

    assert seen == [("NEW", 0), ("IN_PROGRESS", 0), ("COMPLETED", 3)]
    assert cm.read(guid)["statusReason"] == "The numbers were assigned."
    reported = cm.reported(guid)
    assert reported["bought"] == cm.starts(guid)
    assert (reported["status"], reported["outcome"]) == ("COMPLETED", "COMPLETED")


def test_request_for_more_than_is_directly_available_is_reviewed(cm: CmClient) -> None:
    cm.control.behave(cm_review_s=1000)

    assert cm.status(cm.place(areaCode="070", quantity=15)) == "COMPLETED"
    assert cm.status(cm.place(areaCode="070", quantity=15)) == "NEW"
    assert cm.status(cm.place(areaCode="070", quantity=5)) == "NEW"


def test_ranges_begin_at_multiples_of_their_size(cm: CmClient) -> None:
    cm.place(areaCode="020", quantity=3)
    guid = cm.place(areaCode="020", quantity=20, rangeSize=10)

    assert [(each["start"], each["size"]) for each in cm.read(guid)["ranges"]] == [
        ("+31207990010", 10),
        ("+31207990020", 10),
    ]
    assert cm.reported(guid)["bought"] == [f"+312079900{line}" for line in range(10, 30)]


def test_ranges_of_a_thousand(cm: CmClient) -> None:
    guid = cm.place(companyProfileGuid=GERMAN, areaCode="030", quantity=1000, rangeSize=1000)

    assert [each["size"] for each in cm.read(guid)["ranges"]] == [1000]


@pytest.mark.parametrize(
    ("written", "start"), [("e164", "+31207990000"), ("digits", "31207990000"), ("double_zero", "0031207990000")]
)
def test_number_format_follows_the_behaviour(cm: CmClient, written: str, start: str) -> None:
    cm.control.behave(cm_number_format=written)

    assert cm.starts(cm.place(areaCode="020")) == [start]


def test_merged_ranges_follow_the_behaviour(cm: CmClient) -> None:
    cm.control.behave(cm_range_shape="merged")
    answer = cm.post(areaCode="020", quantity=5)
    partial = cm.read(cm.place(areaCode="0113", quantity=5))["ranges"]

    assert answer.json()["ranges"] == [NULLS | {"size": 5}]
    assert [(each["start"], each["size"]) for each in cm.read(answer.json()["guid"])["ranges"]] == [("+31207990000", 5)]
    assert [(each["start"], each["size"]) for each in partial] == [("+31113498000", 2), (None, 3)]


def test_create_answer_follows_the_behaviour(cm: CmClient) -> None:
    cm.control.behave(cm_create_status=201, cm_guid_in_reply=False)
    answer = cm.post(comment="order 0198c0de-0000-7000-8000-000000000001, please")

    assert answer.status_code == 201
    assert "guid" not in answer.json()
    (listed,) = cm.get("/numberRequests").json()
    assert cm.reported(listed["guid"])["customer_order_id"] == "0198c0de-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("comment", "reference"),
    [(None, ""), ("  spring campaign ", "spring campaign"), ("ref=o-1 for Ann", "o-1"), ("Reference: o-2", "o-2")],
)
def test_reference_is_found_in_the_comment(cm: CmClient, comment: str | None, reference: str) -> None:
    assert cm.reported(cm.place(comment=comment))["customer_order_id"] == reference


def test_two_requests_with_one_reference_are_reported(cm: CmClient) -> None:
    pair = [cm.place(comment="ref=o-1", areaCode="020") for _ in range(2)]

    assert cm.control.report()["duplicates"] == {"customer_order_ids": {"o-1": pair}, "numbers": {}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": 1001}, "quantity"),
        ({"quantity": "5"}, "quantity"),
        ({"quantity": 26, "phoneNumberType": "TOLLFREE", "areaCode": "0800"}, "quantity: at most 25"),
        ({"quantity": 5, "rangeSize": 5}, "rangeSize: allowed are 10, 100"),
        ({"quantity": 10, "rangeSize": 10, "phoneNumberType": "TOLLFREE"}, "rangeSize: allowed are no ranges"),
        ({"quantity": 15, "rangeSize": 10}, "quantity: must be a multiple of rangeSize"),
        ({"phoneNumberType": "MOBILE"}, "phoneNumberType"),
        ({"companyProfileGuid": GERMAN, "phoneNumberType": "TOLLFREE"}, "phoneNumberType"),
        ({"areaCode": None}, "areaCode: required when city is not provided"),
        ({"companyProfileGuid": AMERICAN, "areaCode": "646"}, "region: required for NANPA"),
        ({"companyProfileGuid": "0c0ffee0-0000-4000-8000-000000000099"}, "companyProfileGuid: unknown"),
        ({"companyProfileGuid": "nobody"}, "companyProfileGuid"),
        ({"companyProfileGuid": None}, "companyProfileGuid"),
        ({"callbackUrl": "ftp://x"}, "callbackUrl"),
    ],
)
def test_request_that_breaks_a_rule_is_refused(cm: CmClient, fields: dict[str, object], reason: str) -> None:
    answer = cm.post(**fields)

    assert answer.status_code == 400
    assert sorted(answer.json()) == ["message", "messageCode", "messageDetail"]
    assert reason in answer.json()["messageDetail"]
    assert cm.control.report()["orders"] == []


def test_body_that_is_not_json_is_refused(cm: CmClient) -> None:
    assert cm.http.post(f"{ACCOUNT}/numberRequests", content=b"{").status_code == 400


def test_city_or_area_code_or_both(cm: CmClient) -> None:
    assert cm.starts(cm.place(areaCode=None, city="Amsterdam"))[0].startswith("+3120")
    assert cm.starts(cm.place(areaCode="20", city="Amsterdam"))[0].startswith("+3120")
    nowhere = cm.read(cm.place(areaCode="010", city="Amsterdam"))
    assert (nowhere["status"], nowhere["statusReason"]) == (
        "REJECTED",
        "No numbers are available in the requested area.",
    )


@pytest.mark.parametrize(
    ("profile", "fields", "prefix"),
    [
        (DUTCH, {"phoneNumberType": "NATIONAL", "areaCode": "085"}, "+3185"),
        (DUTCH, {"phoneNumberType": "TOLLFREE", "areaCode": "0800"}, "+31800"),
        (GERMAN, {"areaCode": "089"}, "+4989"),
        (AMERICAN, {"areaCode": "646", "region": "NY"}, "+1646"),
        (AMERICAN, {"areaCode": "888", "region": "NY", "phoneNumberType": "TOLLFREE"}, "+1888"),
    ],
)
def test_the_profile_determines_the_country(cm: CmClient, profile: str, fields: dict[str, str], prefix: str) -> None:
    (start,) = cm.starts(cm.place(companyProfileGuid=profile, **fields))

    assert start.startswith(prefix)


MAGIC = [("0111", DUTCH, None), ("0113", DUTCH, None), ("0114", DUTCH, None), ("0115", DUTCH, None)]
MAGIC_US = [("406", AMERICAN, "MT"), ("808", AMERICAN, "HI"), ("907", AMERICAN, "AK"), ("605", AMERICAN, "SD")]
ENDS = [("REJECTED", 0, "FAILED"), ("COMPLETED", 2, "PARTIAL"), ("IN_PROGRESS", 0, None), ("COMPLETED", 5, "COMPLETED")]


@pytest.mark.parametrize(("place", "end"), [*zip(MAGIC, ENDS, strict=True), *zip(MAGIC_US, ENDS, strict=True)])
def test_magic_area_codes(cm: CmClient, place: tuple[str, str, str | None], end: tuple[str, int, str | None]) -> None:
    area_code, profile, region = place
    guid = cm.place(areaCode=area_code, companyProfileGuid=profile, region=region, quantity=5)

    body = cm.read(guid)
    assert (body["status"], len(cm.starts(guid)), cm.reported(guid)["outcome"]) == end
    assert len(body["ranges"]) == 5
    assert body["statusReason"]


def test_magic_unknown_status(cm: CmClient) -> None:
    cm.control.behave(strange_s=60)
    guid = cm.place(areaCode="0115")

    assert cm.status(guid) == "AWAITING_STARLIGHT"
    assert "AWAITING_STARLIGHT" not in cm.get("/statuses").json()
    cm.control.advance(61)
    assert cm.status(guid) == "COMPLETED"


def test_magic_completion_without_numbers(cm: CmClient) -> None:
    guid = cm.place(areaCode="0117", quantity=2)

    assert (cm.status(guid), cm.starts(guid)) == ("COMPLETED", [])
    assert cm.reported(guid)["outcome"] == "FAILED"


def test_partial_of_one_is_rejected(cm: CmClient) -> None:
    assert cm.status(cm.place(areaCode="0113")) == "REJECTED"


def test_request_can_be_cancelled_until_it_is_finalised(cm: CmClient) -> None:
    cm.control.behave(cm_review_s=1000)
    guid = cm.place(quantity=2)
    cm.control.advance(600)

    cancelled = cm.cancel(guid)
    cm.control.advance(1000)

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert cancelled.json()["statusReason"]
    assert (cm.status(guid), cm.starts(guid)) == ("CANCELLED", [])
    assert cm.cancel(guid).status_code == 409
    reported = cm.reported(guid)
    assert (reported["outcome"], reported["bought"], reported["set_aside"]) == ("CANCELLED", [], [])


def test_cancelling_takes_its_time(cm: CmClient) -> None:
    cm.control.behave(cm_review_s=1000, cm_cancel_s=300)
    guid = cm.place(quantity=2)

    facts = cm.cancel(guid)
    cm.control.advance(200)

    assert (facts.status_code, facts.json()["status"], cm.status(guid)) == (200, "NEW", "NEW")
    assert len(cm.reported(guid)["set_aside"]) == 2
    assert cm.cancel(guid).status_code == 200
    cm.control.advance(101)
    assert (cm.status(guid), cm.cancel(guid).status_code) == ("CANCELLED", 409)
    assert cm.reported(guid)["set_aside"] == []


def test_decision_before_the_cancellation_stands(cm: CmClient) -> None:
    cm.control.behave(cm_review_s=1000, cm_cancel_s=300)
    guid = cm.place(quantity=2)
    cm.control.advance(800)

    assert cm.cancel(guid).status_code == 200
    cm.control.advance(400)

    assert (cm.status(guid), len(cm.starts(guid))) == ("COMPLETED", 2)


def test_assigned_request_cannot_be_cancelled(cm: CmClient) -> None:
    guid = cm.place(areaCode="020")

    assert cm.cancel(guid).status_code == 409
    assert len(cm.starts(guid)) == 1


def test_list_is_a_bare_array_with_paging_in_headers(cm: CmClient) -> None:
    guids = [cm.place(comment=f"ref=o-{n}") for n in range(5)]

    whole, part = cm.get("/numberRequests"), cm.get("/numberRequests", skip=1, take=2)

    assert [each["guid"] for each in whole.json()] == guids
    assert whole.json()[0] == cm.read(guids[0])
    assert [each["comment"] for each in part.json()] == ["ref=o-1", "ref=o-2"]
    headers = {name: part.headers[f"x-cm-pagination-{name}"] for name in ("skip", "take", "total")}
    assert headers == {"skip": "1", "take": "2", "total": "5"}
    assert whole.headers["x-cm-pagination-take"] == "50"
    assert cm.get("/numberRequests", take=1000).headers["x-cm-pagination-take"] == "100"
    assert cm.get("/numberRequests", skip="x").status_code == 400
    cm.control.behave(list_oldest_first=False)
    assert [each["guid"] for each in cm.get("/numberRequests", take=1).json()] == guids[-1:]


def test_new_request_may_take_a_while_to_be_listed(cm: CmClient) -> None:
    cm.control.behave(listing_delay_s=60)
    guid = cm.place()

    assert cm.get("/numberRequests").json() == []
    assert cm.status(guid) == "COMPLETED"
    cm.control.advance(61)
    assert len(cm.get("/numberRequests").json()) == 1


def test_statuses_and_restrictions(cm: CmClient) -> None:
    assert cm.get("/statuses").json() == ["NEW", "IN_PROGRESS", "COMPLETED", "REJECTED", "CANCELLED"]
    assert cm.get("/numberRequests/statuses").json() == cm.get("/statuses").json()
    everything = cm.get("/restrictions").json()
    dutch = cm.get("/numberRequests/restrictions", companyProfileGuid=DUTCH, phoneNumberType="LOCAL").json()
    assert dutch == [
        {"countryCode": "NL", "phoneNumberType": "LOCAL", "maximumQuantity": 1000, "allowedRangeSizes": [10, 100]}
    ]
    assert dutch[0] in everything
    assert {each["countryCode"] for each in everything} == {"NL", "BE", "GB", "DE", "US"}
    assert len(cm.get("/restrictions", countryCode="US").json()) == 2


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"areaCode": "020"}, (True, True, 2000)),
        ({"city": "Rotterdam"}, (True, False, 0)),
        ({"areaCode": "070", "quantity": 50}, (True, False, 20)),
        ({"areaCode": "0999"}, (False, False, 0)),
    ],
)
def test_availability(cm: CmClient, query: dict[str, object], answer: tuple[bool, bool, int]) -> None:
    body = cm.get("/availability", companyProfileGuid=DUTCH, phoneNumberType="LOCAL", **query).json()

    assert (body["isAvailable"], body["isDirectlyAvailable"], body["quantity"]) == answer


@pytest.mark.parametrize("query", [{}, {"companyProfileGuid": DUTCH}, {"companyProfileGuid": "x"}])
def test_availability_without_company_or_type_is_refused(cm: CmClient, query: dict[str, str]) -> None:
    assert cm.get("/availability", **query).status_code == 400


@pytest.mark.parametrize("headers", [{}, {"X-CM-PRODUCTTOKEN": "wrong"}])
def test_other_tokens_are_refused(cm: CmClient, headers: dict[str, str]) -> None:
    for path in ("/numberRequests", "/numberRequests/x", "/statuses"):
        assert httpx.get(f"{cm.control.url}{ACCOUNT}{path}", headers=headers, trust_env=False).status_code == 401


def test_another_account_is_refused(cm: CmClient) -> None:
    path = ACCOUNT.replace("acc0", "acc1") + "/numberRequests"

    assert cm.http.get(path, headers=TOKEN).status_code == 401


def test_path_in_lower_case(cm: CmClient) -> None:
    assert cm.http.get(f"{ACCOUNT}/numberrequests").status_code == 200


def test_unknown_request_is_404(cm: CmClient) -> None:
    assert cm.get("/numberRequests/0c0ffee0-0000-4000-8000-000000000000").status_code == 404
    assert cm.cancel("nothing").status_code == 404


def test_request_beyond_the_block_is_rejected(cm: CmClient) -> None:
    cm.place(areaCode="0115", quantity=990)
    answers = [cm.read(cm.place(areaCode="0115", quantity=quantity))["status"] for quantity in (11, 10)]

    assert answers == ["REJECTED", "COMPLETED"]
