from typing import Annotated, Any

import typer
from rich.live import Live

from clients.publisher.cli.campaign_texts import line_of, read_setting, read_wave, table_of
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_campaigns
from clients.publisher.errors import PublisherError
from clients.publisher.timing import read_precondition, read_window

app = typer.Typer(no_args_is_help=True, help="Campaigns: make, move, watch.")
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")]
Name = Annotated[str, typer.Argument(help="The campaign's name")]


@app.command()
def create(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    release: Annotated[tuple[str, str], typer.Option("--release", help="name and version")],
    group: Annotated[str, typer.Option("--group")],
    wave: Annotated[
        list[str],
        typer.Option("--wave", help="cumulative percent, count=N or group=NAME; after a colon how many of it may fail"),
    ],
    fallback: Annotated[tuple[str, str] | None, typer.Option("--fallback", help="the release to return to")] = None,
    no_way_back: Annotated[str, typer.Option("--no-way-back", help="why there is no release to return to")] = "",
    soak_seconds: Annotated[int | None, typer.Option("--soak-seconds")] = None,
    window: Annotated[list[str], typer.Option("--window", help="When to install, like 'mon-fri 22:00-06:00'")] = [],  # noqa: B006
    ends_at: Annotated[str | None, typer.Option("--ends-at", help="like 2026-06-30T12:00:00Z")] = None,
    precondition: Annotated[list[str], typer.Option("--precondition", help="like 'state_of_charge >= 40'")] = [],  # noqa: B006
    control: Annotated[str, typer.Option("--control", help="percent that is held out, to compare with")] = "",
    priority: Annotated[
        str, typer.Option("--priority", help="safety_recall, security, quality (as without it) or feature")
    ] = "",
    requires: Annotated[
        list[str], typer.Option("--requires", help="A campaign that goes before it; may be repeated")
    ] = [],  # noqa: B006 - typer copies it
    on_halt: Annotated[str, typer.Option("--on-halt", help="withdraw (as without it), hold_offers or roll_back")] = "",
    foreign_software: Annotated[
        str, typer.Option("--foreign-software", help="adopt, flag or redrive; else as the tenant says")
    ] = "",
    setting: Annotated[list[str], typer.Option("--set", help="A further field of the plan: field=JSON value")] = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Draft a campaign."""
    settings = dict(read_setting(text) for text in setting)
    if soak_seconds is not None:
        settings["soak_seconds"] = soak_seconds
    if window:
        settings["windows"] = [read_window(text) for text in window]
    if ends_at is not None:
        settings["ends_at"] = ends_at
    if precondition:
        settings["preconditions"] = [read_precondition(text) for text in precondition]
    if control:
        settings["control_percent"] = control
    if no_way_back:
        settings["no_way_back_reason"] = no_way_back
    given = {"priority": priority, "halt_action": on_halt, "foreign_software": foreign_software}
    settings |= {name: value for name, value in given.items() if value}
    made = open_campaigns(context, url, token).create(
        name,
        release=release,
        group=group,
        waves=[read_wave(text) for text in wave],
        fallback=fallback,
        requires=requires,
        settings=settings,
    )
    Answer(as_json).say(f"Campaign {name} is a draft with {len(wave)} wave(s).", made)


@app.command()
def suggest(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    release: Annotated[tuple[str, str], typer.Option("--release", help="name and version")],
    group: Annotated[str, typer.Option("--group")],
    failure_budget: Annotated[int, typer.Option("--failure-budget", help="How many vehicles may break")],
    growth: Annotated[int | None, typer.Option("--growth", help="From wave to wave, 3 to 5")] = None,
    as_json: AsJson = False,
) -> None:
    """Suggest waves for a release and a group."""
    found = open_campaigns(context, url, token).suggest(
        release=release, group=group, failure_budget=failure_budget, growth=growth
    )
    waves = [f"--wave count={wave['count']}" if wave["count"] else "--wave 100" for wave in found["waves"]]
    options = " ".join([*waves, f"--set failure_budget={failure_budget}"])
    Answer(as_json).say("\n".join([options, *found["reasons"]]), found)


def _act(context: typer.Context, action: str, *, url: str, token: str, name: str, as_json: bool, **fields: Any) -> None:
    moved = open_campaigns(context, url, token).act(name, action, **fields)
    Answer(as_json).say(f"Campaign {name} is {moved['state']}.", moved)


@app.command()
def submit(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Ask for approval."""
    _act(context, "submit", url=url, token=token, name=name, as_json=as_json)


@app.command()
def approve(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    revision: Annotated[int | None, typer.Option("--revision", help="What was read; refused if it has moved")] = None,
    as_json: AsJson = False,
) -> None:
    """Approve a campaign that another has submitted."""
    fields = {} if revision is None else {"revision": revision}
    _act(context, "approve", url=url, token=token, name=name, as_json=as_json, **fields)


@app.command()
def reject(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """Send a submitted campaign back to its author."""
    _act(context, "reject", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def schedule(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    at: Annotated[str, typer.Option("--at", help="When it starts, like 2026-06-01T12:00:00Z")],
    as_json: AsJson = False,
) -> None:
    """Let an approved campaign start by itself."""
    _act(context, "schedule", url=url, token=token, name=name, as_json=as_json, starts_at=at)


@app.command()
def start(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Start an approved campaign."""
    _act(context, "start", url=url, token=token, name=name, as_json=as_json)


@app.command()
def pause(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Offer the release to nobody more for now."""
    _act(context, "pause", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def resume(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Go on with a paused or halted campaign."""
    _act(context, "resume", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def stop(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """Emergency stop: halt, and withdraw every order that is not being installed."""
    _act(context, "stop", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def close(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """Take no further vehicles into a dynamic campaign, so that it can end."""
    _act(context, "close", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def cancel(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason = "", as_json: AsJson = False
) -> None:
    """End a campaign for good."""
    _act(context, "cancel", url=url, token=token, name=name, as_json=as_json, reason=reason)


@app.command()
def rollback(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    new_name: Annotated[str, typer.Option("--name", help="The roll-back campaign's name")],
    release: Annotated[tuple[str, str] | None, typer.Option("--release", help="default: the approved way back")] = None,
    as_json: AsJson = False,
) -> None:
    """Draft the campaign that brings back the vehicles that run this one's release."""
    made = open_campaigns(context, url, token).roll_back(name, new_name=new_name, release=release)
    Answer(as_json).say(f"Campaign {new_name} rolls back {name}; it is a draft.", made)


@app.command()
def decide(
    context: typer.Context,
    *,
    name: Name,
    wave: Annotated[int, typer.Argument(help="The wave's number")],
    url: Url,
    token: Token,
    passed: Annotated[bool, typer.Option("--pass/--fail")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Decide a wave that the gate has left to a person."""
    decided = open_campaigns(context, url, token).decide_wave(name, wave, passed=passed, reason=reason)
    Answer(as_json).say(f"Wave {wave} of {name} is {decided['state']}.", decided)


@app.command()
def decisions(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show what the engine and people have decided, newest first."""
    rows = open_campaigns(context, url, token).decisions(name)
    Answer(as_json).rows(("at", "kind", "actor", "sentence"), rows)


@app.command()
def show(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show where a campaign stands."""
    campaign = open_campaigns(context, url, token).show(name)
    Answer(as_json).say(line_of(campaign), campaign)


@app.command()
def watch(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    every: Annotated[float, typer.Option("--every", help="Seconds between two looks")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Follow a campaign to its end; exit code 0 if it completes, 6 if it is halted, cancelled or waits for a person."""
    answer = Answer(as_json)
    seen = open_campaigns(context, url, token).watch(name, every_seconds=every)
    campaign: Any = None
    failure: PublisherError | None = None
    with Live(console=answer.progress(), transient=True) as live:
        try:
            for campaign in seen:
                live.update(table_of(campaign))
        except PublisherError as error:
            failure = error
    if campaign is not None and (failure is None or not as_json):
        answer.say(line_of(campaign), campaign)
    if failure is not None:
        raise failure
