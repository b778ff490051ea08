"""What a simulated day does to PostgreSQL: which index nobody used, what was read without one, how large rows are.

    python -m tests.bench.tables [VEHICLES]

No ratio and no goal, so no part of `make bench`: a report, to be looked at when queries or indexes change. Sequential
scans are made dear, so that small tables say what large ones would: an index that is not used even so serves none of
these queries, and a table that is read whole even so lacks one for some of them.
"""

import argparse
import importlib
import os
import sys

from rich.console import Console

from tests.bench.stage import open_stage

VEHICLES = 300


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tables")
    parser.add_argument("vehicles", nargs="?", type=int, default=VEHICLES)
    count = parser.parse_args().vehicles
    if count < 1:
        parser.error(f"VEHICLES is {count}: at least 1")
    os.environ["OTA_TEST_DATABASE"] = "postgresql"
    os.environ["PGOPTIONS"] = "-c enable_seqscan=off -c jit=off"
    console = Console(width=None if sys.stdout.isatty() else 140)
    with open_stage() as database:
        # Models can be imported once the settings are known.
        day = importlib.import_module("tests.bench.day")
        console.print(f"{database}, {count} vehicles")
        day.live(count)
        for table in day.report(count):
            console.print(table)


if __name__ == "__main__":
    main()
