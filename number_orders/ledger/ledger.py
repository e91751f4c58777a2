"""The ledger: every store on one database.

Use cases are handed the stores they need (`number_orders.fulfilment.ports`), not this class. Only what opens a
process and the command line use a whole `Ledger`.
"""

from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from number_orders.ledger.alarms import Alarms
from number_orders.ledger.allowances import Allowances
from number_orders.ledger.archive import Archive
from number_orders.ledger.board import BoardView
from number_orders.ledger.breakers import Breakers
from number_orders.ledger.connection import Database, PostgresDatabase, ledger_time
from number_orders.ledger.coverage import CoverageStore
from number_orders.ledger.dead_letters import DeadLetterStore
from number_orders.ledger.guard import GUARD_LASTS, Guard, check_new_connection
from number_orders.ledger.history import History
from number_orders.ledger.holdings import HoldingsStore
from number_orders.ledger.intake import IntakeStore
from number_orders.ledger.limits import Limits
from number_orders.ledger.metrics import Metrics
from number_orders.ledger.notices import NoticeStore
from number_orders.ledger.numbers import NumberStore
from number_orders.ledger.order_views import OrderViews
from number_orders.ledger.orders import OrderStore
from number_orders.ledger.outbox import Outbox
from number_orders.ledger.overview import Overview
from number_orders.ledger.pauses import Pauses
from number_orders.ledger.producers import Producers
from number_orders.ledger.readings import Readings
from number_orders.ledger.removals import RemovalStore
from number_orders.ledger.schedule import Schedule
from number_orders.ledger.scheduled_runs import ScheduledRuns
from number_orders.ledger.serial_locks import SerialLocks
from number_orders.ledger.sessions import Sessions
from number_orders.ledger.webhook_secrets import WebhookSecrets
from number_orders.ledger.webhooks import Webhooks


class Ledger:
    """All stores of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.intake = IntakeStore(database)
        self.allowances = Allowances(database)
        self.producers = Producers(database)
        self.removals = RemovalStore(database)
        self.archive = Archive(database)
        self.coverage = CoverageStore(database)
        self.scheduled_runs = ScheduledRuns(database)
        self.orders = OrderStore(database)
        self.order_views = OrderViews(database)
        self.overview = Overview(database)
        self.numbers = NumberStore(database)
        self.holdings = HoldingsStore(database)
        self.schedule = Schedule(database)
        self.serial_locks = SerialLocks(database)
        self.readings = Readings(database)
        self.limits = Limits(database)
        self.breakers = Breakers(database)
        self.pauses = Pauses(database)
        self.outbox = Outbox(database)
        self.webhooks = Webhooks(database)
        self.webhook_secrets = WebhookSecrets(database)
        self.notices = NoticeStore(database)
        self.alarms = Alarms(database)
        self.board = BoardView(database)
        self.sessions = Sessions(database)
        self.guard = Guard(database)
        self.dead_letters = DeadLetterStore(database)
        self.metrics = Metrics(database)
        self.history = History(database, self.orders, self.numbers, self.schedule)

    async def now(self) -> datetime:
        """Return PostgreSQL's time, which every process uses."""
        return await ledger_time(self.database)


class PostgresLedger(Ledger):
    """A ledger that opens and closes its own connections (`async with`)."""

    database: PostgresDatabase

    @classmethod
    def at(cls, url: str, *, guard_lasts: timedelta = GUARD_LASTS, **options: Any) -> Self:
        """Make a ledger on the database at `url`; `options` are those of `PostgresDatabase.at`.

        Each new connection is used only after a look whether the ledger has fallen back in time. If it has, a guard
        period of `guard_lasts` begins.
        """
        return cls(PostgresDatabase.at(url, on_connect=partial(check_new_connection, guard_lasts), **options))

    async def __aenter__(self) -> Self:
        await self.database.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.database.__aexit__(kind, error, trace)
