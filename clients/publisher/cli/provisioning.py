"""Credentials that new vehicles with aktualizr share, and permits for those that are known already."""

import base64
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="What vehicles with aktualizr get in by.")
Name = Annotated[str, typer.Argument(help="What the credential is called: a-z, 0-9 and hyphen")]
_COLUMNS = ("name", "created_by", "created_at", "expires_at", "revoked_at")


@app.command()
def issue(
    context: typer.Context,
    *,
    name: Name,
    address: Annotated[str, typer.Argument(help="Where vehicles find the server: https://HOST/aktualizr/TENANT")],
    file: Annotated[Path, typer.Argument(help="The credentials.zip to write; it must not exist")],
    url: Url,
    token: Token,
    days: Annotated[int, typer.Option("--days", help="How long it is good for")] = 365,
    as_json: AsJson = False,
) -> None:
    """Write a credential with which any number of new vehicles may each ask once for a certificate of their own."""
    api = open_api(context, url, token)
    try:
        # First: what cannot be kept is not issued. It holds a private key, so that only its owner may read it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.", code="file.unwritable") from error
    with os.fdopen(descriptor, "wb") as target:
        try:
            made = api.post("/provisioning-credentials", {"name": name, "address": address, "valid_days": days})
        except Exception:
            file.unlink()
            raise
        target.write(base64.b64decode(made.pop("archive")))
    Answer(as_json).say(f"{file} is good until {made['expires_at'][:10]}.", made)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the credentials that vehicles share, newest first."""
    Answer(as_json).rows(_COLUMNS, open_api(context, url, token).rows("/provisioning-credentials"))


@app.command()
def revoke(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End a credential now; certificates that vehicles got by it stay good."""
    api = open_api(context, url, token)
    row = next((each for each in api.rows("/provisioning-credentials") if each["name"] == name), None)
    if row is None:
        raise InputError(f"There is no provisioning credential {name}.", code="input.provisioning_credential")
    Answer(as_json).say(f"{name} is ended.", api.post(f"/provisioning-credentials/{row['id']}/revoke", {}))


@app.command()
def permit(
    context: typer.Context,
    *,
    vehicle_id: Annotated[str, typer.Argument(help="The vehicle")],
    url: Url,
    token: Token,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")],
    hours: Annotated[int, typer.Option("--hours", help="How long the permit is good for")] = 24 * 7,
    as_json: AsJson = False,
) -> None:
    """Let a vehicle that is known already be provisioned once more, or register other ECUs than it had."""
    path = f"/vehicles/{quote(vehicle_id, safe='')}/provisioning"
    found = open_api(context, url, token).post(path, {"reason": reason, "valid_hours": hours})
    Answer(as_json).say(f"{vehicle_id} may be provisioned once within {hours} hours.", found)
