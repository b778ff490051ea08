from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api

app = typer.Typer(no_args_is_help=True, help="Vehicles that need hands.")


@app.command("list")
def show(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    everything: Annotated[bool, typer.Option("--all", help="closed ones too")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the open cases, newest first."""
    only = {} if everything else {"open": "true"}
    rows = open_api(context, url, token).rows("/workshop-cases", **only)
    Answer(as_json).rows(("id", "vehicle", "code", "reason", "opened_at", "closed_at"), rows)


@app.command()
def close(
    context: typer.Context,
    *,
    case: Annotated[int, typer.Argument(help="The case's id")],
    url: Url,
    token: Token,
    note: Annotated[str, typer.Option("--note", help="What was done to the vehicle")],
    as_json: AsJson = False,
) -> None:
    """Close a case: somebody has seen to the vehicle."""
    closed = open_api(context, url, token).post(f"/workshop-cases/{case}/close", {"note": note})
    Answer(as_json).say(f"The case of {closed['vehicle']} is closed.", closed)
