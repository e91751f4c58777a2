"""The command `receiver`: serves the orders API over HTTP until it is stopped."""

from number_orders.cli.discovery import find_settings
from workers.receiver import serve


def serve_receiver(host: str | None, port: int | None) -> None:
    """Serve at the address of the settings, or at this one."""
    settings = find_settings()
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    own = settings.receiver.model_copy(update=given)
    serve(settings.model_copy(update={"receiver": own}))
