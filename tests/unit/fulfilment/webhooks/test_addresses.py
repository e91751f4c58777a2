"""Only URLs with public addresses are accepted, and only public addresses are connected."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.fulfilment.webhooks.addresses import AddressRules, host_of, is_public

RULES = AddressRules()
INTERNAL = AddressRules(
    ports=frozenset({443, 9443}),
    networks=(ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd00::/8")),
    hosts=frozenset({"crm.internal"}),
)


@pytest.mark.parametrize("address", ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert RULES.allows_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_addresses_that_are_not_public_are_not(address: str) -> None:
    assert not RULES.allows_address(address)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """An independent list: Python's, made from the same registries."""
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    assert not (special and is_public(address))


def test_a_network_may_be_allowed() -> None:
    """And nothing beside it, nor the same network in another notation."""
    assert INTERNAL.allows_address("10.20.3.4")
    assert INTERNAL.allows_address("fd12::1")
    assert not INTERNAL.allows_address("10.21.0.1")
    assert not INTERNAL.allows_address("::ffff:10.20.3.4")
    assert not INTERNAL.allows_address("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example/hooks",
        "https://crm.example:8443/hooks?tenant=1&x=%2F",
        "https://CRM.example",
        "https://bücher.example/hooks",
        "https://a_b.example/",
        "https://8.8.8.8/hooks",
        "https://[2606:4700:4700::1111]/hooks",
        "https://crm.example./hooks",
        "https://123.example/",
    ],
)
def test_good_urls_have_no_fault(url: str) -> None:
    assert list(RULES.faults(url)) == []


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://crm.example/", "https://"),
        ("https://", "host"),
        ("https:///hooks", "host"),
        ("https://ana:pw@crm.example/", "user name"),
        ("https://:pw@crm.example/", "user name"),
        ("https://@crm.example/", None),
        ("https://crm.example/#top", "fragment"),
        ("https://crm.example#", "fragment"),
        ("https://crm.example:22/", "ports 443, 8443, not 22"),
        ("https://crm.example:99999/", "is no URL"),
        ("https://crm.example:x/", "is no URL"),
        ("https://crm.example/a b", "blanks"),
        ("https://crm.example\\@evil.example/", "backslashes"),
        ("https://crm.example/\n", "control"),
        ("https://127.0.0.1/", "public address"),
        ("https://127。0。0。1/", "public address"),  # full stops that IDNA turns into dots
        ("https://①②⑦.0.0.1/", "public address"),
        ("https://[::1]/", "public address"),
        ("https://[::ffff:10.0.0.1]/", "public address"),
        ("https://[fe80::1%25eth0]/", "public address"),
        ("https://169.254.169.254/latest", "public address"),
        ("https://2130706433/", "usual form"),
        ("https://127.1/", "usual form"),
        ("https://0x7f.0.0.1/", "usual form"),
        ("https://0x7f000001/", "usual form"),
        ("https://017700000001/", "usual form"),
        ("https://localhost/", "localhost"),
        ("https://crm.localhost/", "localhost"),
        ("https://LOCALHOST./", "localhost"),
        (f"https://{'a' * 64}.example/", "DNS"),
        (f"https://{'a.' * 130}example/", "DNS"),
        ("https://-crm.example/", "DNS"),
        ("https://crm..example/", None),
    ],
)
def test_bad_urls_are_refused_with_the_rule(url: str, rule: str | None) -> None:
    found = " ".join(RULES.faults(url))
    assert found
    assert rule is None or rule in found


def test_settings_allow_ports_networks_and_names() -> None:
    """A name is allowed as it is, whatever it leads to."""
    assert list(INTERNAL.faults("https://10.20.0.1:9443/")) == []
    assert list(INTERNAL.faults("https://CRM.internal./")) == []
    assert list(INTERNAL.faults("https://10.21.0.1/")) != []
    assert list(INTERNAL.faults("https://crm.example:8443/")) != []


@given(st.text(max_size=60).map(lambda text: f"https://{text}"))
def test_no_url_breaks_the_check(url: str) -> None:
    """It finds faults or none, and of what it lets through host and port are known."""
    if not list(RULES.faults(url)):
        host, _, port = host_of(url).rpartition(":")
        assert host
        assert int(port) in RULES.ports
        assert not host.isspace()


def test_host_is_kept_as_dns_writes_it() -> None:
    assert host_of("https://Bücher.example/a") == "xn--bcher-kva.example:443"
    assert host_of("https://crm.example:8443") == "crm.example:8443"
    assert host_of("https://[2606:4700:4700::1111]/") == "[2606:4700:4700::1111]:443"
