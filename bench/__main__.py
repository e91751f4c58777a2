"""`python -m bench orders|waiting|intake`: what an order costs here and elsewhere."""

import typer

from bench import orders

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command("orders")(orders.bench)


@app.callback()
def _about() -> None:
    """Measure what an order costs. Wants a machine that does nothing else."""


if __name__ == "__main__":
    app()
