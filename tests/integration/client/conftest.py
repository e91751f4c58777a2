"""Real engines and workers for the client; the carrier's address refuses connections."""

from tests.integration.workers.conftest import app, env, processes

__all__ = ["app", "env", "processes"]
