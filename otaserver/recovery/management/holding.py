"""That no server runs while its database is replaced or raised."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from otaserver.embedded import exclusive
from otaserver.recovery import databases


@contextmanager
def nothing_else_runs() -> Iterator[None]:
    """Hold the embedded server's folder; of a database of its own, look that nobody is connected and it can be written.

    Raises:
        CannotServeError, ServerRunningError, StandbyError, ToolFailedError: something else runs, or it cannot be told.
    """
    if settings.IS_PRODUCTION:
        databases.require_alone(settings.DATABASES["default"])
        yield
    else:
        with exclusive.only_one(settings.VAR_DIR, port=settings.PORT):
            yield
