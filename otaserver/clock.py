"""The one seam through which time enters. Read it at an edge (view, task, command) and pass it down as `at=`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(tz=UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """Return the current time in UTC, from the system clock or the virtual clock in use."""
    return _source()


@contextmanager
def using(source: Callable[[], datetime]) -> Iterator[None]:
    """Read time from `source` inside the block, in every thread of this process."""
    global _source
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous
