"""The whole suite, as `make test` runs it: everything on SQLite, then all that touches a database on PostgreSQL."""

import os
import random
import subprocess
import sys
import time

NOTHING_COLLECTED = 5


def run(database: str, arguments: list[str], *, seed: str) -> tuple[int, float]:
    """Run pytest on one database and return its exit code and the seconds it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--durations", "10", *arguments]
    # The workers must collect the same tests in the same order, sets included; runs may differ.
    environment = os.environ | {"OTA_TEST_DATABASE": database, "PYTHONHASHSEED": seed}
    # Some hundred processes start here: compiled once is enough.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = subprocess.run(command, env=environment, check=False).returncode
    # Where only some tests were asked for, none of them may touch the database.
    if arguments and code == NOTHING_COLLECTED:
        code = 0
    return code, time.monotonic() - started


def main(arguments: list[str]) -> int:
    seed = os.environ.get("PYTHONHASHSEED") or str(random.randrange(2**32))
    print(f"PYTHONHASHSEED={seed}", flush=True)
    results = {database: run(database, arguments, seed=seed) for database in ("sqlite", "postgresql")}
    for database, (code, seconds) in results.items():
        print(f"{database}: {'passed' if code == 0 else f'FAILED ({code})'} in {seconds:.0f} s")
    return max(code for code, _ in results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
