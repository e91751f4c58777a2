"""What a deployment decides about the board."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardPolicy:
    """How operators log in, and for how long."""

    idle: timedelta = timedelta(minutes=30)
    """A session that nobody uses for so long is over."""
    lasts: timedelta = timedelta(hours=12)
    """Every session is over after that."""
    user_header: str | None = None
    """The header in which a proxy names the operator; None: operators log in with their tokens."""
    proxies: str = ""
    """Addresses or networks of the proxies that may name operators, separated by commas; `*` is all."""
    streams_max: int = 100
    """How many pages of one process are kept up to date at the same time. Others ask now and then."""
    streams_each: int = 20
    """How many of them one operator may have."""

    def is_proxy(self, address: str | None) -> bool:
        """Tell whether the direct peer at this address may name operators."""
        if self.user_header is None or address is None:
            return False
        wanted = [each.strip() for each in self.proxies.split(",") if each.strip()]
        if "*" in wanted:
            return True
        try:
            peer = ipaddress.ip_address(address)
            return any(peer in ipaddress.ip_network(each, strict=False) for each in wanted)
        except ValueError:  # a Unix socket has no address; a proxy may be named, and is then not recognised here
            return False
