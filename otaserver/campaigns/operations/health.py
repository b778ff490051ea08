"""The health half of the waist: named numbers that a vehicle reports in its soak, or while it is held out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists

from firmware_store.models import ReleaseSignal
from otaserver.campaigns.errors import SignalRefusedError
from otaserver.campaigns.models import Assignment, HealthReading, SignalState
from otaserver.campaigns.queries import signals as queries
from otaserver.campaigns.rules import signals
from otaserver.fleet.models import Vehicle

AN_HOUR = timedelta(hours=1)


@transaction.atomic
def record_health(vehicle: Vehicle, reported: Mapping[str, float], *, at: datetime) -> list[str]:
    """Store a vehicle's readings of the signals that a release states, and return the names of those.

    Others are ignored: a vehicle may say more than it was asked. So is everything while nothing is asked. Of each
    signal one reading an hour is stored, and the first above the limit.

    Raises:
        SignalRefusedError: a name is out of its form or a value is not finite; nothing is stored.
    """
    for name, value in reported.items():
        problem = signals.problem(name, value)
        if problem is not None:
            raise SignalRefusedError(problem, signal=name[:80])
    taken: set[str] = set()
    for assignment in queries.telling(vehicle).order_by("pk"):
        states = SignalState.objects.filter(campaign=assignment.campaign_id, signal__name__in=list(reported))
        asked = [state.signal for state in states.select_related("signal").order_by("signal__name")]
        _store(assignment, asked, reported, at=at)
        taken |= {signal.name for signal in asked}
    return sorted(taken)


def wanted_of(vehicle: Vehicle) -> list[str]:
    """Return the names of the signals that a vehicle is to be asked for now; one that need not be is left alone."""
    if not vehicle.is_health_wanted:
        return []
    names = queries.wanted_of(vehicle)
    if not names:
        # In one statement, so that a soak that begins just now is not forgotten.
        done = Vehicle.objects.filter(~Exists(queries.telling(vehicle)), pk=vehicle.pk)
        done.update(is_health_wanted=False)
    return names


def _store(assignment: Assignment, asked: list[ReleaseSignal], reported: Mapping[str, float], *, at: datetime) -> None:
    recent: dict[str, list[float]] = {}
    for name, value in assignment.readings.filter(at__gt=at - AN_HOUR).values_list("name", "value"):
        recent.setdefault(name, []).append(value)
    HealthReading.objects.bulk_create(
        HealthReading(assignment=assignment, name=signal.name, value=reported[signal.name], at=at)
        for signal in asked
        if signals.is_kept(reported[signal.name], signal.limit, recent=recent.get(signal.name, []))
    )
