"""Authentication at the sandbox Bandwidth; other callers get empty answers."""

import httpx
import pytest

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml, order_xml

SEARCH = f"{ACCOUNT}/availableNumbers?areaCode=919&quantity=1"
TOKEN = "/api/v1/oauth2/token"
GRANT = {"grant_type": "client_credentials"}


def issue(client: BandwidthClient) -> str:
    answer = client.http.post(TOKEN, data=GRANT, auth=("sandbox-client", "sandbox-secret"))
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    token: str = answer.json()["access_token"]
    return token


def get(client: BandwidthClient, authorization: str) -> httpx.Response:
    return client.http.get(SEARCH, headers={"Authorization": authorization})


def test_issued_token_opens_the_api(bandwidth: BandwidthClient) -> None:
    assert get(bandwidth, f"Bearer {issue(bandwidth)}").status_code == 200


def test_token_expires_when_it_says(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(token_lifetime_s=60)
    answer = bandwidth.http.post(TOKEN, data=GRANT, auth=("sandbox-client", "sandbox-secret"))
    assert answer.json()["expires_in"] == 60
    token = answer.json()["access_token"]
    assert get(bandwidth, f"Bearer {token}").status_code == 200

    bandwidth.control.advance(61)

    assert get(bandwidth, f"Bearer {token}").status_code == 401


def test_revoked_tokens_are_refused_and_new_ones_are_issued(bandwidth: BandwidthClient) -> None:
    first, second = issue(bandwidth), issue(bandwidth)

    assert bandwidth.control.revoke_tokens(first) == 1
    assert get(bandwidth, f"Bearer {first}").status_code == 401
    assert get(bandwidth, f"Bearer {second}").status_code == 200
    assert bandwidth.control.revoke_tokens() == 1
    assert get(bandwidth, f"Bearer {second}").status_code == 401
    assert get(bandwidth, f"Bearer {issue(bandwidth)}").status_code == 200


def test_wrong_client_gets_no_token_and_an_empty_answer(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.post(TOKEN, data=GRANT, auth=("sandbox-client", "wrong"))

    assert (answer.status_code, answer.content) == (401, b"")


def test_other_grants_are_not_supported(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.post(TOKEN, data={"grant_type": "password"}, auth=("sandbox-client", "sandbox-secret"))

    assert answer.status_code == 400
    assert answer.json() == {"error": "unsupported_grant_type"}


def test_basic_authentication_opens_the_api(bandwidth: BandwidthClient) -> None:
    right, wrong = ("sandbox-user", "sandbox-password"), ("sandbox-user", "wrong")

    assert bandwidth.http.get(SEARCH, auth=right).status_code == 200
    assert bandwidth.http.get(SEARCH, auth=wrong).status_code == 401


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Basic !!!", "Basic", "Digest x", ""])
def test_unknown_caller_is_answered_401_without_a_body(bandwidth: BandwidthClient, authorization: str) -> None:
    answer = get(bandwidth, authorization)

    assert (answer.status_code, answer.content) == (401, b"")


def test_reader_may_read_but_not_order(bandwidth: BandwidthClient) -> None:
    reader = {"Authorization": "Bearer sandbox-reader-token"}
    refused = bandwidth.http.post(f"{ACCOUNT}/orders", content=order_xml(area_xml("919")), headers=reader)

    assert (refused.status_code, refused.content) == (403, b"")
    assert bandwidth.http.get(f"{ACCOUNT}/orders?page=1&size=1", headers=reader).status_code == 200
    assert bandwidth.control.report()["orders"] == []


def test_another_account_is_forbidden_without_a_body(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.get("/api/v2/accounts/1/orders?page=1&size=1")

    assert (answer.status_code, answer.content) == (403, b"")
