"""The command `flower`: serves Flower's pages until it is stopped."""

from number_orders.cli.discovery import find_settings
from workers.flower import serve


def serve_flower(host: str | None, port: int | None) -> None:
    """Serve at the address of the settings, or at this one."""
    settings = find_settings()
    given = {name: value for name, value in {"flower_host": host, "flower_port": port}.items() if value is not None}
    serve(settings.model_copy(update=given))
