"""Queues, and every setting of Celery that is not left to its default, each with its reason.

What was measured behind them: docs/adr/0002-bells-and-leases.md.
"""

from typing import Any, Final

INTAKE: Final = "orders"
"""Producers put orders here. The only queue whose messages carry an order."""
BELLS: Final = {lane: f"orders.bells.{lane}" for lane in ("submit", "ask", "tell")}
"""One queue per lane, so that one kind of bell never waits behind another, and lanes can be split over workers."""
SWEEP: Final = "orders.sweep"

ALL: Final = (INTAKE, *BELLS.values(), SWEEP)

TASK_LIMIT_S: Final = 180
"""No task lives longer: a stint is 5 s of claiming and then the life of its slowest conversation."""
VISIBILITY_S: Final = 90
"""After this the broker hands an unacknowledged message to somebody else. Only messages that carry an order are
unacknowledged while they run, and those may run for 60 s (tasks/orders.py): longer than that, and no longer than
need be, for this is how long an order message rests when its worker was killed."""
BELL_EXPIRES_S: Final = 5
"""An old bell says nothing that the next sweep does not."""
SWEEP_EVERY_S: Final = 1.0
TICKETS_KEPT_S: Final = 3600

TRANSPORT: Final[dict[str, Any]] = {
    "visibility_timeout": VISIBILITY_S,
    # Look for abandoned messages every 10 s; by default only every 100 s.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # Without these a frozen broker or a half-open connection blocks a process for ever.
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}

BELL_TRANSPORT: Final[dict[str, Any]] = {
    **TRANSPORT,
    # A bell is worth a second at most: the sweep rings again.
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}

CELERY: Final[dict[str, Any]] = {
    # JSON only: a pickle from the queue would be somebody else's code in our process.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # Bells are acknowledged early: the lease in the ledger is the recovery, a late acknowledgement would only
    # run them twice. `orders.submit` says otherwise for itself.
    "task_acks_late": False,
    # A child that dies of a message would be given the same message again and again.
    "task_reject_on_worker_lost": False,
    # Take a message only when a child is free: nothing waits in a worker that others could do. Orders are taken
    # together, and need one child together (workers/batches.py).
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "task_time_limit": TASK_LIMIT_S,
    # A child looks for the ledger before it says that it is up. Celery gives one that replaces another 4 s, and would
    # kill one after the other while the ledger is out of reach.
    "worker_proc_alive_timeout": 60,
    # The ledger is the result of everything but the question for a ticket.
    "task_ignore_result": True,
    "result_expires": TICKETS_KEPT_S,
    # Flower lives on these. That something was sent is said by whoever orders; our own messages are bells, and one a
    # second from beat would bury the orders.
    "worker_send_task_events": True,
    "task_send_sent_event": False,
    # Plain direct queues through the nameless exchange: their bindings cannot be flushed away.
    "task_default_queue": INTAKE,
    "task_default_exchange": "",
    "task_create_missing_queues": True,
    # The broker may be away for as long as it likes.
    "broker_connection_retry_on_startup": True,
    "broker_connection_retry": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_transport_options": TRANSPORT,
    "redis_socket_timeout": 5,
    "redis_socket_connect_timeout": 3,
    "redis_socket_keepalive": True,
    "redis_backend_health_check_interval": 25,
    # Logs are ours (workers/logs.py).
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "enable_utc": True,
    "timezone": "UTC",
}
