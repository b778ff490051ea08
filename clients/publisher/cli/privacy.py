"""What is kept, and what is erased: further commands of `vehicle` and `tenant`."""

from pathlib import Path
from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.cli.vehicles import Reason, VehicleId, address
from clients.publisher.errors import InputError

app = typer.Typer()
tenant_app = typer.Typer()
_KINDS = ("kind", "days", "default_days", "description")


@app.command()
def record(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    out: Annotated[Path, typer.Option("--out", help="the file to write, one JSON object a line")],
    as_json: AsJson = False,
) -> None:
    """Write all that is held of a vehicle to a file."""
    response = open_api(context, url, token).fetch(address(vehicle_id, "record"))
    out.write_bytes(response.content)
    rows = response.content.count(b"\n")
    written = {"vehicle_id": vehicle_id, "rows": rows, "file": str(out)}
    Answer(as_json).say(f"{rows} rows of {vehicle_id} are in {out}.", written)


@app.command()
def pseudonymise(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Erase who a decommissioned vehicle is, for good; its part in campaigns stays, under another name."""
    found = open_api(context, url, token).post(address(vehicle_id, "pseudonymise"), {"reason": reason})
    Answer(as_json).say(f"{vehicle_id} is {found['vehicle_id']} from now on.", found)


@tenant_app.command()
def retention(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="KIND=DAYS, or KIND=default; may be given several times")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show for how many days each kind of record is kept, or change it."""
    api = open_api(context, url, token)
    found = api.patch("/tenant/retention", {"days": _days(keep)}) if keep else api.get("/tenant/retention")
    Answer(as_json).rows(_KINDS, found["kinds"])


@tenant_app.command()
def storage(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show what packages and uploads take, and what they may."""
    found = open_api(context, url, token).get("/tenant/storage")
    quota = found["quota_bytes"]
    limit = "no limit" if quota is None else f"{quota} bytes"
    Answer(as_json).say(f"{found['used_bytes']} bytes are taken; there is {limit}.", found)


def _days(keep: list[str]) -> dict[str, int | None]:
    days: dict[str, int | None] = {}
    for text in keep:
        kind, _, number = text.partition("=")
        if number != "default" and not (number.isascii() and number.isdecimal()):
            raise InputError(f"--keep is KIND=DAYS or KIND=default; {text!r} is not.")
        days[kind] = None if number == "default" else int(number)
    return days
