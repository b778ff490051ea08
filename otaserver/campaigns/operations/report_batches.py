"""Reports of requests that come at the same time, stored together: one transaction, one read, one INSERT for all.

Of the threads of a process that bring reports, one stores those of all, and each answers when that was committed: what
was answered is stored, whatever ends the process. Nobody waits for a batch to fill. While one is being stored the next
gathers, so that the more there is to do the larger they are.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection

from otaserver.campaigns.operations.reports import record_reports
from otaserver.campaigns.operations.told import Told
from otaserver.errors import OtaError

# So that no request waits for a thousand others.
MAX_BATCH = 500
Refusals = list[OtaError | None]


@dataclass
class _Ticket:
    """The reports of one request. `is_called` is set when they are done, or when its thread has to store the next."""

    told: Sequence[Told]
    refusals: Refusals | None = None
    failure: BaseException | None = None
    is_called: threading.Event = field(default_factory=threading.Event)

    @property
    def is_done(self) -> bool:
        return self.refusals is not None or self.failure is not None


_lock = threading.Lock()
_waiting: list[_Ticket] = []
_is_storing = False


def record_together(told: Sequence[Told]) -> Refusals:
    """Record reports as `record_reports` does, with those of other requests; return when they are committed.

    The reports of one request are stored in their order; one that cannot be recorded with others is recorded alone.
    In a transaction of the caller's nothing is shared: nobody else could see, or keep, what it does.

    Raises:
        DatabaseError: none of these reports can be relied on to be stored.
    """
    if connection.in_atomic_block:
        return _recorded(told)
    ticket = _Ticket(told)
    if not _enter(ticket):
        ticket.is_called.wait()
    if not ticket.is_done:
        _store_next()
    if ticket.failure is not None:
        raise ticket.failure
    return ticket.refusals or []


def record_alone(told: Told) -> None:
    """Record the one report of a request, with those of others.

    Raises:
        OtaError: it is refused, as by `record_report`.
    """
    (refusal,) = record_together([told])
    if refusal is not None:
        raise refusal


def _enter(ticket: _Ticket) -> bool:
    """Queue, and return whether nobody is storing, so that this thread has to."""
    global _is_storing
    with _lock:
        _waiting.append(ticket)
        is_first, _is_storing = not _is_storing, True
    return is_first


def _store_next() -> None:
    """Store what waits, and call whoever has to store what has come meanwhile."""
    global _is_storing
    batch = _taken()
    try:
        _store(batch)
    finally:
        for ticket in batch:
            ticket.is_called.set()
        with _lock:
            _is_storing = bool(_waiting)
            if _waiting:
                _waiting[0].is_called.set()


def _taken() -> list[_Ticket]:
    """Take from the front, where the caller's own ticket is: as many reports as fit, and one request's in any case."""
    with _lock:
        count = size = 0
        for ticket in _waiting:
            if count and size + len(ticket.told) > MAX_BATCH:
                break
            count, size = count + 1, size + len(ticket.told)
        batch = _waiting[:count]
        del _waiting[:count]
    return batch


def _store(batch: Sequence[_Ticket]) -> None:
    try:
        refusals = record_reports([one for ticket in batch for one in ticket.told])
    # Whatever it is, it must be told to each of those who wait; and what one has brought must not cost the others.
    except BaseException as error:
        _store_each(batch, error)
        return
    for ticket in batch:
        ticket.refusals, refusals = refusals[: len(ticket.told)], refusals[len(ticket.told) :]


def _store_each(batch: Sequence[_Ticket], error: BaseException) -> None:
    for ticket in batch:
        try:
            if not isinstance(error, Exception):
                raise error
            ticket.refusals = _recorded(ticket.told)
        except BaseException as failure:
            ticket.failure = failure


def _recorded(told: Sequence[Told]) -> Refusals:
    """Record the reports of one request, each alone where they cannot be recorded together."""
    try:
        return record_reports(told)
    except OtaError as error:
        return [error] if len(told) == 1 else [refusal for one in told for refusal in _recorded([one])]
