from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api

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


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the groups."""
    rows = open_api(context, url, token).rows("/groups")
    Answer(as_json).rows(("id", "name", "kind", "filter"), rows)
