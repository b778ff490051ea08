"""The whole suite, as `make test` runs it: everything on SQLite, then all that touches a database on PostgreSQL."""

import os
import subprocess
import sys
import time

NOTHING_COLLECTED = 5


def run(database: str, arguments: list[str]) -> tuple[int, float]:
    """Run pytest on one database and return its exit code and the seconds it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", *arguments]
    code = subprocess.run(command, env=os.environ | {"OTA_TEST_DATABASE": database}, check=False).returncode
    # Where only some tests were asked for, none of them may touch the database.
    if arguments and code == NOTHING_COLLECTED:
        code = 0
    return code, time.monotonic() - started


def main(arguments: list[str]) -> int:
    results = {database: run(database, arguments) for database in ("sqlite", "postgresql")}
    for database, (code, seconds) in results.items():
        print(f"{database}: {'passed' if code == 0 else f'FAILED ({code})'} in {seconds:.0f} s")
    return max(code for code, _ in results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
