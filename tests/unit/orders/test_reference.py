"""References are derived: the same for the same producer and key, and a UUID that carriers take."""

from uuid import UUID

import pytest

from number_orders.orders.reference import derive_reference


def test_a_reference_never_changes() -> None:
    """What this release sent, every later one must find: the value is written out."""
    assert derive_reference("default", "crm-1") == "b57cdea5-2ab7-8df5-ae12-24f630077732"


@pytest.mark.parametrize(
    "other", [("default", "crm-2"), ("erp", "crm-1"), ("defaul", "tcrm-1"), ("", "default\0crm-1")]
)
def test_another_producer_or_key_has_another_reference(other: tuple[str, str]) -> None:
    assert derive_reference(*other) != derive_reference("default", "crm-1")


@pytest.mark.parametrize("key", ["crm-1", "x" * 200, "~!", "0"])
def test_a_reference_is_a_uuid_of_version_8(key: str) -> None:
    reference = derive_reference("default", key)
    assert str(UUID(reference)) == reference
    assert (UUID(reference).version, UUID(reference).variant) == (8, "specified in RFC 4122")
