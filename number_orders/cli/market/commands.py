"""The commands that ask carriers: their arguments and options, the same as an order's criteria.

None of them needs a ledger, a broker or a worker. What a command needs is imported when it runs, so that `--help` and
completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

from typing import Annotated

import typer

from number_orders.cli.orders.commands import AsJson

Carrier = Annotated[str | None, typer.Option(help="This one only; else every carrier that is set up and answers.")]
Country = Annotated[str | None, typer.Option(help="ISO 3166 alpha-3, such as USA.")]
NumberType = Annotated[str | None, typer.Option(help="local, national, mobile, toll_free…, as the carrier has them.")]
Npa = Annotated[str | None, typer.Option(help="Area code.")]
Nxx = Annotated[str | None, typer.Option(help="Exchange, the three digits after the area code.")]
ThousandsBlock = Annotated[str | None, typer.Option(help="The digit after the exchange.")]
City = Annotated[str | None, typer.Option()]
State = Annotated[str | None, typer.Option(help="Two letters, such as NC.")]
RateCenter = Annotated[str | None, typer.Option()]
Lata = Annotated[str | None, typer.Option()]


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
    vanity: Annotated[str | None, typer.Option(help="Letters and digits; toll-free with that number type.")] = None,
    vanity_at_end: Annotated[
        bool | None, typer.Option("--vanity-at-end/--vanity-anywhere", help="Where the vanity stands.")
    ] = None,
    toll_free_pattern: Annotated[str | None, typer.Option(metavar="8D*", help="80* is 800, 83* is 833.")] = None,
    local_calling_area: Annotated[
        bool | None, typer.Option("--local-calling-area", help="Numbers that are a local call away will do as well.")
    ] = None,
    quantity: Annotated[int, typer.Option(help="At most so many.")] = 20,
    option: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="The carrier's own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for numbers that can be bought now. Buys and reserves nothing.

    The criteria are an order's. What was found can be ordered by name, or by the same criteria where the carrier
    takes them; whoever orders first has it.
    """
    from number_orders.carriers.market import Search, Topic
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
    wanted = Search(criteria, quantity, questions.options(option or []))
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
    as_json: AsJson = False,
) -> None:
    """Count the numbers that a carrier has, by groups of those alike in some field."""
    from number_orders.carriers.market import CountBy, Topic
    from number_orders.cli.market import answers, questions
    from number_orders.orders.model import Criteria

    criteria = Criteria(
        country=country, number_type=number_type, npa=npa, nxx=nxx, state=state, rate_center=rate_center, lata=lata
    )
    wanted = CountBy(criteria, tuple(group_by or ()))
    replies = questions.ask(Topic.COVERAGE, lambda market: market.coverage(wanted), carrier=carrier)
    answers.show_coverage(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def restrictions(
    country: Annotated[str, typer.Option(help="ISO 3166 alpha-3, such as ITA.")],
    number_type: NumberType = None,
    carrier: Carrier = None,
    as_json: AsJson = False,
) -> None:
    """Tell under which rules numbers of a country are sold."""
    from number_orders.carriers.market import RulesOf, Topic
    from number_orders.cli.market import answers, questions

    wanted = RulesOf(country, number_type)
    replies = questions.ask(Topic.RESTRICTIONS, lambda market: market.restrictions(wanted), carrier=carrier)
    answers.show_restrictions(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def number(
    e164: Annotated[str, typer.Argument(metavar="NUMBER", help="E.164, with the plus sign.")],
    carrier: Carrier = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a carrier has on record about one number: status, account, the order that brought it."""
    from number_orders.carriers.market import Topic
    from number_orders.cli.market import answers, questions

    wanted = questions.number(e164)
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
    limit: Annotated[int, typer.Option(min=1, help="Read no more than so many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the numbers that are in service at a carrier, by its own records."""
    from number_orders.carriers.market import InService, Topic
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
    wanted = InService(criteria, limit)
    replies = questions.ask(Topic.NUMBERS, lambda market: market.numbers(wanted), carrier=carrier)
    answers.show_numbers(replies, as_json=as_json)
    raise typer.Exit(questions.exit_code(replies))


def carriers(as_json: AsJson = False) -> None:
    """Show what each carrier that is set up can do, as it is declared."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market import capabilities

    configured = capabilities.carriers_by_name(discover().settings)
    if as_json:
        capabilities.write_capabilities(configured)
    else:
        capabilities.show_capabilities(configured)
