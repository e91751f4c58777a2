"""The routes for carriers' notices, made from the settings."""

from datetime import timedelta

from fastapi import APIRouter

from config.settings import Settings
from number_orders.carriers.notices import SendsNotices
from number_orders.fulfilment.ports import Bell
from number_orders.ledger.ledger import Ledger
from number_orders.receiver.notices.credentials import BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeLimits, NoticeSource, notice_router
from workers.apps import make_bell
from workers.carriers import configured_carriers


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


def notice_routes(settings: Settings, ledger: Ledger, bell: Bell | None = None) -> APIRouter:
    """Return the routes. The ledger must be open while the application runs.

    The bell is rung from another thread, so it must be nobody else's. None: one is made.
    """
    bell = bell or make_bell(settings)
    intake = NoticeIntake(ledger.notices, bell, asks_every=timedelta(seconds=settings.notice_asks_every_s))
    limits = NoticeLimits(settings.notices_per_second, settings.notice_bytes_max)
    return notice_router(notice_sources(settings), intake, limits=limits)
