"""What would come of a campaign: a further command of `campaign`."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from clients.publisher.cli.campaigns import Name
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_campaigns
from clients.publisher.errors import InputError

app = typer.Typer()
_COLUMNS = ("rate", "halted", "after", "broken", "at most", "asked", "unreached", "waves end", "busiest hour")


@app.command()
def forecast(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    rate: Annotated[list[float], typer.Option("--rate", help="A true failure rate, as a fraction")] = [],  # noqa: B006 - typer copies it
    runs: Annotated[int | None, typer.Option("--runs", help="rehearsals for each rate")] = None,
    kept: Annotated[bool, typer.Option("--kept", help="what the server kept of it before its start")] = False,
    as_json: AsJson = False,
) -> None:
    """Rehearse a campaign that has not started on the fleet as it is; or show what was forecast before the start."""
    if kept and (rate or runs is not None):
        raise InputError("What is kept has its own rates and runs; give none with --kept.", code="input.kept")
    campaigns = open_campaigns(context, url, token)
    found = campaigns.kept_forecast(name) if kept else campaigns.forecast(name, rates=rate, runs=runs)
    answer = Answer(as_json)
    if found.get("refusal"):
        answer.say(found["refusal"], found)
        return
    if as_json:
        answer.say("", found)
        return
    answer.say(f"{found['fitting']} vehicles in waves of {', '.join(map(str, found['places']))}.", found)
    answer.rows(_COLUMNS, [_row(outlook) for outlook in found["outlooks"]])


def _row(outlook: Any) -> dict[str, str]:
    values = (
        f"{outlook['rate']:.2%}",
        f"{outlook['halted']:.0%}",
        _span(outlook["halted_after"]),
        f"{outlook['broken']:.1f}",
        str(outlook["most_broken"]),
        f"{outlook['asked']:.0%}",
        f"{outlook['unreached']:.1f}",
        ", ".join(map(_span, outlook["wave_ends"])),
        f"{max(outlook['load'].values(), default=0) / 1e6:.1f} MB",
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    span = timedelta(seconds=round(seconds))
    return (
        f"{span.days} d {span.seconds // 3600} h"
        if span.days
        else f"{span.seconds // 3600} h {span.seconds % 3600 // 60} min"
    )
