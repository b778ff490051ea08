import math
from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.errors import InputError
from clients.publisher.releases import Condition, Releases, Signal

app = typer.Typer(no_args_is_help=True, help="Releases.")


@app.command()
def create(
    context: typer.Context,
    *,
    name: str,
    version: str,
    url: Url,
    token: Token,
    package: Annotated[list[str], typer.Option("--package", help="role/name-version, or role/name-version@position")],
    order: Annotated[bool, typer.Option("--order", help="Install one after the other, as listed")] = False,
    requires: Annotated[list[str], typer.Option("--requires", help="name, or name=version,version")] = [],  # noqa: B006 - typer copies it
    conflicts: Annotated[list[str], typer.Option("--conflicts", help="name, or name=version,version")] = [],  # noqa: B006 - typer copies it
    signal: Annotated[list[str], typer.Option("--signal", help="name:limit:p0:p1, the rates as fractions")] = [],  # noqa: B006 - typer copies it
    halt_code: Annotated[list[str], typer.Option("--halt-code", help="A failure with it halts at once")] = [],  # noqa: B006 - typer copies it
    note: Annotated[list[str], typer.Option("--note", help="language=text, like en=…")] = [],  # noqa: B006 - typer copies it
    stone: Annotated[
        tuple[str, str] | None, typer.Option("--stepping-stone", help="name and version of what must run first")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a release of published packages."""
    placed = [_placed(text, index if order else 0) for index, text in enumerate(package)]
    conditions = [_condition("requires", text) for text in requires] + [
        _condition("conflicts", text) for text in conflicts
    ]
    notes = dict(_pair(text, "--note") for text in note)
    made = Releases(open_api(context, url, token)).create(
        name,
        version,
        placed,
        conditions=conditions,
        signals=[_signal(text) for text in signal],
        halt_codes=halt_code,
        notes=notes,
        stepping_stone=stone,
    )
    Answer(as_json).say(f"Release {name} {version} holds {len(placed)} package(s).", made)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the releases, newest first."""
    rows = open_api(context, url, token).rows("/releases")
    Answer(as_json).rows(("id", "name", "version", "published_at"), rows)


def _placed(text: str, position: int) -> tuple[str, int]:
    target_name, at, given = text.partition("@")
    if not at:
        return target_name, position
    if not given.isdecimal():
        raise InputError(f"The position in {text!r} is not a number.", code="input.position")
    return target_name, int(given)


def _condition(kind: str, text: str) -> Condition:
    name, _, versions = text.partition("=")
    return Condition(kind, name, tuple(version for version in versions.split(",") if version))


def _signal(text: str) -> Signal:
    try:
        name, limit, acceptable, unacceptable = text.split(":")
        numbers = float(limit), float(acceptable), float(unacceptable)
        if not (name and all(map(math.isfinite, numbers))):
            raise ValueError(text)
    except ValueError as error:
        raise InputError(f"--signal takes name:limit:p0:p1; {text!r} is not.", code="input.signal") from error
    return Signal(name, *numbers)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InputError(f"{option} takes name=text; {text!r} is not.", code="input.pair")
    return name, value
