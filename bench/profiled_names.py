"""By which names the bench and the profiled workers know each other."""

from typing import Final

FOLDER: Final = "BENCH_PROFILE"
"""The variable that names the directory of the profiles."""
GO: Final = "go"
"""The file in it that lets profiling begin."""
