"""What every command takes, and how it answers."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clients.publisher.api import Api, connect
from clients.publisher.campaigns import Campaigns
from clients.publisher.errors import InputError
from clients.publisher.keystore import KeyStore
from clients.publisher.profiles import FIRST, Profile, Profiles
from clients.publisher.publisher import Publisher, system_time
from clients.publisher.releases import Releases

# What neither an option nor the environment says comes from the profile (`ota login`).
Url = Annotated[
    str, typer.Option("--url", envvar="OTA_URL", default_factory=str, help="The server, if not the profile's")
]
Token = Annotated[
    str,
    typer.Option(
        "--token", envvar="OTA_TOKEN", default_factory=str, help="A token; better given as OTA_TOKEN than here"
    ),
]
Keys = Annotated[Path, typer.Option("--keys", envvar="OTA_KEYS", help="The folder with the offline keys")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output")]


@dataclass(frozen=True)
class Seams:
    """What a caller in the same process may put in place of the network and of time."""

    transport: httpx.BaseTransport | None = None
    clock: Callable[[], datetime] = system_time
    sleep: Callable[[float], None] = time.sleep
    profile: str = FIRST


@dataclass(frozen=True)
class Answer:
    """Where a command says what it did: JSON for programs, or sentences and tables for people."""

    is_json: bool

    def say(self, sentence: str, data: Any) -> None:
        if self.is_json:
            typer.echo(json.dumps(data, default=_plain))
        else:
            typer.echo(sentence)

    def rows(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Show rows as a table of some columns, or as JSON with all of them."""
        listed = list(rows)
        if self.is_json:
            typer.echo(json.dumps(listed, default=_plain))
            return
        table = Table(*columns)
        for row in listed:
            # As it is: a name may look like the library's marks for colours.
            table.add_row(*(Text("" if row[name] is None else str(row[name])) for name in columns))
        Console(width=None if os.isatty(1) else 200).print(table)

    def progress(self) -> Console:
        """Return where progress is drawn: on a terminal, and nowhere for programs."""
        return Console(stderr=True, quiet=self.is_json or not sys.stderr.isatty())


def open_api(context: typer.Context, url: str, token: str) -> Api:
    seams = _seams(context)
    return Api(_client(seams, url, token), sleep=seams.sleep)


def api_of(context: typer.Context, profile: Profile) -> Api:
    """Return the API of a server that is not, or not yet, the one of the profile in use."""
    return open_api(context, profile.url, profile.token)


def choose_profile(context: typer.Context, name: str) -> None:
    """Let the command that follows use this profile."""
    context.obj = replace(_seams(context), profile=name)


def profiles_of(context: typer.Context) -> Profiles:
    return _profiles(_seams(context))


def now_of(context: typer.Context) -> datetime:
    return _seams(context).clock()


def sleep_of(context: typer.Context) -> Callable[[float], None]:
    return _seams(context).sleep


def open_campaigns(context: typer.Context, url: str, token: str) -> Campaigns:
    api = open_api(context, url, token)
    return Campaigns(api, Releases(api), sleep=_seams(context).sleep)


def open_publisher(context: typer.Context, url: str, token: str, keys: Path) -> Publisher:
    seams = _seams(context)
    return Publisher(_client(seams, url, token), KeyStore(keys), clock=seams.clock, sleep=seams.sleep)


def _seams(context: typer.Context) -> Seams:
    return cast(Seams, context.obj)


def _profiles(seams: Seams) -> Profiles:
    folder = os.environ.get("OTA_CONFIG") or typer.get_app_dir("ota")
    return Profiles(Path(folder), seams.profile)


def _client(seams: Seams, url: str, token: str) -> httpx.Client:
    found = _profiles(seams).complete(url, token)
    url, token = found.url, found.token
    if not url.startswith(("http://", "https://")):
        raise InputError(f"The server's address is {url!r}; it begins with https:// or http://.", code="input.url")
    try:
        return connect(url, token, transport=seams.transport)
    except httpx.InvalidURL as error:
        raise InputError(f"The server's address is {url!r}: {error}.", code="input.url") from error


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
