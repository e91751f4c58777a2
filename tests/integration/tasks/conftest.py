"""The same workers and producer as in the tests of `workers/`."""

from tests.integration.workers.conftest import app, env, processes

__all__ = ["app", "env", "processes"]
