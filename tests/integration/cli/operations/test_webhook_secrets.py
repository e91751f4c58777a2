"""`webhook-secrets` shows a secret once, keeps two at most, and says how to change from one to the other."""

import json

from number_orders.cli.services import whoami
from tests.integration.cli.conftest import Backend, Command

URL = "https://crm.example/hooks"


def added(command: Command, producer: str = "crm") -> tuple[int, str]:
    """Add a secret; return its id and the secret."""
    found = json.loads(command("webhook-secrets", producer, "add", "--json").stdout)
    return found["secret_id"], found["secret"]


def test_secret_is_shown_once(backend: Backend, command: Command) -> None:
    result = command("webhook-secrets", "crm", "add", columns=None)
    secret = result.stdout.splitlines()[-1]
    assert secret.startswith("whsec_")
    listed = command("webhook-secrets", "crm", columns=None)
    assert whoami() in listed.stdout
    assert "valid" in listed.stdout
    assert secret not in listed.stdout
    assert secret not in command("webhook-secrets", "crm", "list", "--json").stdout


def test_producer_changes_from_one_to_the_next(backend: Backend, command: Command) -> None:
    (first, one), (_, two) = added(command), added(command)
    assert one != two
    third = command("webhook-secrets", "crm", "add", columns=None)
    assert (third.exit_code, third.stdout) == (1, "")
    assert "has two secrets already" in third.stderr
    removed = json.loads(command("webhook-secrets", "crm", "remove", str(first), "--by", "ana", "--json").stdout)
    assert [(row["secret_id"] == first, row["removed_by"]) for row in removed] == [(True, "ana"), (False, None)]
    again = command("webhook-secrets", "crm", "remove", str(first))
    assert again.exit_code == 1
    added(command)


def test_producer_without_secrets_is_told_what_follows(backend: Backend, command: Command) -> None:
    assert "orders with notify.url are refused" in command("webhook-secrets", "nobody", columns=None).stdout
    assert command("webhook-secrets", "nobody", "remove").exit_code == 2
    assert command("webhook-secrets", "a\nb", "add").exit_code == 2


def test_order_says_what_became_of_its_documents(backend: Backend, command: Command) -> None:
    """In `show` and `explain`; a person has them sent again."""
    added(command, "default")
    order_id = backend.order("crm-1", notify={"url": URL, "on": ["ACCEPTED"]})
    assert f"Still to be sent to {URL}: ACCEPTED." in command("explain", "crm-1", columns=None).stdout
    shown = command("show", "crm-1", columns=None).stdout
    assert "Notifications" in shown
    assert URL in shown
    document = json.loads(command("show", "crm-1", "--json").stdout)
    assert [(each["channel"], each["state"], each["tries"]) for each in document["notifications"]] == [
        ("url", "ACCEPTED", 0)
    ]
    retried = json.loads(command("retry", str(order_id), "--lane", "tell", "--json").stdout)
    assert retried["orders"][0]["lanes"] == ["tell"]
