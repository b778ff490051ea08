"""The suite, as `make test` runs it: everything on SQLite, then all that touches a database on PostgreSQL.

With `--long`, as `make test-long` runs it: the stories that `make test` leaves out since they take minutes. With
anything else, as `python -m tests tests/console` does: just that, whole.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

NOTHING_COLLECTED = 5
# One more than cores: tests of whole servers wait much of their time.
WORKERS = "3"
MEMORY = Path("/dev/shm")
NEEDED_BYTES = 6 * 2**30


def in_memory() -> dict[str, str]:
    """Return the variable that has pytest keep files in memory, where that has room.

    Vehicles write what they know to the disk and wait until it is there, some hundred times a test. No folder of its
    own and nothing else of what is temporary: paths of sockets have at most 107 bytes.
    """
    fits = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > NEEDED_BYTES
    # Hooks of vehicles are programs, and some mounts run none.
    if not fits or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return {}
    return {"PYTEST_DEBUG_TEMPROOT": str(MEMORY)}


def run(database: str, arguments: list[str], *, seed: str) -> tuple[int, float]:
    """Run pytest on one database and return its exit code and the seconds it took."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        WORKERS,
        "--dist",
        "loadgroup",
        "--durations",
        "10",
        *arguments,
    ]
    # The workers must collect the same tests in the same order, sets included; runs may differ.
    environment = in_memory() | os.environ | {"OTA_TEST_DATABASE": database, "PYTHONHASHSEED": seed}
    # Some hundred processes start here: compiled once is enough.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = subprocess.run(command, env=environment, check=False).returncode
    # Where only some tests were asked for, none of them may touch the database.
    if arguments and code == NOTHING_COLLECTED:
        code = 0
    return code, time.monotonic() - started


def main(arguments: list[str]) -> int:
    if not arguments or arguments == ["--long"]:
        arguments = ["-m", "long" if arguments else "not long"]
    seed = os.environ.get("PYTHONHASHSEED") or str(random.randrange(2**32))
    print(f"PYTHONHASHSEED={seed}", flush=True)
    results = {database: run(database, arguments, seed=seed) for database in ("sqlite", "postgresql")}
    for database, (code, seconds) in results.items():
        print(f"{database}: {'passed' if code == 0 else f'FAILED ({code})'} in {seconds:.0f} s")
    return max(code for code, _ in results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
