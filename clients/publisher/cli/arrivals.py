from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from clients.publisher.arrivals import Arrivals
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api, sleep_of
from clients.publisher.errors import LinesLeftOutError, PublisherError

app = typer.Typer(no_args_is_help=True, help="Fleets that move in.")
_SHOWN = 10


@app.command("import")
def import_(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(help="Vehicles, one a line; its name ends in .csv or .jsonl")],
    url: Url,
    token: Token,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing: only say what would be")] = False,
    errors: Annotated[Path | None, typer.Option("--errors", help="Where to save the lines left out, as CSV")] = None,
    as_json: AsJson = False,
) -> None:
    """Take in the vehicles of a file, and wait until that is done. Done again, it changes nothing."""
    api = open_api(context, url, token)
    arrivals = Arrivals(api, sleep=sleep_of(context))
    answer = Answer(as_json)
    begun = arrivals.send(file, is_dry_run=dry_run)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=answer.progress(), transient=True) as bar:
        task = bar.add_task(file.name, total=None)
        done = arrivals.follow(begun["id"], progress=lambda here, total: bar.update(task, completed=here, total=total))
    if errors is not None:
        arrivals.save_problems(done["id"], errors)
    refused = done["counts"]["refused"]
    if not as_json or not (refused or done["state"] == "failed"):
        # With --json the refusal below is the one document, and carries what was done.
        answer.say(_told(done), done)
    if done["state"] == "failed":
        raise PublisherError(done["failed_reason"], code="import.failed", details={"import": done})
    if refused:
        few = list(islice(api.rows(f"/imports/{done['id']}/problems"), _SHOWN))
        lines = "".join(f"\n  line {one['line']}: {one['code']}: {one['value']!r}: {one['rule']}" for one in few)
        told = {"import": done, "problems": few}
        raise LinesLeftOutError(f"{refused} lines were left out.{lines}", details=told)


@app.command("imports")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the files that were taken in, newest first."""
    rows = open_api(context, url, token).rows("/imports")
    Answer(as_json).rows(("id", "filename", "state", "is_dry_run", "created_by", "created_at", "finished_at"), rows)


def _told(done: Any) -> str:
    counts = {name: count for name, count in done["counts"].items() if name not in ("lines", "refused")}
    changed = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items() if count)
    would = "would change" if done["is_dry_run"] else "changed"
    return f"{done['counts']['lines']} lines {would} {changed or 'nothing'}."
