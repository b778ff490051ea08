"""The one seam through which time enters. Read it at an edge (view, task, command) and pass it down as `at=`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(tz=UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """Return the current time in UTC, from the system clock or the virtual clock in use."""
    return _source()


def timestamp() -> float:
    """Return the same in seconds since 1970, for whoever asks with every poll: by way of `now` it takes longer."""
    return time.time() if _source is _system_time else _source().timestamp()


@contextmanager
def using(source: Callable[[], datetime]) -> Iterator[None]:
    """Read time from `source` inside the block, in every thread of this process."""
    global _source
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous
