"""`python -m clients.fleet`: drive a simulated fleet against a running server, or say what its disks hold."""

import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from clients.fleet.plan import FleetPlan, PlanError, load_plan
from clients.fleet.report import read_fleet
from clients.fleet.schedule import RealSchedule
from clients.fleet.simulation import build_fleet

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

PlanFile = Annotated[Path, typer.Argument(help="the fleet's plan, a JSON file")]
Folder = Annotated[Path, typer.Option(help="where the vehicles' disks are")]


@app.command()
def run(
    plan_file: PlanFile,
    folder: Folder,
    url: Annotated[str, typer.Option(help="the server")] = "http://127.0.0.1:8000",
    seconds: Annotated[float, typer.Option(help="end after this time; 0 runs until interrupted")] = 0.0,
    threads: Annotated[int, typer.Option(help="vehicles that may act at the same moment")] = 8,
) -> None:
    """Run the fleet in real time, until the time is over or SIGINT or SIGTERM; then print the report."""
    logging.basicConfig(level=logging.ERROR)
    plan = _load(plan_file)
    fleet = build_fleet(plan, folder=folder, server_url=url, sleep=time.sleep)
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    schedule = RealSchedule(
        [vehicle.take_turn for vehicle in fleet],
        clock=time.monotonic,
        threads=threads,
        spread_seconds=min(plan.polling_seconds, 10.0),
    )
    schedule.start()
    stopped.wait(seconds or None)
    schedule.stop()
    _print_report(plan, folder)


@app.command()
def report(plan_file: PlanFile, folder: Folder) -> None:
    """Print what every vehicle runs, from its disk alone; exit 1 if a disk is unsound."""
    if not _print_report(_load(plan_file), folder):
        raise typer.Exit(1)


def _load(path: Path) -> FleetPlan:
    try:
        return load_plan(path)
    except PlanError as error:
        typer.echo(f"plan.invalid: {error}", err=True)
        raise typer.Exit(2) from error


def _print_report(plan: FleetPlan, folder: Path) -> bool:
    found = read_fleet(folder, plan.releases)
    body = {"vehicles": len(found.vehicles), "by_release": dict(found.by_release), "unsound": list(found.unsound)}
    typer.echo(json.dumps(body, indent=1))
    return not found.unsound


if __name__ == "__main__":
    app()
