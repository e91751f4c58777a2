"""How tasks answer their callers: with a result, or with a refusal, which is a result too.

A refusal is not a failure of the task. It costs one line of the log, and no row in Flower. A caller whose message has
the header `ANSWERS` gets it as `{"problem": {…}}` (`number_orders_client.contract.Problem`). For any other caller the
exception is stored that release 0.1.0 raised, so that its `get()` raises it as before.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

import structlog
from celery import Task
from celery.app.task import Context

from number_orders.orders.errors import (
    Fault,
    KeyConflict,
    LedgerUnavailable,
    NotCancellable,
    NotParkable,
    NotResolvable,
    OrderRefused,
    UnknownOrder,
)
from number_orders_client.contract import ANSWERS_HEADER, ANSWERS_TYPED, PROBLEM_PREFIX

log = structlog.get_logger(__name__)

Work = Callable[..., Any]

_NAMES: Final[Mapping[type[Exception], str]] = {
    KeyConflict: "key-conflict",
    OrderRefused: "order-refused",
    UnknownOrder: "unknown-order",
    NotCancellable: "not-cancellable",
    NotParkable: "not-parkable",
    NotResolvable: "not-resolvable",
}
REFUSALS: Final = tuple(_NAMES)


def answering(work: Work) -> Work:
    """Make the body of a bound task answer with its refusals instead of failing with them."""
    takes = inspect.signature(work)

    @wraps(work)
    def answered(task: Task[Any, Any], *args: object, **kwargs: object) -> Any:
        try:
            takes.bind(task, *args, **kwargs)
        except TypeError as wrong:
            return answer_refusal(task, OrderRefused([Fault("message", f"has wrong arguments: {wrong}")]))
        try:
            return work(task, *args, **kwargs)
        except REFUSALS as refusal:
            return answer_refusal(task, refusal)
        except LedgerUnavailable as away:
            if not wants_problems(task.request):
                raise
            log.warning("ledger_away", trouble=str(away))
            return {"problem": {"type": f"{PROBLEM_PREFIX}ledger-unavailable", "detail": str(away), "faults": []}}

    return answered


def answer_refusal(task: Task[Any, Any], refusal: Exception) -> object:
    """Answer the request that the task runs with a refusal; return what Celery takes for its result."""
    faults = refusal.faults if isinstance(refusal, OrderRefused) else ()
    log.info("refused", why=str(refusal))
    request: Any = task.request
    if wants_problems(request):
        return {"problem": problem(refusal)}
    raised = ValueError(f"order refused: {refusal}") if faults else refusal
    ignored = task.ignore_result if request.ignore_result is None else request.ignore_result
    task.backend.mark_as_failure(request.id, raised, request=request, store_result=not ignored)
    # The answer is stored, and what was to follow it was told. Celery is not to do either again, as for a success.
    request.update(ignore_result=True, callbacks=None, chain=None, chord=None)
    return f"refused: {refusal}"


def problem(refusal: Exception) -> dict[str, Any]:
    """Return a refusal as JSON."""
    name = next(name for kind, name in _NAMES.items() if isinstance(refusal, kind))
    faults = refusal.faults if isinstance(refusal, OrderRefused) else ()
    listed = [{"field": fault.field, "rule": fault.rule} for fault in faults]
    return {"type": f"{PROBLEM_PREFIX}{name}", "detail": str(refusal), "faults": listed}


def wants_problems(request: Mapping[str, Any] | Context) -> bool:
    """Tell whether the caller reads refusals from the result. `request` is Celery's, or the headers of a message."""
    return request.get(ANSWERS_HEADER) == ANSWERS_TYPED
