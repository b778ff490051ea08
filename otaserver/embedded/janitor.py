"""Ends the server's processes when the one that started them is gone, even by SIGKILL.

It reads lines from a pipe that only the supervisor holds the other end of: `+pid` for a process group that was started,
`-pid` for one that has ended. The end of the input is the end of the supervisor, however it came.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 5.0


def follow(lines: Iterable[str]) -> set[int]:
    """Return the process groups that still run when `lines` end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def end_groups(groups: Iterable[int], *, grace_seconds: float) -> None:
    """Ask the process groups to end, wait, and kill what is left of them."""
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(is_alive(group) for group in groups):
        time.sleep(0.05)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def is_alive(group: int) -> bool:
    """Return whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    end_groups(follow(sys.stdin), grace_seconds=GRACE_SECONDS)
