"""Prints the parts of a story that several commands show: its timeline, and the commands that make sense now."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_orders.carriers.cancellation import Cancellation
from number_orders.cli.output import heading, state
from number_orders.ledger.history import Story
from number_orders.story.advice import advice
from number_orders.story.timeline import TimelineEntry


def show_timeline(console: Console, entries: Sequence[TimelineEntry], story: Story) -> None:
    """Print the entries: time, state or kind of request, and the text."""
    for day, of_day in groupby(entries, lambda entry: entry.at.date()):
        if day != story.now.date():
            console.print(Text(f"{day:%Y-%m-%d}", "dim"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for fold in (False, False, True):
            table.add_column(no_wrap=not fold, overflow="fold")
        for each in of_day:
            table.add_row(Text(f"{each.at:%H:%M:%S}", "dim"), _mark(each), each.words)
            if each.excerpt:
                table.add_row("", "", Text(f"< {each.excerpt}", "dim"))
        console.print(table)


def show_advice(console: Console, story: Story, cancellation: Cancellation = Cancellation.UNKNOWN) -> None:
    """Print every command on its own line, unbroken, so that it can be copied."""
    advised = advice(story, cancellation)
    if advised:
        heading(console, "To type")
    for each in advised:
        console.print(Text(f"{each.when}:"))
        console.print(Text(f"  {each.command}", "bold"), soft_wrap=True)


def _mark(entry: TimelineEntry) -> Text:
    return Text(entry.what, "bold") if entry.exchange else state(entry.what)
