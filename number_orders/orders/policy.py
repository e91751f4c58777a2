"""How patient we are with one carrier: every duration and every limit of the lifecycle."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class CarrierPolicy:
    """How long to wait and how often to try at one carrier. The defaults suit a carrier that needs seconds."""

    answer_within: timedelta = timedelta(seconds=45)
    """No request lives longer. A submission that was begun and has no answer by then is in doubt."""
    ask_first: timedelta = timedelta(seconds=2)
    """Pause before an open order is asked about for the first time."""
    ask_factor: float = 1.6
    """Each further pause is longer by this factor."""
    ask_max: timedelta = timedelta(minutes=5)
    """The longest pause between two questions."""
    slow_ask_max: timedelta = timedelta(minutes=30)
    """The longest pause for an order that waits for stock or for people at the carrier."""
    doubt_first: timedelta = timedelta(seconds=5)
    """Pause before an order in doubt is asked about for the first time. It doubles with every look in vain."""
    doubt_patience: timedelta = timedelta(minutes=5)
    """How long an order in doubt is looked for, at least, before it is proven absent."""
    doubt_asks: int = 3
    """How often an order in doubt is looked for, at least, before it is proven absent."""
    resend_when_absent: bool = True
    """Whether an order that is proven absent is sent again. False: a person decides."""
    losses_max: int = 3
    """After this many lost answers a person decides whether the order is sent again."""
    resend_first: timedelta = timedelta(seconds=2)
    """Pause after the first attempt that did not reach the carrier. It doubles with every further one."""
    resend_max: timedelta = timedelta(minutes=5)
    """The longest pause between two attempts."""
    settle_after: timedelta = timedelta(minutes=2)
    """An end with fewer numbers than were asked for is believed once the carrier has shown the same for this long."""
    settle_looks: int = 3
    """And once it was seen this often. The lists of a carrier may lag behind its status."""
    late_look_after: timedelta = timedelta(hours=24)
    """How long after the end an order is looked for once more, if more than one purchase may have come of it."""
    overdue_after: timedelta = timedelta(hours=1)
    """An order that takes longer raises an alarm. Asking goes on."""

    def ask_pause(self, asked: int, *, slow: bool) -> timedelta:
        """Return the pause before the next question about an open order that has not moved in `asked` questions."""
        longest = self.slow_ask_max if slow else self.ask_max
        # In seconds, since a timedelta overflows where a float only grows: after 45 doublings of 2 s.
        pause_s = self.ask_first.total_seconds() * self.ask_factor ** min(asked, 64)
        return timedelta(seconds=min(pause_s, longest.total_seconds()))

    def asked_for(self, asked: int, *, slow: bool) -> timedelta:
        """Return how long at least `asked` questions with these pauses have taken."""
        return sum((self.ask_pause(before, slow=slow) for before in range(asked)), timedelta())

    def doubt_pause(self, asked: int) -> timedelta:
        """Return the pause before the next question about an order in doubt that was looked for `asked` times."""
        pause: timedelta = self.doubt_first * 2 ** min(asked, 6)
        return min(pause, self.ask_max)

    def resend_pause(self, sends: int) -> timedelta:
        """Return the pause before the next attempt, when `sends` attempts were begun so far."""
        pause: timedelta = self.resend_first * 2 ** min(sends - 1, 10)
        return min(pause, self.resend_max)
