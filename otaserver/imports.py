"""Imports without what a library takes along although nobody needs it: a server is many processes, and each imports."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let libraries be imported as if the optional `name` were not installed; afterwards it can be imported again."""
    modules: dict[str, Any] = sys.modules
    before = modules.get(name)
    modules[name] = None
    try:
        yield
    finally:
        if before is None:
            del modules[name]
        else:
            modules[name] = before
