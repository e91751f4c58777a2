"""The names that the benchmark and the profiled workers share."""

from typing import Final

FOLDER: Final = "BENCH_PROFILE"
"""The environment variable with the directory for profiles."""
GO: Final = "go"
"""The file in that directory that starts profiling."""
