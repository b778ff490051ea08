from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Groups of vehicles.")


@app.command()
def create(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    filter_: Annotated[str, typer.Option("--filter", help="Which vehicles, asked afresh each time")] = "",
    vehicle: Annotated[list[str], typer.Option("--vehicle", help="A vehicle chosen by hand; may be repeated")] = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Make a group, by a filter or of vehicles chosen by hand."""
    made = open_api(context, url, token).post("/groups", {"name": name, "filter": filter_, "vehicles": vehicle})
    Answer(as_json).say(f"Group {name} is there.", made)


@app.command()
def preview(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    filter_: Annotated[str, typer.Option("--filter", help="The filter to try")],
    as_json: AsJson = False,
) -> None:
    """Show how many vehicles match a filter, and a few of them, before there is a group."""
    found = open_api(context, url, token).post("/groups/preview", {"filter": filter_})
    few = ", ".join(found["sample"]) or "none"
    at_least = "" if found["is_exact"] else "At least "
    Answer(as_json).say(f"{at_least}{found['count']} vehicle(s), among them {few}.", found)


@app.command()
def block(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record and in explanations")],
    as_json: AsJson = False,
) -> None:
    """Make a group a block list: no campaign updates its vehicles."""
    _act(context, "block-list", url=url, token=token, name=name, reason=reason, as_json=as_json)


@app.command()
def unblock(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")],
    as_json: AsJson = False,
) -> None:
    """Let campaigns update the vehicles of a block list again."""
    _act(context, "block-list/lift", url=url, token=token, name=name, reason=reason, as_json=as_json)


def _act(context: typer.Context, action: str, *, url: str, token: str, name: str, reason: str, as_json: bool) -> None:
    api = open_api(context, url, token)
    found = next(api.rows("/groups", name=name), None)
    if found is None:
        raise InputError(f"There is no group {name!r}.", code="group.not_found")
    done = api.post(f"/groups/{found['id']}/{action}", {"reason": reason})
    Answer(as_json).say(f"Group {name}: {done['blocks_updates_reason'] or 'no block list'}.", done)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the groups."""
    rows = open_api(context, url, token).rows("/groups")
    Answer(as_json).rows(("id", "name", "kind", "filter", "blocks_updates_reason"), rows)
