from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.releases import Releases

app = typer.Typer(no_args_is_help=True, help="Vehicles one by one.")
VehicleId = Annotated[str, typer.Argument(help="The vehicle's id")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")]


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
    marked = open_api(context, url, token).post(f"/vehicles/{vehicle_id}/test-bench", body)
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
    made = api.post(f"/vehicles/{vehicle_id}/order", body)
    Answer(as_json).say(f'Ordered; follow it with `campaign watch "{made["name"]}"`.', made)
