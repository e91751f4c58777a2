"""The statements of `sql/scheduled_runs.sql`."""

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def begin_run(tables: Tables, p: Params) -> list[Row]:
    """Begin a run, unless one of this name has begun lately."""
    now, last = tables.clock(), tables.scheduled_runs.get(p["name"])
    if last is not None and last["began_at"] > now - p["not_within"]:
        return []
    tables.scheduled_runs[p["name"]] = {"began_at": now, "ended_at": None}
    return [{"began_at": now}]


@statement
def end_run(tables: Tables, p: Params) -> list[Row]:
    """Note the end of a run, unless another has begun meanwhile."""
    last = tables.scheduled_runs.get(p["name"])
    if last is not None and last["began_at"] == p["began_at"]:
        last["ended_at"] = tables.clock()
    return []


@statement
def last_run(tables: Tables, p: Params) -> list[Row]:
    """Return when the last run of this name began, if it has come to its end."""
    last = tables.scheduled_runs.get(p["name"])
    return [] if last is None or last["ended_at"] is None else [{"began_at": last["began_at"]}]
