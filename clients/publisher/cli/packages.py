from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from clients.publisher.cli.context import Answer, AsJson, Keys, Token, Url, open_api, open_publisher
from clients.publisher.packages import PackageSpec, PublishedPackage

app = typer.Typer()
Target = Annotated[str, typer.Argument(help="role/name-version")]
NewVersion = Annotated[str, typer.Option("--version", help="The new version's name")]


@app.command()
def publish(
    context: typer.Context,
    *,
    file: Path,
    url: Url,
    token: Token,
    keys: Keys,
    role: Annotated[str, typer.Option("--role")],
    name: Annotated[str, typer.Option("--name")],
    version: Annotated[str, typer.Option("--version")],
    hardware_id: Annotated[list[str], typer.Option("--hardware-id", help="What it fits; may be repeated")],
    counter: Annotated[
        int | None, typer.Option("--counter", help="Release counter; default: the highest in use for the hardware")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file and publish it, signed by a release role. Done again, it goes on where it stopped."""
    packages = open_publisher(context, url, token, keys).packages
    answer = Answer(as_json)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=answer.progress(), transient=True) as bar:
        task = bar.add_task(file.name, total=None)
        published = packages.publish(
            file,
            PackageSpec(role, name, version, tuple(hardware_id), counter),
            progress=lambda here, total: bar.update(task, completed=here, total=total),
        )
    _report(published, answer)


@app.command()
def republish(
    context: typer.Context,
    *,
    target: Target,
    version: NewVersion,
    url: Url,
    token: Token,
    keys: Keys,
    counter: Annotated[int | None, typer.Option("--counter", help="default: the highest in use")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign old content again under a new version, with a counter that vehicles accept: the way back."""
    packages = open_publisher(context, url, token, keys).packages
    _report(packages.republish(target, version=version, release_counter=counter), Answer(as_json))


@app.command("raise-counter")
def raise_counter(
    context: typer.Context,
    *,
    target: Target,
    version: NewVersion,
    url: Url,
    token: Token,
    keys: Keys,
    counter: Annotated[int | None, typer.Option("--counter", help="default: one more than the highest in use")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign a package again under a new version that bars all older software from vehicles that run it."""
    packages = open_publisher(context, url, token, keys).packages
    _report(packages.raise_counter(target, version=version, release_counter=counter), Answer(as_json))


@app.command()
def withdraw(
    context: typer.Context,
    *,
    target: Target,
    url: Url,
    token: Token,
    keys: Keys,
    as_json: AsJson = False,
) -> None:
    """Take a package out of its role's signed metadata, so that no vehicle accepts it any more."""
    package_id = open_publisher(context, url, token, keys).packages.withdraw(target)
    Answer(as_json).say(f"{target} is withdrawn.", {"id": package_id, "target_name": target})


@app.command()
def packages(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the packages, newest first."""
    rows = [
        {**row, "format": row["contents"].get("format", "")} for row in open_api(context, url, token).rows("/packages")
    ]
    Answer(as_json).rows(("id", "target_name", "state", "format", "release_counter", "length", "published_at"), rows)


def _report(published: PublishedPackage, answer: Answer) -> None:
    verb = "is published" if published.is_new else "was published already"
    answer.say(
        f"{published.target_name} {verb}: {published.length} bytes, release counter {published.release_counter}, "
        f"SHA-256 {published.sha256}.{_inside(published.contents)}",
        asdict(published),
    )


def _inside(contents: Mapping[str, Any]) -> str:
    """Return, as further lines, what the server read in a file that is no plain one."""
    if contents.get("format", "plain") == "plain":
        return ""
    named = " ".join(one for one in (contents["name"], contents["version"]) if one)
    signers = "; ".join(one["subject"] for one in contents["signers"]) or contents["signature"] or "nobody"
    checked = f"holds against {', '.join(contents['verified_by'])}" if contents["verified_by"] else "not checked"
    lines = [
        f"{contents['format']}: {named or 'no version'}, for {', '.join(contents['hardware']) or 'any hardware'}",
        *(f"  {one['kind']} {one['name']}: {one['length']} bytes" for one in contents["payloads"]),
        f"  signed by {signers} ({checked})",
    ]
    return "\n" + "\n".join(lines)
