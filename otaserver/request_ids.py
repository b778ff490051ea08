"""The id of each request: what it came with, if it may be one, or a new one."""

import itertools
import os
import re
import secrets

HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
# Ids are no secrets: a number after what is random once, where a random one each time would have threads wait.
_process = secrets.token_hex(10)
_numbers = itertools.count()


def request_id(given: str | None) -> str:
    """Return the id that was given, if it may be one, or a new one."""
    return given if given and _ID.match(given) else f"{_process}{next(_numbers):012x}"


def _begin_process() -> None:
    global _process
    _process = secrets.token_hex(10)


# Each of the web processes that are made of one has ids of its own.
os.register_at_fork(after_in_child=_begin_process)
