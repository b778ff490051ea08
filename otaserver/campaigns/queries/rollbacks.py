"""What a roll-back has yet to bring back, and of which vehicles nobody knows."""

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.queries.bundles import release_view
from otaserver.campaigns.rules.failures import NOT_SWITCHED
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Ecu, Vehicle


def bad_digests(rollback: Campaign) -> set[str]:
    """Return the SHA-256 digests of the packages that only the release taken back has."""
    first = rollback.rolls_back
    if first is None:
        return set()
    good = {package.sha256 for package in release_view(rollback.release).packages.values()}
    return {package.sha256 for package in release_view(first.release).packages.values()} - good


def carriers(rollback: Campaign) -> QuerySet[Vehicle]:
    """Return the vehicles of the first campaign that last confirmed a package which is to be taken back.

    Whatever became of their assignments there: soaking, succeeded and failed ones too.
    """
    own = Assignment.objects.filter(vehicle=OuterRef("pk"), campaign=rollback.rolls_back_id)
    bad = Ecu.objects.filter(vehicle=OuterRef("pk"), installed_sha256__in=bad_digests(rollback))
    return Vehicle.objects.filter(Exists(bad), Exists(own))


def left_behind(rollback: Campaign) -> QuerySet[Vehicle]:
    """Return the carriers that the roll-back has not brought back: they run what it takes back."""
    back = Assignment.objects.filter(vehicle=OuterRef("pk"), campaign=rollback, state=AssignmentState.SUCCEEDED)
    return carriers(rollback).filter(~Exists(back))


def unknown(rollback: Campaign) -> QuerySet[Assignment]:
    """Return the first campaign's assignments whose vehicles fell silent while installing, and have not proved since
    what they run."""
    fell_silent = Q(state=AssignmentState.FAILED, code__in=["silent", NOT_SWITCHED]) | Q(
        state=AssignmentState.LAPSED, installing_at__isnull=False
    )
    proved_nothing = Q(vehicle__confirmed_at=None) | Q(vehicle__confirmed_at__lte=F("settled_at"))
    return Assignment.objects.filter(fell_silent, proved_nothing, campaign=rollback.rolls_back_id)
