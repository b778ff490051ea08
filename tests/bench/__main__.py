"""`make bench`: every bench, or those named, each in a process and on a database of its own."""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console

from tests.bench import reporting
from tests.bench.measuring import PAIRS
from tests.bench.stage import run
from tests.processes import ROOT

# Each is a module beside this one, with `measure(pairs) -> list[Figure]`; the one that takes a quarter of an hour last.
BENCHES = ("poll", "growth", "orders", "metadata", "reports", "campaigns", "filters", "downloads", "arrival")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all where none is given")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"how often both sides run (default {PAIRS})")
    parser.add_argument("--save", type=Path, default=ROOT / "var" / "bench.json", help="the file for the figures")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown or arguments.pairs < 1:
        parser.error(f"there is no bench {', '.join(unknown)}" if unknown else "at least one pair")
    # Into a file or a log, wide enough for a row in a line.
    console = Console(width=None if sys.stdout.isatty() else 110)
    load_before = os.getloadavg()[0]
    figures, databases = [], []
    # A fresh process for each: what one bench leaves in memory or in the database slows no other.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for name in arguments.names or BENCHES:
            started = time.monotonic()
            with console.status(f"{name} …"):
                found, database = pool.submit(run, name, arguments.pairs).result()
            console.print(f"{name}: {time.monotonic() - started:.0f} s", highlight=False)
            figures += found
            databases.append(database)
            # Of an hour's work nothing is lost that was done.
            reporting.save(figures, arguments.save)
    reporting.show(console, figures, databases=databases, load_before=load_before)


if __name__ == "__main__":
    main()
