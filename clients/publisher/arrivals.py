"""A fleet that moves in: its file sent, followed to the end, and what was left out of it written down."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients.publisher.api import Api
from clients.publisher.errors import InputError
from clients.publisher.files import blocks

POLL_SECONDS = 1.0
KINDS = ("csv", "jsonl")

Progress = Callable[[int, int], None]  # bytes taken in, bytes in all


class Arrivals:
    """Imports of one tenant's vehicles."""

    def __init__(self, api: Api, *, sleep: Callable[[float], None]) -> None:
        self._api = api
        self._sleep = sleep

    def send(self, path: Path, *, is_dry_run: bool) -> Any:
        """Upload a file, whose name ends in .csv or .jsonl, and return the import that begins with it.

        Raises:
            InputError: it cannot be read, or its name says nothing of what is in it.
        """
        kind = path.suffix.lower().removeprefix(".")
        if kind not in KINDS:
            raise InputError(f"{path.name} ends in neither .csv nor .jsonl.", code="import.kind")
        try:
            length = path.stat().st_size
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.", code="file.unreadable") from error
        options = {"filename": path.name, "kind": kind, "dry_run": "true" if is_dry_run else "false"}
        return self._api.send_file("/imports", blocks(path, 0, length), length=length, **options)

    def follow(self, number: int, *, progress: Progress | None = None) -> Any:
        """Wait until an import has ended, and return it as it then is."""
        while True:
            found = self._api.get(f"/imports/{number}")
            if progress is not None:
                progress(found["done_bytes"], found["length"])
            if found["state"] in ("finished", "failed"):
                return found
            self._sleep(POLL_SECONDS)

    def save_problems(self, number: int, path: Path) -> int:
        """Write the lines that were left out to a CSV file, and return how many those are."""
        count = 0
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("line", "code", "value", "rule"))
            writer.writeheader()
            for row in self._api.rows(f"/imports/{number}/problems", limit=1000):
                writer.writerow(row)
                count += 1
        return count
