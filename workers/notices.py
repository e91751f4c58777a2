"""The routes for carriers' notices, made from the settings."""

from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter, FastAPI

from config.settings import Settings
from number_orders.carriers.notices import SendsNotices
from number_orders.ledger.ledger import Ledger
from number_orders.receiver.notices.credentials import BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeLimits, NoticeSource, notice_router
from workers.carriers import configured_carriers
from workers.senders import make_bell


def notice_sources(settings: Settings) -> list[NoticeSource]:
    """Return the carriers whose notices are taken: those with credentials or addresses for them."""
    return [
        NoticeSource(
            name,
            carrier.adapter.notices,
            BasicCredentials(carrier.subscription.username, carrier.subscription.password)
            if carrier.subscription
            else None,
            carrier.addresses,
        )
        for name, carrier in configured_carriers(settings).items()
        if isinstance(carrier.adapter, SendsNotices)
    ]


def notice_routes(settings: Settings, ledger_of: Callable[[FastAPI], Ledger]) -> APIRouter:
    """Return the routes. `ledger_of` returns the ledger of an application that has just connected to it."""

    def open_intake(app: FastAPI) -> NoticeIntake:
        bell = make_bell(settings)  # rung from another thread, so it is nobody else's
        every = timedelta(seconds=settings.notice_asks_every_s)
        return NoticeIntake(ledger_of(app).notices, bell, asks_every=every)

    limits = NoticeLimits(settings.notices_per_second, settings.notice_bytes_max)
    return notice_router(notice_sources(settings), open_intake, limits=limits)
