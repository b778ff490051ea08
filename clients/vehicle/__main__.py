"""`python -m clients.vehicle --config vehicle.toml`: run one vehicle."""

import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.vehicle.agent import Agent
from clients.vehicle.config import VehicleConfig, load_config
from clients.vehicle.disk import Disk, read_json
from clients.vehicle.errors import ConfigError
from clients.vehicle.hooks import ExecutableHooks
from clients.vehicle.logs import set_up_logging
from clients.vehicle.slots import Slots

app = typer.Typer(add_completion=False, help="The reference vehicle client.")
ConfigOption = Annotated[Path, typer.Option("--config", help="The vehicle's TOML file.")]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: ConfigOption = Path("vehicle.toml"),
    once: Annotated[bool, typer.Option("--once", help="Run one cycle; exit 0 unless it ended early.")] = False,
    json_logs: Annotated[bool, typer.Option("--json", help="Log one JSON object a line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose")] = False,
) -> None:
    """Poll, verify, install and report, until stopped."""
    if context.invoked_subcommand:
        context.obj = config
        return
    set_up_logging(is_json=json_logs, is_verbose=verbose)
    vehicle, hooks = _load(config)
    with _alone(vehicle.state_dir):
        try:
            agent = Agent(vehicle, hooks=_make_hooks(hooks, config.parent))
        except ConfigError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from error
        try:
            if not once:
                agent.run_forever()
            result = agent.run_once()
        except KeyboardInterrupt:
            raise typer.Exit(0) from None
        finally:
            agent.close()
    typer.echo(f"{result.status} {result.detail}".strip())
    raise typer.Exit(1 if result.status in ("not_now", "never") else 0)


@app.command()
def status(context: typer.Context) -> None:
    """Print what runs on each ECU, and what is going on, as JSON."""
    vehicle, _ = _load(context.obj)
    typer.echo(json.dumps(describe(vehicle), indent=1))


def describe(config: VehicleConfig) -> dict[str, Any]:
    """Return the vehicle's state as its disk holds it; writes nothing."""
    record = read_json(config.state_dir / "commit.json") or {"slots": dict.fromkeys(config.hardware, "a")}
    journal = read_json(config.state_dir / "journal.json")
    memory = read_json(config.state_dir / "state.json") or {}
    ecus = {}
    for serial, slot in record["slots"].items():
        image = Slots(config.state_dir / "ecus" / serial, Disk()).image(slot)
        ecus[serial] = {
            "slot": slot,
            "target": image.target_name if image else "unknown",
            "sha256": image.sha256 if image else "",
            "release_counter": record.get("counters", {}).get(serial, 0),
        }
    return {
        "vehicle_id": config.vehicle_id,
        "is_enrolled": (config.state_dir / "credentials.json").exists(),
        "state": record.get("state", "committed"),
        "ecus": ecus,
        "order": journal and {"release": journal["order"]["release"], "step": journal["step"], "held": journal["held"]},
        "verified_at": memory.get("verified_at", ""),
        "last_refusal": memory.get("refusal", ""),
    }


def _load(path: Path) -> tuple[VehicleConfig, dict[str, Any]]:
    try:
        config, hooks = load_config(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    return config, dict(hooks)


def _make_hooks(table: dict[str, Any], folder: Path) -> ExecutableHooks:
    timeout_seconds = float(table.pop("timeout_seconds", 300.0))
    return ExecutableHooks({name: folder / path for name, path in table.items()}, timeout_seconds=timeout_seconds)


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock: two clients on one vehicle would undo each other's steps."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            typer.echo(f"another client runs on {state_dir}.", err=True)
            raise typer.Exit(2) from None
        yield


if __name__ == "__main__":
    sys.exit(app())
