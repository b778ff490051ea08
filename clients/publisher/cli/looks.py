"""Looking at what is there: further commands of `vehicle`, `group`, `release` and `campaign`, and the audit record."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from clients.publisher.api import Api
from clients.publisher.cli.campaign_texts import line_of, size_of
from clients.publisher.cli.campaigns import Name
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api, open_campaigns
from clients.publisher.errors import InputError
from clients.publisher.releases import Releases

vehicle_app = typer.Typer()
group_app = typer.Typer()
release_app = typer.Typer()
campaign_app = typer.Typer()
app = typer.Typer()
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many, newest first")]
VehicleId = Annotated[str, typer.Argument(help="The vehicle's id")]


@vehicle_app.command("list")
def vehicles(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    filter_: Annotated[str, typer.Option("--filter", help="Which, in the filter language")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show vehicles, newest first."""
    only = {"filter": filter_} if filter_ else {}
    rows = _first(open_api(context, url, token), "/vehicles", limit, **only)
    Answer(as_json).rows(("vehicle_id", "protocol", "enrolled_at", "last_contact_at", "confirmed_at"), rows)


@vehicle_app.command("show")
def vehicle(context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show a vehicle with its ECUs."""
    found = open_api(context, url, token).get(f"/vehicles/{quote(vehicle_id, safe='')}")
    answer = Answer(as_json)
    answer.say(f"{vehicle_id}: last heard of {found['last_contact_at'] or 'never'}.", found)
    if not as_json:
        answer.rows(("serial", "hardware_id", "is_primary"), found["ecus"])


@group_app.command("show")
def group(context: typer.Context, *, name: str, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show a group."""
    found = _group(open_api(context, url, token), name)
    Answer(as_json).say(f"Group {name} is {found['kind']}{': ' + found['filter'] if found['filter'] else ''}.", found)


@group_app.command("vehicles")
def members(
    context: typer.Context, *, name: str, url: Url, token: Token, limit: Limit = 100, as_json: AsJson = False
) -> None:
    """Show the vehicles of a group."""
    api = open_api(context, url, token)
    rows = _first(api, f"/groups/{_group(api, name)['id']}/vehicles", limit)
    Answer(as_json).rows(("vehicle_id", "protocol", "last_contact_at"), rows)


@group_app.command("add")
def add(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    vehicle: Annotated[list[str], typer.Option("--vehicle", help="may be repeated")],
    as_json: AsJson = False,
) -> None:
    """Put vehicles into a group that is chosen by hand."""
    api = open_api(context, url, token)
    done = api.post(f"/groups/{_group(api, name)['id']}/vehicles", {"vehicles": vehicle})
    Answer(as_json).say(f"{done['changed']} vehicle(s) are new in {name}.", done)


@group_app.command("remove")
def remove(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    vehicle: Annotated[list[str], typer.Option("--vehicle", help="may be repeated")],
    as_json: AsJson = False,
) -> None:
    """Take vehicles out of a group that is chosen by hand."""
    api = open_api(context, url, token)
    done = api.post(f"/groups/{_group(api, name)['id']}/vehicles/remove", {"vehicles": vehicle})
    Answer(as_json).say(f"{done['changed']} vehicle(s) are no longer in {name}.", done)


@release_app.command("show")
def release(
    context: typer.Context, *, name: str, version: str, url: Url, token: Token, as_json: AsJson = False
) -> None:
    """Show a release with its packages."""
    found = Releases(open_api(context, url, token)).find(name, version)
    targets = ", ".join(item["target_name"] for item in found["packages"])
    Answer(as_json).say(f"Release {name} {version} of {found['published_at']}: {targets}.", found)


@campaign_app.command("list")
def campaigns(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    state: Annotated[str, typer.Option("--state", help="in this state alone, like running")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show campaigns, newest first."""
    only = {"state": state} if state else {}
    rows = [
        {**row, "release_label": f"{row['release']['name']} {row['release']['version']}"}
        for row in _first(open_api(context, url, token), "/campaigns", limit, **only)
    ]
    Answer(as_json).rows(("name", "state", "release_label", "started_at", "finished_at", "reason"), rows)


@campaign_app.command("assignments")
def assignments(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    state: Annotated[str, typer.Option("--state", help="in this state alone, like failed")] = "",
    code: Annotated[str, typer.Option("--code", help="with this failure code alone")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show the vehicles of a campaign, and where each stands."""
    found = open_campaigns(context, url, token).find(name)
    only = {key: value for key, value in {"state": state, "code": code}.items() if value}
    rows = _first(open_api(context, url, token), f"/campaigns/{found['id']}/assignments", limit, **only)
    Answer(as_json).rows(("vehicle", "wave", "state", "code", "message"), rows)


@campaign_app.command("explain")
def explain(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    last: Annotated[int, typer.Option("--last", help="so many decisions", min=1)] = 5,
    as_json: AsJson = False,
) -> None:
    """Show why a campaign stands where it does: its waves, and what was decided last."""
    open_ = open_campaigns(context, url, token)
    campaign = open_.show(name)
    path = f"/campaigns/{campaign['id']}/decisions"
    decided = _first(open_api(context, url, token), path, last)
    answer = Answer(as_json)
    if as_json:
        answer.say("", {"campaign": campaign, "decisions": decided})
        return
    answer.say(line_of(campaign), campaign)
    waves = [{**wave, "size": size_of(wave)} for wave in campaign["waves"]]
    answer.rows(("number", "size", "state", "counts"), waves)
    answer.rows(("at", "kind", "actor", "sentence"), decided)


@app.command("audit")
def audit(context: typer.Context, *, url: Url, token: Token, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show the record of who did what, newest first."""
    rows = _first(open_api(context, url, token), "/audit", limit)
    Answer(as_json).rows(("number", "at", "actor", "action", "subject"), rows)


def _first(api: Api, path: str, limit: int, **only: str) -> list[Any]:
    rows = api.rows(path, limit=min(limit, 1000), **only)
    return [row for row, _ in zip(rows, range(limit), strict=False)]


def _group(api: Api, name: str) -> Any:
    found = next(api.rows("/groups", name=name), None)
    if found is None:
        raise InputError(f"There is no group {name!r}.", code="group.not_found")
    return found
