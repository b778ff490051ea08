"""Check my device: further commands of `vehicle`."""

from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.cli.vehicles import VehicleId, address

app = typer.Typer()
Hours = Annotated[int, typer.Option("--hours", help="for how long, at most 72; 0 ends it")]
_COLUMNS = ("at", "method", "path", "status", "code", "identity", "reason", "client")


@app.command()
def watch(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, hours: Hours = 4, as_json: AsJson = False
) -> None:
    """Keep a vehicle's requests for some hours, to see why it does not get through."""
    vehicle = open_api(context, url, token).post(address(vehicle_id, "watch"), {"hours": hours})
    Answer(as_json).say(f"Requests of {vehicle_id} are kept until {vehicle['watched_until'] or 'now'}.", vehicle)


@app.command()
def requests(context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the last requests of a watched vehicle, the newest first."""
    Answer(as_json).rows(_COLUMNS, open_api(context, url, token).rows(address(vehicle_id, "requests")))


@app.command("watch-address")
def watch_address(
    context: typer.Context,
    *,
    ip: Annotated[str, typer.Argument(help="The IP address that the device calls from")],
    url: Url,
    token: Token,
    hours: Hours = 4,
    as_json: AsJson = False,
) -> None:
    """Keep what is refused to an address, for a device that the server cannot tell yet."""
    rows = open_api(context, url, token).post("/watched-addresses", {"address": ip, "hours": hours})
    Answer(as_json).rows(("address", "until", "by"), rows["results"])


@app.command()
def refusals(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    ip: Annotated[str, typer.Option("--address", help="of this address alone")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what was refused to watched addresses, the newest first."""
    only = {"address": ip} if ip else {}
    Answer(as_json).rows(("address", *_COLUMNS), open_api(context, url, token).rows("/refused-requests", **only))
