import json
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Devices that are let in by keys of their own (Mender).")
Device = Annotated[int, typer.Argument(help="The device's number in `device list`")]
AsVehicle = Annotated[str, typer.Option("--vehicle-id", help="Which vehicle it is; left out: its identity says so")]
# What the server takes in one list.
AT_A_TIME = 10_000
_COLUMNS = ("id", "vehicle_id", "state", "is_key_change", "requested_at", "key_sha256", "reason")


@app.command("list")
def show(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    state: Annotated[str, typer.Option("--state", help="pending, preauthorised, accepted or rejected")] = "",
    as_json: AsJson = False,
) -> None:
    """Show who asked to be let in, or may come in, newest first."""
    only = {"state": state} if state else {}
    Answer(as_json).rows(_COLUMNS, open_api(context, url, token).rows("/devices", **only))


@app.command()
def accept(
    context: typer.Context,
    *,
    device: Device,
    url: Url,
    token: Token,
    vehicle_id: AsVehicle = "",
    as_json: AsJson = False,
) -> None:
    """Let a device in by its key; another key that the vehicle had is out with that."""
    found = open_api(context, url, token).post(f"/devices/{device}/accept", {"vehicle_id": vehicle_id})
    Answer(as_json).say(f"Device {device} is vehicle {found['vehicle_id']}.", found)


@app.command()
def reject(
    context: typer.Context,
    *,
    device: Device,
    url: Url,
    token: Token,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")],
    as_json: AsJson = False,
) -> None:
    """Keep a device out; one that was in is out at once."""
    found = open_api(context, url, token).post(f"/devices/{device}/reject", {"reason": reason})
    Answer(as_json).say(f"Device {device} is rejected.", found)


@app.command()
def preauthorise(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(help="JSON Lines: identity, public_key (PEM) and, if need be, vehicle_id")],
    url: Url,
    token: Token,
    as_json: AsJson = False,
) -> None:
    """Let the devices of a file in when they ask, 10,000 at a time, all of these or none; it may be sent again."""
    api, devices, expected = open_api(context, url, token), _devices(file), 0
    for start in range(0, len(devices), AT_A_TIME):
        made = api.post("/devices", {"devices": devices[start : start + AT_A_TIME]})
        expected += made["expected"]
    Answer(as_json).say(f"{expected} devices may come in.", {"expected": expected})


@app.command("tenant-token")
def tenant_token(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="What people call it")],
    url: Url,
    token: Token,
    existing: Annotated[str, typer.Option("--existing", help="One that a fleet sends already")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a tenant token, by which devices say whose they are (TenantToken in mender.conf). It is shown once."""
    made = open_api(context, url, token).post("/tenant-tokens", {"name": name, "token": existing})
    Answer(as_json).say(made["token"], made)


@app.command("tenant-tokens")
def tenant_tokens(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the tenant's tokens, without what is secret of them."""
    rows = open_api(context, url, token).rows("/tenant-tokens")
    Answer(as_json).rows(("id", "name", "created_by", "created_at", "revoked_at"), rows)


@app.command("revoke-tenant-token")
def revoke_tenant_token(
    context: typer.Context,
    *,
    number: Annotated[int, typer.Argument(help="The token's number in `device tenant-tokens`")],
    url: Url,
    token: Token,
    as_json: AsJson = False,
) -> None:
    """End a tenant token: devices that send it are of no tenant."""
    ended = open_api(context, url, token).post(f"/tenant-tokens/{number}/revoke")
    Answer(as_json).say(f"The tenant token {ended['name']} is revoked.", ended)


def _devices(file: Path) -> list[Any]:
    devices = []
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.", code="input.file") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                devices.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"{file}, line {number}, is no JSON: {error}.", code="input.file") from error
    return devices
