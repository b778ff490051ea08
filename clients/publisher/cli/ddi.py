"""Vehicles that speak hawkBit's DDI: SWUpdate, RAUC, Zephyr."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Vehicles with SWUpdate, RAUC or Zephyr (hawkBit's DDI).")
VehicleId = Annotated[str, typer.Argument(help="The vehicle's id, which its client calls controller or target")]
Chosen = Annotated[
    str | None, typer.Option("--with-token", help="The token that it was flashed with; without, one is made")
]


@app.command()
def vehicle(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    hardware: Annotated[
        list[str], typer.Option("--hardware", help="ID or SERIAL=ID of a computer; the first is the Primary")
    ],
    chosen: Chosen = None,
    as_json: AsJson = False,
) -> None:
    """Make a vehicle known, or say which computers it has, and give it its target token."""
    ecus = [_ecu(vehicle_id, text, number) for number, text in enumerate(hardware)]
    body: dict[str, Any] = {"vehicle_id": vehicle_id, "ecus": ecus} | _chosen(chosen)
    made = open_api(context, url, token).post("/ddi/vehicles", body)
    Answer(as_json).say(made["token"], made)


@app.command("target-token")
def target_token(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    url: Url,
    token: Token,
    chosen: Chosen = None,
    as_json: AsJson = False,
) -> None:
    """Give a vehicle a new target token, which ends the one before."""
    path = f"/vehicles/{quote(vehicle_id, safe='')}/target-token"
    made = open_api(context, url, token).post(path, _chosen(chosen))
    Answer(as_json).say(made["token"], made)


@app.command("gateway-token")
def gateway_token(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="What the token is called")],
    url: Url,
    token: Token,
    chosen: Chosen = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="End it instead")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a token with which every vehicle of the tenant may call; unknown ones become known by it."""
    api = open_api(context, url, token)
    if not revoke:
        made = api.post("/gateway-tokens", {"name": name} | _chosen(chosen))
        Answer(as_json).say(made["token"], made)
        return
    row = next((each for each in api.rows("/gateway-tokens") if each["name"] == name), None)
    if row is None:
        raise InputError(f"There is no gateway token {name}.", code="input.gateway_token")
    Answer(as_json).say(f"Token {name} is ended.", api.post(f"/gateway-tokens/{row['id']}/revoke", {}))


@app.command()
def settings(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    default_hardware: Annotated[
        str | None, typer.Option("--default-hardware", help="Hardware id of a vehicle that registers itself")
    ] = None,
    hardware_attribute: Annotated[
        str | None, typer.Option("--hardware-attribute", help="configData key that tells the hardware id; '' for none")
    ] = None,
    version_attribute: Annotated[
        str | None, typer.Option("--version-attribute", help="configData key that tells what runs; '' for none")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="HARDWARE=PART; replaces all that were set; may be repeated")
    ] = None,
    authority: Annotated[
        list[str] | None,
        typer.Option("--authority", help="Who may vouch by proxy headers; replaces all; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how the tenant's vehicles are read, having changed what is named."""
    changes = {
        "default_hardware_id": default_hardware,
        "hardware_attribute": hardware_attribute,
        "version_attribute": version_attribute,
        "chunk_parts": dict(_pair(text) for text in part) if part else None,
        "authorities": authority or None,
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    api = open_api(context, url, token)
    found = api.patch("/tenant/ddi", wanted) if wanted else api.get("/tenant/ddi")
    answer = Answer(as_json)
    if as_json:
        answer.say("", found)
    else:
        answer.rows(("setting", "value"), [{"setting": name, "value": found[name]} for name in found])


def _ecu(vehicle_id: str, text: str, number: int) -> dict[str, str]:
    serial, separator, hardware_id = text.rpartition("=")
    if separator:
        return {"serial": serial, "hardware_id": hardware_id}
    return {"serial": f"{vehicle_id}-{number}" if number else vehicle_id, "hardware_id": text}


def _pair(text: str) -> tuple[str, str]:
    hardware_id, separator, part = text.partition("=")
    if not separator:
        raise InputError(f"A part is HARDWARE=PART; {text!r} is not.", code="input.part")
    return hardware_id, part


def _chosen(token: str | None) -> dict[str, str]:
    return {} if token is None else {"token": token}
