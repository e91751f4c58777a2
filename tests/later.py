"""A moment that orders may be scheduled for, and that no test lives to see."""

from typing import Final

from workers.clock import utc_now

LATER: Final = f"{utc_now().year + 5}-01-01T00:00:00Z"
