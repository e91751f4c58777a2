"""The names that the benchmark and the profiled workers share."""

from typing import Final

FOLDER: Final = "BENCH_PROFILE"
"""The environment variable with the directory for profiles."""
GO: Final = "go"
"""The file in that directory, or in the next, that starts profiling."""
EVENTS: Final = "BENCH_EVENTS"
"""The variable that names the directory for what order events took."""
