"""How figures are told: a table on the terminal, and `var/bench.json` for programs."""

import json
import os
import platform
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.measuring import PAIRS, Figure

_PACKAGES = ("Django", "granian", "psycopg", "tuf")


def show(console: Console, figures: Sequence[Figure], *, databases: Iterable[str], load_before: float) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Ratio to a bare baseline run in alternation")
    table.add_column("bench", no_wrap=True)
    table.add_column("case")
    for name in ("median", "min", "max", "pairs", "goal", "met"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        ratios = (figure.ratio_median, figure.ratio_min, figure.ratio_max)
        goal = "-" if figure.goal is None else f"{figure.goal:g}"
        met = {None: "-", True: "yes", False: "no"}[figure.met]
        table.add_row(figure.bench, figure.case, *[f"{ratio:.3g}" for ratio in ratios], str(figure.pairs), goal, met)
    console.print(table)
    console.print(environment(databases, load_before=load_before), highlight=False)
    if any(figure.pairs < PAIRS for figure in figures):
        console.print(f"Fewer than {PAIRS} pairs: good for trying, not for quoting.")


def environment(databases: Iterable[str], *, load_before: float) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}, {', '.join(sorted(set(databases)))}; "
        f"load average before {load_before:.1f}"
    )


def why_unwritable(path: Path) -> str:
    """Return what keeps figures from being saved there, before they are measured; "" where nothing does."""
    if path.is_dir():
        return "it is a folder"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def save(figures: Iterable[Figure], path: Path) -> None:
    """Write the rows of this run over those of the last."""
    rounded = [
        {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asdict(figure).items()}
        for figure in figures
    ]
    path.write_text(json.dumps(rounded, indent=1) + "\n")
