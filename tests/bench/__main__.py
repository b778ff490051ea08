"""`make bench`: every bench, or those named, each in a process and on a database of its own."""

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console

from tests.bench import reporting
from tests.bench.measuring import FLEET, PAIRS, Figure
from tests.bench.stage import run
from tests.processes import ROOT

# Each is a module beside this one, with `measure(pairs) -> list[Figure]`; the one that takes a quarter of an hour last.
BENCHES = ("poll", "growth", "orders", "metadata", "reports", "campaigns", "filters", "downloads", "arrival")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        epilog=f"In the environment: OTA_TEST_DATABASE=postgresql for another database than SQLite; {FLEET} for "
        "another size of fleet. What goes through nginx wants it installed.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all where none is given")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"how often both sides run (default {PAIRS})")
    parser.add_argument("--save", type=Path, default=ROOT / "var" / "bench.json", help="the file for the figures")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no bench {', '.join(unknown)}, but {', '.join(BENCHES)}")
    if arguments.pairs < 1:
        parser.error(f"--pairs is {arguments.pairs}: at least 1")
    refusal = reporting.why_unwritable(arguments.save)
    if refusal:
        parser.error(f"--save {arguments.save} cannot be written: {refusal}")
    # Into a file or a log, wide enough for a row in a line.
    console = Console(width=None if sys.stdout.isatty() else 110)
    load_before = os.getloadavg()[0]
    figures, databases, failed = [], [], []
    for name in arguments.names or BENCHES:
        started = time.monotonic()
        try:
            with console.status(f"{name} …"):
                found, database = run_apart(name, arguments.pairs)
        # All of them take an hour: what one lacks costs the figures of no other.
        except (Exception, SystemExit) as error:
            failed.append(name)
            if not isinstance(error, SystemExit):
                traceback.print_exception(error)
            console.print(f"{name}: failed: {error}", style="red", markup=False, highlight=False)
            continue
        # Some are about PostgreSQL alone.
        said = "" if found else f"; there are no figures on {database}: OTA_TEST_DATABASE=postgresql has them"
        console.print(f"{name}: {time.monotonic() - started:.0f} s{said}", highlight=False)
        figures += found
        databases.append(database)
        reporting.save(figures, arguments.save)
    if figures:
        reporting.show(console, figures, databases=databases, load_before=load_before)
    if failed:
        sys.exit(f"There are no figures of {', '.join(failed)}.")


def run_apart(name: str, pairs: int) -> tuple[list[Figure], str]:
    """Run a bench in a fresh process: what one leaves in memory or in the database slows no other."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, name, pairs).result()


if __name__ == "__main__":
    main()
