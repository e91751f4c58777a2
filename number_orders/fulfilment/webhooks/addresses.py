"""Which URLs and which IP addresses documents may be sent to.

A producer chooses the URL, so it could name a machine that only this service can reach. A URL is checked when its order
comes in. The address is checked again when it is connected, because a name can lead elsewhere by then.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from yarl import URL

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Source: IANA's special-purpose address registries; each is not reachable from everywhere, or leads somewhere else.
_CLOSED_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # metadata of Azure's machines, a public address by its look
        "169.254.0.0/16",  # link-local, with the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_OPEN_V6: Final = ipaddress.IPv6Network("2000::/3")
"""Global unicast. Outside are loopback, link-local, private, multicast, IPv4-mapped and NAT64 addresses."""
_CLOSED_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)

_NUMERIC_LABEL: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_UNUSABLE: Final = re.compile(r"[\s\x00-\x1f\x7f\\]")
_USER: Final = re.compile(r"[^:]*://[^/?#]*@")
_HOST_LENGTH_MAX: Final = 253


def is_public(address: IPAddress) -> bool:
    """Tell whether an address belongs to a machine that everybody can reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What is allowed beyond public addresses, and which ports are."""

    ports: frozenset[int] = frozenset({443, 8443})
    networks: tuple[IPNetwork, ...] = ()
    """Networks that are allowed although they are not public."""
    hosts: frozenset[str] = frozenset()
    """Names that may have any address."""

    def allows_host(self, host: str) -> bool:
        """Tell whether a name may have any address."""
        return host.rstrip(".").lower() in self.hosts

    def allows_address(self, address: str) -> bool:
        """Tell whether a connection to an IP address may be opened."""
        parsed = _parsed(address)
        return parsed is not None and (
            is_public(parsed)
            or any(parsed in network for network in self.networks if network.version == parsed.version)
        )

    def faults(self, url: str) -> Iterator[str]:
        """Yield what is wrong with a URL, each as the rule that it breaks."""
        if _UNUSABLE.search(url):
            yield "must not hold blanks, control characters or backslashes"
            return
        try:
            parsed = URL(url)
            host, port = parsed.raw_host, parsed.port
        except ValueError as wrong:
            yield f"is no URL: {wrong}"
            return
        if parsed.scheme != "https" or not host:
            yield "must be an https:// URL with a host"
            return
        if _USER.match(url):
            yield "must not hold a user name or password: the signature shows who sends"
        if "#" in url:
            yield "must not have a fragment (#…), which is never sent"
        if port not in self.ports:
            allowed = ", ".join(str(port) for port in sorted(self.ports))
            yield f"must have one of the ports {allowed}, not {port}"
        yield from self._host_faults(host)

    def _host_faults(self, host: str) -> Iterator[str]:
        if self.allows_host(host):
            return
        if _parsed(host) is not None:
            if not self.allows_address(host):
                yield f"must have a public address; {host} is none"
        elif len(host) > _HOST_LENGTH_MAX or not _NAME.fullmatch(host):
            yield "must have a host name that DNS can hold"
        elif _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
            yield f"must have a host name, or an IP address in its usual form; {host} is neither"
        elif host.rstrip(".").lower().rpartition(".")[2] == "localhost":
            yield "must have a public address; localhost is none"


def host_of(url: str) -> str:
    """Return host and port of a URL that was accepted, as they are kept and logged: `crm.example:443`."""
    parsed = URL(url)
    host = parsed.raw_host or ""
    return f"[{host}]:{parsed.port}" if ":" in host else f"{host}:{parsed.port}"


def _parsed(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
