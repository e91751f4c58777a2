"""Wait for what happens in the sandbox, without a clock."""

from number_orders.sandbox.control import SandboxControl
from tests.processes import eventually

_REQUESTS = 5


def let_it_work(control: SandboxControl) -> None:
    """Ask for what changes nothing. Every answer takes the sandbox's event loop several iterations.

    After that, the notices of earlier requests have been made as the behaviour was when it placed them.
    """
    for _ in range(_REQUESTS):
        control.health()


def await_fault(control: SandboxControl) -> None:
    """Wait until a request has had the first fault. If it is one after the order, the order is made by then."""
    for _ in eventually(every_s=0.01):
        if control.faults()[0]["hits"]:
            break
