"""The queues, and every Celery setting that differs from its default, each with its reason.

The measurements behind them: docs/adr/0002-bells-and-leases.md.
"""

from typing import Any, Final

INTAKE: Final = "orders"
"""Producers send orders here. No other queue has messages that carry an order."""
BELLS: Final = {lane: f"orders.bells.{lane}" for lane in ("submit", "ask", "tell")}
"""One queue per lane, so that the bells of one lane never wait behind another's, and workers can split the lanes."""
SWEEP: Final = "orders.sweep"

OPERATORS: Final = "orders.operators"
"""Operators' messages, on brokers where only they may write to it. Workers listen on it if `operators_queue` is set."""

ALL: Final = (INTAKE, *BELLS.values(), SWEEP)

TASK_LIMIT_S: Final = 180
"""No task but `orders.reconcile` runs longer: a lane runner begins nothing after 60 s, and what it has begun ends
within the life of a request, which is 60 s at most (`CarrierSettings.timeout_s`).
"""
VISIBILITY_S: Final = 90
"""After this the broker delivers an unacknowledged message to another worker.

Only messages that carry an order stay unacknowledged while they run, for at most 60 s (tasks/orders.py). This must be
longer than that, but not much: an order message waits this long when its worker was killed.
"""
WAKE_UP_LIVES_S: Final = 5
"""An older wake-up is useless: beat and the sweep have sent others.

RabbitMQ drops it by its own clock. No message expires by the clock of a machine that sends or takes it: clocks differ.
"""
TICKS_WAITING_MAX: Final = 10
"""While so many messages wait in the queue of beat's ticks, beat sends none. Redis drops no message by its age."""
BELLS_WAITING_MAX: Final = 100
"""While so many bells of a lane wait, nobody rings it: Redis would keep them all for workers that are away."""
SWEEP_EVERY_S: Final = 1.0
TICKETS_KEPT_S: Final = 3600

OUR_KEYS: Final = "number-orders:"
"""How the names of all our keys at a Redis broker begin, apart from the queues."""

TRANSPORT: Final[dict[str, Any]] = {
    # kombu keeps unacknowledged messages per database, under these names, and any application that uses the same names
    # redelivers them after its own timeout. Other applications use the database too, with the default names.
    "unacked_key": f"{OUR_KEYS}unacked",
    "unacked_index_key": f"{OUR_KEYS}unacked_index",
    "unacked_mutex_key": f"{OUR_KEYS}unacked_mutex",
    "visibility_timeout": VISIBILITY_S,
    # Look for messages of killed workers every 10 s; the default is every 100 s.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # Without these, a frozen broker or a half-open connection blocks a process for ever.
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}

AMQP_TRANSPORT: Final[dict[str, Any]] = {
    # RabbitMQ answers each message once it has it, quorum queues once a majority has. Without this, what is sent while
    # it goes down is lost, and nobody is told.
    "confirm_publish": True,
    "read_timeout": 5,
    "write_timeout": 5,
}
"""For RabbitMQ, as TRANSPORT is for Redis."""

BELL_TRANSPORT: Final[dict[str, Any]] = {
    **TRANSPORT,
    # A bell is worth waiting a second at most: the sweep rings again.
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}

BELL_AMQP_TRANSPORT: Final[dict[str, Any]] = {**AMQP_TRANSPORT, "read_timeout": 2, "write_timeout": 2}

CELERY: Final[dict[str, Any]] = {
    # JSON only: unpickling a message would run foreign code in our process.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # Bells are acknowledged early: the lease in the ledger is the recovery, and a late acknowledgement would only run
    # them twice. `orders.submit` overrides this.
    "task_acks_late": False,
    # True would redeliver a message that kills its child, again and again.
    "task_reject_on_worker_lost": False,
    # Take a message only when a child is free, so that no message waits in one worker while another is idle. On Redis
    # `worker_disable_prefetch` does the same (workers/apps.py). Orders are taken in batches, and a batch needs one
    # child (workers/batches.py).
    "worker_prefetch_multiplier": 1,
    "task_time_limit": TASK_LIMIT_S,
    # A child connects to the ledger before it reports that it is up. By default Celery kills a replacement child that
    # does not report within 4 s, so it would kill one after another while the ledger is unavailable.
    "worker_proc_alive_timeout": 60,
    # The results of most tasks are in the ledger. Those that answer a producer override this.
    "task_ignore_result": True,
    "result_expires": TICKETS_KEPT_S,
    # The workers themselves are shown in Flower. Tasks send no events (workers/request.py): orders are shown instead.
    "worker_send_task_events": True,
    "task_send_sent_event": False,
    # Plain queues on the nameless exchange: they have no bindings that flushing the broker could delete.
    "task_default_queue": INTAKE,
    "task_default_exchange": "",
    "task_create_missing_queues": True,
    # However long the broker is away, keep trying.
    "broker_connection_retry_on_startup": True,
    "broker_connection_retry": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "redis_socket_timeout": 5,
    "redis_socket_connect_timeout": 3,
    "redis_socket_keepalive": True,
    "redis_backend_health_check_interval": 25,
    # Beat answers `inspect ping` and the doctor.
    "beat_enable_remote_control": True,
    # workers/logs.py configures logging.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "enable_utc": True,
    "timezone": "UTC",
}
