"""Silence after `installing`: told apart from a vehicle that goes on proving what it ran before."""

from collections.abc import Sequence

from django.db.models import F

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.rules.failures import NOT_SWITCHED
from otaserver.fleet.models import Vehicle

_MESSAGE = "Since the installation began the vehicle has proved other software, and no report said why."


def tell_apart(given_up: Sequence[tuple[int, int]]) -> None:
    """Say of these (assignment, vehicle), failed in silence, which proved other software since they began to install.

    All are asked for a manifest: what they prove outranks the silence.
    """
    if not given_up:
        return
    heard = Assignment.objects.filter(
        pk__in=[assignment for assignment, _ in given_up], vehicle__confirmed_at__gt=F("installing_at")
    )
    pks = list(heard.values_list("pk", flat=True))
    Assignment.objects.filter(pk__in=pks).update(code=NOT_SWITCHED, message=_MESSAGE)
    # Closed by the caller a moment ago: the newest attempt of each.
    Attempt.objects.filter(assignment__in=pks, number=F("vehicle__last_attempt_number")).update(code=NOT_SWITCHED)
    Vehicle.objects.filter(pk__in=[vehicle for _, vehicle in given_up]).update(is_manifest_wanted=True)
