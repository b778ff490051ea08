"""When nothing may be offered or installed, in the whole fleet or a group."""

from typing import Annotated, Any

import typer

from clients.publisher.api import Api
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Blackouts: times in which nothing is offered or installed.")
Name = Annotated[str, typer.Argument(help="The blackout's name")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")]


@app.command()
def declare(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    reason: Reason,
    starts_at: Annotated[str | None, typer.Option("--from", help="default: now")] = None,
    ends_at: Annotated[str | None, typer.Option("--until", help="default: until it is lifted")] = None,
    group: Annotated[str | None, typer.Option("--group", help="default: the whole fleet")] = None,
    as_json: AsJson = False,
) -> None:
    """Offer nothing for a time, and let nothing that is pending be installed."""
    api = open_api(context, url, token)
    body: dict[str, Any] = {"name": name, "reason": reason, "starts_at": starts_at, "ends_at": ends_at}
    if group is not None:
        body["group"] = _one(api, "group", name=group)["id"]
    made = api.post("/blackouts", body)
    Answer(as_json).say(_line(made), made)


@app.command()
def lift(
    context: typer.Context, *, name: Name, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """End a blackout now."""
    api = open_api(context, url, token)
    standing = [row for row in api.rows("/blackouts", name=name) if row["lifted_at"] is None]
    if not standing:
        raise InputError(f"There is no blackout {name!r} that is not lifted.", code="blackout.not_found")
    lifted = api.post(f"/blackouts/{standing[0]['id']}/lift", {"reason": reason})
    Answer(as_json).say(f"Blackout {name} is lifted.", lifted)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show all blackouts, the newest first."""
    rows = open_api(context, url, token).rows("/blackouts")
    Answer(as_json).rows(("name", "starts_at", "ends_at", "group", "reason", "lifted_at"), rows)


def freeze(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Freeze the whole fleet from now on, until `blackout lift`."""
    made = open_api(context, url, token).post("/blackouts", {"name": name, "reason": reason})
    Answer(as_json).say(_line(made), made)


def _one(api: Api, noun: str, *, name: str) -> Any:
    found = next(api.rows(f"/{noun}s", name=name), None)
    if found is None:
        raise InputError(f"There is no {noun} {name!r}.", code=f"{noun}.not_found")
    return found


def _line(blackout: Any) -> str:
    ends = f"until {blackout['ends_at']}" if blackout["ends_at"] else "until it is lifted"
    whom = "one group" if blackout["group"] else "the whole fleet"
    return f"Blackout {blackout['name']} for {whom} from {blackout['starts_at']} {ends}."
