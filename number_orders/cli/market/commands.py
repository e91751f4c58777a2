"""Declares the commands that ask carriers; their options are an order's criteria.

They need no ledger, broker or worker. Each imports what it needs when it runs, so that `--help` and completion are
quick.
"""
# ruff: noqa: PLC0415  -- see above

from typing import Annotated

import typer

from number_orders.cli.orders.commands import AsJson

Carrier = Annotated[str | None, typer.Option(help="Only this carrier. Default: every configured one that answers.")]
Country = Annotated[str | None, typer.Option(help="ISO 3166 alpha-3, such as USA.")]
NumberType = Annotated[str | None, typer.Option(help="The carrier's class: local, national, mobile, toll_free…")]
Npa = Annotated[str | None, typer.Option(help="Area code.")]
Nxx = Annotated[str | None, typer.Option(help="Exchange: the three digits after the area code.")]
ThousandsBlock = Annotated[str | None, typer.Option(help="The digit after the exchange.")]
City = Annotated[str | None, typer.Option(help="Such as Raleigh.")]
State = Annotated[str | None, typer.Option(help="Two letters, such as NC.")]
RateCenter = Annotated[str | None, typer.Option(help="Such as RALEIGH.")]
Lata = Annotated[str | None, typer.Option(help="Up to five digits, such as 426.")]


def search(
    carrier: Carrier = None,
    country: Country = None,
    number_type: NumberType = None,
    npa: Npa = None,
    nxx: Nxx = None,
    thousands_block: ThousandsBlock = None,
    city: City = None,
    state: State = None,
    rate_center: RateCenter = None,
    lata: Lata = None,
    zip_: Annotated[str | None, typer.Option("--zip", help="27601 or 27601-1234.")] = None,
    vanity: Annotated[
        str | None, typer.Option(help="Letters and digits to spell; toll-free with --number-type toll_free.")
    ] = None,
    vanity_at_end: Annotated[
        bool | None, typer.Option("--vanity-at-end/--vanity-anywhere", help="Spell it at the end, or anywhere.")
    ] = None,
    toll_free_pattern: Annotated[str | None, typer.Option(metavar="8D*", help="80* is 800, 83* is 833.")] = None,
    local_calling_area: Annotated[
        bool | None, typer.Option("--local-calling-area", help="Also numbers that are a local call away.")
    ] = None,
    quantity: Annotated[int, typer.Option(help="At most this many.")] = 20,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="The carrier's own option. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search for numbers for sale. Buys and reserves nothing.

    The options are the criteria of an order.
    Order a found number by name, or by the same criteria if the carrier takes them.
    The first order gets it.
    """
    from number_orders.carriers.market import SearchQuery, Topic
    from number_orders.cli.market import answers, questions
    from number_orders.orders.model import Criteria

    criteria = Criteria(
        country=country,
        number_type=number_type,
        npa=npa,
        nxx=nxx,
        thousands_block=thousands_block,
        city=city,
        state=state,
        rate_center=rate_center,
        lata=lata,
        zip=zip_,
        vanity=vanity,
        vanity_at_end=vanity_at_end,
        toll_free_pattern=toll_free_pattern,
        local_calling_area=local_calling_area,
    )
    wanted = SearchQuery(criteria, quantity, questions.options(option or []))
    replies = questions.ask(Topic.SEARCH, lambda market: market.search(wanted), carrier=carrier)
    answers.show_offers(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def coverage(
    carrier: Carrier = None,
    group_by: Annotated[
        list[str] | None, typer.Option(help="npa, nxx, lata, state, rate_center or country_code. Repeatable.")
    ] = None,
    country: Country = None,
    number_type: NumberType = None,
    npa: Npa = None,
    nxx: Nxx = None,
    state: State = None,
    rate_center: RateCenter = None,
    lata: Lata = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Show how the stock has changed, from the snapshots that beat takes daily."),
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="With --history: how far back.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Count the numbers for sale, in all or grouped by fields such as the area code."""
    if history:
        import asyncio
        from datetime import timedelta

        from number_orders.cli.discovery import find_settings
        from number_orders.cli.market.coverage_history import read_history, show_history, write_history

        snapshots = asyncio.run(read_history(find_settings(), carrier=carrier, within=timedelta(days=days)))
        if as_json:
            write_history(snapshots)
        else:
            show_history(snapshots)
        return
    from number_orders.carriers.market import CoverageQuery, Topic
    from number_orders.cli.market import answers, questions
    from number_orders.orders.model import Criteria

    criteria = Criteria(
        country=country, number_type=number_type, npa=npa, nxx=nxx, state=state, rate_center=rate_center, lata=lata
    )
    wanted = CoverageQuery(criteria, tuple(group_by or ()))
    replies = questions.ask(Topic.COVERAGE, lambda market: market.coverage(wanted), carrier=carrier)
    answers.show_coverage(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def restrictions(
    country: Annotated[str, typer.Option(help="ISO 3166 alpha-3, such as ITA.")],
    number_type: NumberType = None,
    carrier: Carrier = None,
    as_json: AsJson = False,
) -> None:
    """Show the rules under which numbers of a country are sold."""
    from number_orders.carriers.market import RestrictionsQuery, Topic
    from number_orders.cli.market import answers, questions

    wanted = RestrictionsQuery(country, number_type)
    replies = questions.ask(Topic.RESTRICTIONS, lambda market: market.restrictions(wanted), carrier=carrier)
    answers.show_restrictions(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def number(
    e164: Annotated[str, typer.Argument(metavar="NUMBER", help="E.164, with the plus sign.")],
    carrier: Carrier = None,
    as_json: AsJson = False,
) -> None:
    """Show a carrier's record of one number: status, account, and the order that bought it."""
    from number_orders.carriers.market import Topic
    from number_orders.cli.market import answers, questions
    from number_orders.cli.typed_number import typed_number

    wanted = typed_number(e164)
    replies = questions.ask(Topic.NUMBER, lambda market: market.number(wanted), carrier=carrier)
    answers.show_number(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def numbers(
    carrier: Carrier = None,
    country: Country = None,
    number_type: NumberType = None,
    npa: Npa = None,
    nxx: Nxx = None,
    thousands_block: ThousandsBlock = None,
    city: City = None,
    state: State = None,
    rate_center: RateCenter = None,
    lata: Lata = None,
    limit: Annotated[int, typer.Option(min=1, help="Read at most this many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the numbers in service, by the carrier's own records."""
    from number_orders.carriers.market import InServiceQuery, Topic
    from number_orders.cli.market import answers, questions
    from number_orders.orders.model import Criteria

    criteria = Criteria(
        country=country,
        number_type=number_type,
        npa=npa,
        nxx=nxx,
        thousands_block=thousands_block,
        city=city,
        state=state,
        rate_center=rate_center,
        lata=lata,
    )
    wanted = InServiceQuery(criteria, limit)
    replies = questions.ask(Topic.NUMBERS, lambda market: market.numbers(wanted), carrier=carrier)
    answers.show_numbers(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def carriers(as_json: AsJson = False) -> None:
    """Show what each configured carrier can do."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market import capabilities

    configured = capabilities.carriers_by_name(discover().settings)
    if as_json:
        capabilities.write_capabilities(configured)
    else:
        capabilities.show_capabilities(configured)
