from typing import Annotated
from urllib.parse import quote

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.releases import Releases

app = typer.Typer(no_args_is_help=True, help="Vehicles.")
VehicleId = Annotated[str, typer.Argument(help="The vehicle's id")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")]


def address(vehicle_id: str, part: str) -> str:
    """Return the operator API's address of a part of a vehicle."""
    return f"/vehicles/{quote(vehicle_id, safe='')}/{part}"


@app.command()
def explain(context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show why a vehicle is, or is not, being updated, and what would change it."""
    found = open_api(context, url, token).get(f"/vehicles/{quote(vehicle_id, safe='')}/explanation")
    answer = Answer(as_json)
    if as_json:
        answer.say("", found)
        return
    answer.say(f"{vehicle_id} is {'' if found['is_being_updated'] else 'not '}being updated.", found)
    answer.rows(("campaign", "code", "sentence", "limit", "value", "remedy"), found["answers"])


@app.command("time-zone")
def time_zone(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    zone: Annotated[str, typer.Argument(help="A name of the IANA database, like Europe/Berlin")],
    url: Url,
    token: Token,
    as_json: AsJson = False,
) -> None:
    """Say in which time zone a vehicle is; the windows of its orders go by it."""
    changed = open_api(context, url, token).post(
        f"/vehicles/{quote(vehicle_id, safe='')}/time-zone", {"time_zone": zone}
    )
    Answer(as_json).say(f"Vehicle {vehicle_id} is in {zone}.", changed)


@app.command("test-bench")
def test_bench(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    reason: Reason,
    on: Annotated[bool, typer.Option("--on/--off")] = True,
    as_json: AsJson = False,
) -> None:
    """Mark a vehicle as standing on a test bench, or no longer."""
    body = {"is_test_bench": on, "reason": reason}
    marked = open_api(context, url, token).post(f"/vehicles/{quote(vehicle_id, safe='')}/test-bench", body)
    Answer(as_json).say(f"Vehicle {vehicle_id} stands {'on a' if on else 'on no'} test bench.", marked)


@app.command()
def order(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    release: Annotated[tuple[str, str], typer.Option("--release", help="name and version")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Order a release for one vehicle on a test bench, at once."""
    api = open_api(context, url, token)
    body = {"release": Releases(api).find(*release)["id"], "reason": reason}
    made = api.post(f"/vehicles/{quote(vehicle_id, safe='')}/order", body)
    Answer(as_json).say(f'Ordered; follow it with `campaign watch "{made["name"]}"`.', made)
