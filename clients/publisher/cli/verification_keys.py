from pathlib import Path
from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="What vehicles check the signatures inside package files against.")
Name = Annotated[str, typer.Argument(help="The key's name")]


@app.command()
def add(
    context: typer.Context,
    *,
    name: Name,
    url: Url,
    token: Token,
    format_: Annotated[str, typer.Option("--format", help="swu, raucb or mender")],
    pem: Annotated[Path, typer.Option("--pem", help="A file with certificates, or with a public key")],
    hardware_id: Annotated[
        str, typer.Option("--hardware-id", help="For this hardware alone; default: all without keys of their own")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Publish packages of a format only with a signature that holds against this certificate or key."""
    try:
        text = pem.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{pem} cannot be read: {error}.", code="file.unreadable") from error
    body = {"name": name, "format": format_, "hardware_id": hardware_id, "pem": text}
    added = open_api(context, url, token).post("/verification-keys", body)
    Answer(as_json).say(f"{format_} packages for {hardware_id or 'all hardware'} are checked with {name}.", added)


@app.command()
def retire(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Check no more packages with a key."""
    api = open_api(context, url, token)
    found = next(api.rows("/verification-keys", name=name), None)
    if found is None:
        raise InputError(f"There is no verification key {name!r}.", code="verification_key.not_found")
    retired = api.post(f"/verification-keys/{found['id']}/retire")
    Answer(as_json).say(f"Nothing is checked with {name} any more.", retired)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the keys, newest first."""
    rows = open_api(context, url, token).rows("/verification-keys")
    Answer(as_json).rows(("id", "name", "format", "hardware_id", "created_at", "retired_at"), rows)
