"""As a program: a receiver whose bells and events wait a minute for the broker. Who waits for them is easily seen."""

import contextlib
from typing import Any

import redis

from config.settings import Settings
from tests.receiver_tokens import KnownTokens
from workers import receiver, senders

PATIENCE_S = 60


def wait_for_the_broker() -> None:
    """Replace the second that senders wait for the broker. What asks whether it is ready waits as ever."""
    module: Any = senders
    make_client, make_options = module.redis_client, module.broker_options

    def patient_client(settings: Settings, url: str, *, timeout_s: float, **options: Any) -> redis.Redis:
        client: redis.Redis = make_client(settings, url, timeout_s=PATIENCE_S, **options)
        return client

    def patient_options(settings: Settings, **options: Any) -> dict[str, Any]:
        made: dict[str, Any] = make_options(settings, **options)
        patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
        return made | {"broker_transport_options": made["broker_transport_options"] | patience}

    module.redis_client, module.broker_options = patient_client, patient_options


if __name__ == "__main__":
    wait_for_the_broker()
    with contextlib.suppress(KeyboardInterrupt):
        receiver.serve(Settings(), open_authority=lambda _: KnownTokens())
