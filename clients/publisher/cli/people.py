"""Who approves a campaign, and changes of its plan: further commands of `campaign`."""

from typing import Annotated, Any

import typer

from clients.publisher.cli.campaign_texts import read_setting, read_wave
from clients.publisher.cli.campaigns import Name
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_campaigns

app = typer.Typer()


@app.command()
def approvals(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show who has approved a campaign, and how many people are missing."""
    found = open_campaigns(context, url, token).show(name)["approvals"]
    answer = Answer(as_json)
    if as_json:
        answer.say("", found)
        return
    answer.rows(("by", "at"), found["given"])
    answer.say(f"{found['missing']} missing; authors: {', '.join(found['authors'])}.", found)


@app.command()
def edit(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    setting: Annotated[list[str], typer.Option("--set", help="A field of the plan: field=JSON value")] = [],  # noqa: B006 - typer copies it
    release: Annotated[tuple[str, str] | None, typer.Option("--release", help="name and version")] = None,
    group: Annotated[str, typer.Option("--group")] = "",
    wave: Annotated[list[str], typer.Option("--wave", help="as for create; all waves anew")] = [],  # noqa: B006
    fallback: Annotated[tuple[str, str] | None, typer.Option("--fallback", help="the release to return to")] = None,
    revision: Annotated[int | None, typer.Option("--revision", help="refused if it is another by now")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed once it has been approved")] = "",
    as_json: AsJson = False,
) -> None:
    """Change the plan of a draft, or what may be changed of a campaign that is scheduled or under way."""
    changes: dict[str, Any] = dict(read_setting(text) for text in setting)
    if wave:
        changes["waves"] = [read_wave(text) for text in wave]
    changed = open_campaigns(context, url, token).change(
        name, changes, release=release, group=group, fallback=fallback, revision=revision, reason=reason
    )
    Answer(as_json).say(f"Campaign {name} has revision {changed['revision']}.", changed)


@app.command()
def replay(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Make every decision of the engine again from its records; exit code 0 if all follow, 7 if one does not."""
    found = open_campaigns(context, url, token).replay(name)
    Answer(as_json).say(f"All {len(found['replayed'])} records of {name} follow.", found)
