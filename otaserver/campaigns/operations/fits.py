"""Judging a group before there is a campaign: who would take part, and why others would not.

A page must not wait for a million vehicles. What is small is judged at once; the rest a worker counts for whoever
asks, and the last count is shown with its time until there is another.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from firmware_store.models import Release
from otaserver.campaigns.fit_models import GroupFit
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import checks, kinds, starts
from otaserver.campaigns.states import Verdict
from otaserver.errors import OtaError
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Group, Membership, Vehicle
from otaserver.fleet.states import GroupKind

# So many vehicles are judged in about 30 ms.
AT_ONCE = 10_000
FRESH_FOR = timedelta(minutes=1)
# How long after somebody last asked it is worth a count.
WANTED_FOR = timedelta(minutes=5)
# Longer than it takes for the largest fleet: then whoever began it is taken to be dead.
LEASE = timedelta(minutes=5)
_KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Fit:
    """How many vehicles of a group have each verdict for a release."""

    verdicts: Mapping[str, int]

    @property
    def fitting(self) -> int:
        return self.verdicts.get(Verdict.FITS, 0)

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())


@dataclass(frozen=True)
class CountedFit:
    """What was counted, and when. Where it is old, it is being counted again."""

    fit: Fit
    counted_at: datetime
    is_old: bool = False


def judge_group(release: Release, group: Group, *, at: datetime) -> Fit:
    """Return the verdict of each vehicle of a group on a release, counted, as a campaign's start would judge them now.

    Nothing is stored.

    Raises:
        ReleaseNotPublishedError: see `checks`.
    """
    view = checks.require_published(release)
    probe = Campaign(tenant=group.tenant, release=release, group=group)
    found: Counter[str] = Counter()
    for (verdict, _), count in kinds.tally(probe, view, starts.targets(probe), at=at).items():
        found[str(verdict)] += count
    return Fit(dict(found))


def count_fitting(campaign: Campaign, *, at: datetime) -> int:
    """Return how many vehicles would take part if a campaign that has not started started now. Nothing is stored.

    Raises:
        ReleaseNotPublishedError: see `checks`.
    """
    view = checks.require_published(campaign.release)
    return starts.fitting_now(campaign, view, at=at).updated


def ask_fit(release: Release, group: Group, *, at: datetime) -> CountedFit | None:
    """Return at once what is known of `judge_group`; None: it is being counted, and to be asked for again.

    Raises:
        ReleaseNotPublishedError: see `checks`.
        FilterRefusedError: the group's filter cannot be answered any more.
    """
    checks.require_published(release)
    # It is refused here rather than in a worker that has nobody to tell.
    fleet.vehicles_in(group)
    if _is_small(group):
        return CountedFit(judge_group(release, group, at=at), at)
    row, _ = GroupFit.objects.get_or_create(release=release, group=group, defaults={"asked_at": at})
    known = None
    if row.counted_at is not None and row.filter == group.filter:
        known = CountedFit(Fit(row.verdicts), row.counted_at, is_old=row.counted_at <= at - FRESH_FOR)
    if known is None or known.is_old:
        GroupFit.objects.filter(pk=row.pk).update(asked_at=at)
    return known


def fits_due(at: datetime) -> QuerySet[GroupFit]:
    """Return what somebody wants counted now; none that is fresh, or that somebody counts already."""
    is_old = Q(counted_at=None) | Q(counted_at__lte=at - FRESH_FOR) | ~Q(filter=F("group__filter"))
    return GroupFit.objects.filter(is_old, _is_free(at), asked_at__gt=at - WANTED_FOR).order_by("asked_at")


def count_fit(fit_id: int, *, at: datetime) -> bool:
    """Count anew what was asked for, and keep that; return whether it was. Repeating is harmless."""
    row = fits_due(at).filter(pk=fit_id).select_related("release", "group__tenant").first()
    if row is None or not GroupFit.objects.filter(_is_free(at), pk=fit_id).update(begun_at=at):
        return False
    try:
        found = judge_group(row.release, row.group, at=at)
    except OtaError:
        # Whoever asks again is told why.
        row.delete()
        return False
    counted = {"filter": row.group.filter, "verdicts": dict(found.verdicts), "counted_at": at, "begun_at": None}
    return bool(GroupFit.objects.filter(pk=fit_id, begun_at=at).update(**counted))


def forget_fits(at: datetime) -> None:
    """Delete the counts that nobody has asked for in a day."""
    GroupFit.objects.filter(asked_at__lte=at - _KEPT_FOR).delete()


def _is_free(at: datetime) -> Q:
    return Q(begun_at=None) | Q(begun_at__lte=at - LEASE)


def _is_small(group: Group) -> bool:
    # A filter may have to go through all vehicles of the tenant, however few match.
    rows: QuerySet[Membership] | QuerySet[Vehicle] = (
        Vehicle.objects.of(group.tenant) if group.kind == GroupKind.DYNAMIC else Membership.objects.filter(group=group)
    )
    return rows.order_by().values("pk")[: AT_ONCE + 1].count() <= AT_ONCE
