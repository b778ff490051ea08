"""Which releases a fleet runs: now, by what vehicles proved, and before, by going back through what campaigns did."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet

from firmware_store.models import Release, ReleaseItem
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.queries import courses
from otaserver.campaigns.states import AssignmentState, ReportOutcome
from otaserver.fleet.models import Configuration, Vehicle
from otaserver.tenants.models import Tenant

LONGEST = timedelta(days=28)
# Neither of these is a release: nothing was proved yet, or a mix that no release is.
NOTHING = 0


@dataclass(frozen=True)
class FleetMoment:
    """How many vehicles ran which release at a time, by the release's id; NOTHING for all others."""

    at: datetime
    vehicles: Mapping[int, int]


@dataclass(frozen=True)
class FleetReleases:
    """The fleet now and in equal steps before; `releases` are those that occur, the newest first."""

    releases: Sequence[Release]
    moments: Sequence[FleetMoment]

    @property
    def now(self) -> Mapping[int, int]:
        return self.moments[-1].vehicles


def fleet_releases(tenants: Collection[Tenant], *, at: datetime, steps: int = 28) -> FleetReleases:
    """Return the enrolled vehicles by release, now and at equal steps before, in seven queries.

    What came to vehicles by other ways than campaigns is known for now alone, and taken to have been so before.
    """
    rows = Vehicle.objects.filter(tenant__in=tenants, enrolled_at__isnull=False, decommissioned_at=None).order_by()
    by_configuration = dict(rows.values_list("configuration").annotate(count=Count("pk")))
    span = min(LONGEST, max((at - each.created_at for each in tenants), default=LONGEST))
    trunc, grain = courses.grain_of(span)
    width = grain * max(1, -(-span // (grain * steps)))
    parts = Assignment.objects.filter(campaign__tenant__in=tenants).order_by()
    settled = parts.filter(settled_at__gt=at - width * steps)
    came = Attempt.objects.filter(assignment=OuterRef("pk"), outcome=ReportOutcome.SUCCESS)
    # What soaks runs already, and so did what other software overtook in its soak: without these their vehicles would
    # have run the release before it was there.
    moved = [
        *_counted(settled.filter(state=AssignmentState.SUCCEEDED), trunc("settled_at")),
        *_counted(settled.filter(Exists(came), state=AssignmentState.SUPERSEDED), trunc("settled_at")),
        *_counted(
            parts.filter(state=AssignmentState.SOAKING, installing_at__gt=at - width * steps), trunc("installing_at")
        ),
    ]
    known = {pk for pk in by_configuration if pk} | {before for _, _, before, _ in moved if before}
    release_of = _releases_of(tenants, known)
    now: Counter[int] = Counter()
    for configuration, count in by_configuration.items():
        now[release_of.get(configuration or 0, NOTHING)] += count
    moves = [(moment, release, release_of.get(before or 0, NOTHING), count) for moment, release, before, count in moved]
    moments = list(_backwards(now, moves, at=at, width=width, steps=steps))[::-1]
    seen = {release for moment in moments for release, count in moment.vehicles.items() if count and release != NOTHING}
    return FleetReleases(list(Release.objects.filter(pk__in=seen).order_by("-created_at", "-pk")), moments)


def _counted(parts: "QuerySet[Assignment]", moment: Any) -> Sequence[tuple[datetime, int, int | None, int]]:
    """Return to which release and from what vehicles went when, and how many."""
    rows = parts.annotate(moment=moment).values_list("moment", "campaign__release", "configuration")
    return list(rows.annotate(count=Count("pk")))


def _backwards(
    now: Mapping[int, int],
    moves: Iterable[tuple[datetime, int, int, int]],
    *,
    at: datetime,
    width: timedelta,
    steps: int,
) -> Iterable[FleetMoment]:
    left = sorted(moves, key=lambda move: move[0])
    counts = Counter(now)
    for step in range(steps):
        moment = at - width * step
        while left and left[-1][0] > moment:
            _, release, before, count = left.pop()
            counts[release] -= count
            counts[before] += count
        yield FleetMoment(moment, {release: count for release, count in counts.items() if count > 0})


def _releases_of(tenants: Collection[Tenant], configurations: Collection[int]) -> Mapping[int, int]:
    """Return which release each configuration is: the newest whose packages run on every ECU that they fit."""
    rows = ReleaseItem.objects.filter(release__tenant__in=tenants, release__published_at__isnull=False)
    wanted: dict[int, dict[str, set[str]]] = {}
    for release, hardware_ids, sha256 in rows.values_list("release", "package__hardware_ids", "package__sha256"):
        for hardware_id in hardware_ids:
            wanted.setdefault(release, {}).setdefault(hardware_id, set()).add(sha256)
    newest_first = sorted(wanted.items(), reverse=True)
    found: dict[int, int] = {}
    for pk, ecus in Configuration.objects.filter(pk__in=configurations).values_list("pk", "ecus"):
        found[pk] = next((release for release, packages in newest_first if _runs(ecus, packages)), NOTHING)
    return found


def _runs(ecus: Sequence[Sequence[str]], packages: Mapping[str, set[str]]) -> bool:
    fitting = [(hardware_id, sha256) for hardware_id, _, sha256 in ecus if hardware_id in packages]
    return bool(fitting) and all(sha256 in packages[hardware_id] for hardware_id, sha256 in fitting)
