from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api

app = typer.Typer(no_args_is_help=True, help="The tenant itself.")


@app.command()
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the tenant's settings."""
    tenant = open_api(context, url, token).get("/tenant")
    if as_json:
        Answer(as_json).say("", tenant)
    else:
        Answer(as_json).rows(("setting", "value"), [{"setting": name, "value": tenant[name]} for name in tenant])


@app.command()
def approvals(
    context: typer.Context,
    *,
    people: Annotated[int, typer.Argument(help="How many people other than its authors must approve a campaign")],
    url: Url,
    token: Token,
    rollbacks: Annotated[
        bool | None, typer.Option("--rollbacks/--no-rollbacks", help="whether roll-backs need as many")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Needed where fewer people have to agree than before")] = "",
    as_json: AsJson = False,
) -> None:
    """Set how many people must approve a campaign; 0: whoever drafts one may approve it alone."""
    changes: dict[str, object] = {"required_approvals": people, "reason": reason}
    if rollbacks is not None:
        changes["rollbacks_need_approval"] = rollbacks
    changed = open_api(context, url, token).patch("/tenant", changes)
    Answer(as_json).say(f"Campaigns of {changed['name']} need {changed['required_approvals']} approval(s).", changed)


@app.command()
def polling(
    context: typer.Context,
    *,
    seconds: Annotated[int, typer.Argument(help="How often vehicles call", min=1, max=86400)],
    url: Url,
    token: Token,
    as_json: AsJson = False,
) -> None:
    """Set how often vehicles call; each hears of it at its next call."""
    changed = open_api(context, url, token).patch("/tenant", {"polling_seconds": seconds})
    Answer(as_json).say(f"Vehicles of {changed['name']} call every {changed['polling_seconds']} seconds.", changed)


Why = Annotated[str, typer.Option("--reason", help="Why, in a sentence")]


@app.command()
def stop(context: typer.Context, *, url: Url, token: Token, reason: Why, as_json: AsJson = False) -> None:
    """Emergency stop: halt every campaign, take back what is not being installed, and let nothing start or resume."""
    said = open_api(context, url, token).post("/tenant/stop", {"reason": reason})
    Answer(as_json).say(f"Everything of {said['name']} is stopped.", said)


@app.command()
def resume(context: typer.Context, *, url: Url, token: Token, reason: Why, as_json: AsJson = False) -> None:
    """End the emergency stop; each campaign waits for its own `campaign resume`."""
    said = open_api(context, url, token).post("/tenant/resume", {"reason": reason})
    Answer(as_json).say(f"Campaigns of {said['name']} may start and resume again.", said)
