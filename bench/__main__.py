"""Run a benchmark: `python -m bench orders|events|waiting|intake|receiver|notifications|notices|sustained|hotspots`."""

import typer

from bench import events, hotspots, intake, notices, notifications, orders, receiver, sustained, waiting

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command("orders")(orders.bench)
app.command("events")(events.bench)
app.command("waiting")(waiting.bench)
app.command("intake")(intake.bench)
app.command("receiver")(receiver.bench)
app.command("notifications")(notifications.bench)
app.command("notices")(notices.bench)
app.command("sustained")(sustained.bench)
app.command("hotspots")(hotspots.bench)


@app.callback()
def _about() -> None:
    """Measure what an order costs. Run it on a machine that does nothing else."""


if __name__ == "__main__":
    app()
