import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.publisher.cli.context import Answer, AsJson, Keys, Token, Url, open_publisher
from clients.publisher.documents import RoleKeys, public_key
from clients.publisher.errors import InputError
from clients.publisher.keystore import REPOSITORIES
from clients.publisher.trust import RoleVersion

app = typer.Typer(no_args_is_help=True, help="Roots, delegations, renewal.")
root_app = typer.Typer(no_args_is_help=True, help="Roots for vehicles.")


@app.command()
def init(context: typer.Context, *, url: Url, token: Token, keys: Keys, as_json: AsJson = False) -> None:
    """Sign and upload the first roots, the top-level targets, and an empty file for each release role."""
    _report(open_publisher(context, url, token, keys).trust.init(), as_json)


@app.command("rotate-root")
def rotate_root(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    keys: Keys,
    repository: Annotated[list[str], typer.Option("--repository", help="image or director; both by default")] = [],  # noqa: B006 - typer copies it
    new_keys: Annotated[bool, typer.Option("--new-keys", help="Make new root keys as well")] = False,
    root_keys: Annotated[int, typer.Option("--root-keys")] = 3,
    root_threshold: Annotated[int, typer.Option("--root-threshold")] = 2,
    as_json: AsJson = False,
) -> None:
    """Publish the next root with the server's present online keys, signed by old and new root keys."""
    unknown = sorted(set(repository) - set(REPOSITORIES))
    if unknown:
        raise InputError(f"There is no repository {unknown[0]!r}, only {' and '.join(REPOSITORIES)}.")
    trust = open_publisher(context, url, token, keys).trust
    done = [
        trust.rotate_root(each, new_keys=new_keys, count=root_keys, threshold=root_threshold)
        for each in repository or REPOSITORIES
    ]
    _report(done, as_json)


@app.command("rotate-role")
def rotate_role(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="The release role whose key shall count no more")],
    url: Url,
    token: Token,
    keys: Keys,
    as_json: AsJson = False,
) -> None:
    """Give a release role a new key, and sign its packages anew with it; the old one counts for nothing then."""
    _report(open_publisher(context, url, token, keys).trust.rotate_role(name), as_json)


@app.command()
def refresh(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    keys: Keys,
    role: Annotated[list[str], typer.Option("--role", help="targets or a release role; all by default")] = [],  # noqa: B006 - typer copies it
    within_days: Annotated[int, typer.Option("--within-days", help="Sign anew what ends within so many days")] = 30,
    as_json: AsJson = False,
) -> None:
    """Sign anew, with the same content, what nears its end."""
    trust = open_publisher(context, url, token, keys).trust
    _report(trust.refresh(within=timedelta(days=within_days), roles=role or None), as_json)


@app.command("add-role")
def add_role(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="a-z, 0-9 and hyphens")],
    url: Url,
    token: Token,
    keys: Keys,
    public: Annotated[
        Path | None, typer.Option("--public", help="A supplier's keys, as `keys public` shows them")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delegate `NAME/*` to a release role: to keys of this store, or to a supplier's."""
    supplier = None if public is None else _supplier_keys(public)
    _report(open_publisher(context, url, token, keys).trust.add_role(name, keys=supplier), as_json)


@root_app.command()
def fetch(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Argument(help="Where the files shall be")],
    url: Url,
    token: Token,
    keys: Keys,
    as_json: AsJson = False,
) -> None:
    """Save the first roots of both repositories: what vehicles are provisioned with."""
    saved = open_publisher(context, url, token, keys).trust.save_first_roots(folder)
    names = [str(path) for path in saved]
    Answer(as_json).say("\n".join(names), {"files": names})


def _report(done: Sequence[RoleVersion], as_json: bool) -> None:
    rows: list[dict[str, Any]] = [asdict(each) for each in done]
    Answer(as_json).rows(("repository", "role", "version", "expires_at", "is_new"), rows)


def _supplier_keys(path: Path) -> RoleKeys:
    try:
        shown = json.loads(path.read_text())
        return RoleKeys(tuple(public_key(each) for each in shown["keys"]), int(shown["threshold"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not hold what `keys public` shows: {error}.", code="keys.unreadable") from error
