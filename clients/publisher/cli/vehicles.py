from typing import Annotated
from urllib.parse import quote

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api

app = typer.Typer(no_args_is_help=True, help="Vehicles.")
VehicleId = Annotated[str, typer.Argument(help="The vehicle's id")]


@app.callback()
def _group() -> None:
    """Keep `explain` a command of its own, though it is the only one."""


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
