from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from otaserver.campaigns.models import Assignment, Campaign, Decision, Report, Wave
from otaserver.campaigns.rules.failures import VERIFICATION_FAILED
from otaserver.campaigns.rules.limits import Limits
from otaserver.campaigns.states import IN_FLIGHT_STATES, SETTLED_STATES, AssignmentState


@dataclass(frozen=True)
class Progress:
    """How many vehicles stand where: in the whole campaign, and by the number of their wave (None: no turn yet)."""

    by_state: dict[str, int]
    by_wave: dict[int | None, dict[str, int]]

    @property
    def total(self) -> int:
        """Return how many vehicles take part; excluded ones do not."""
        return sum(n for state, n in self.by_state.items() if state != AssignmentState.EXCLUDED)

    @property
    def in_flight(self) -> int:
        """Return how many were offered the release and have no outcome yet, the soaking ones included."""
        return sum(self.by_state.get(state, 0) for state in IN_FLIGHT_STATES)

    @property
    def settled(self) -> int:
        return sum(self.by_state.get(state, 0) for state in SETTLED_STATES)


def progress(campaign: Campaign) -> Progress:
    """Count a campaign's vehicles by wave and state, in one query."""
    return progress_of([campaign.pk])[campaign.pk]


def progress_of(campaigns: Collection[int]) -> Mapping[int, Progress]:
    """Count the vehicles of several campaigns, by their ids, in one query."""
    found: dict[int, Progress] = {pk: Progress({}, {}) for pk in campaigns}
    rows = Assignment.objects.filter(campaign__in=campaigns).order_by()
    for pk, number, state, count in rows.values_list("campaign", "wave__number", "state").annotate(count=Count("pk")):
        by_wave, by_state = found[pk].by_wave, found[pk].by_state
        by_wave.setdefault(number, {})[state] = count
        by_state[state] = by_state.get(state, 0) + count
    return found


def wave_counts(wave: Wave) -> dict[str, int]:
    """Count a wave's vehicles by state, in one query."""
    return dict(wave.assignments.order_by().values_list("state").annotate(count=Count("pk")))


def failures_by_code(campaign: Campaign) -> dict[str, int]:
    """Count the failed vehicles by code, those left out that a person answered for by resuming the campaign."""
    return dict(_failed(campaign).values_list("code").annotate(count=Count("pk")))


def exceeds(campaign: Campaign, allowed: Limits) -> bool:
    """Return whether the failures break a limit (`rules.limits`), without counting further than each allows."""
    failed = _failed(campaign)
    unverified = failed.filter(code=VERIFICATION_FAILED)
    return (
        (bool(allowed.halt_codes) and failed.filter(code__in=allowed.halt_codes).exists())
        or (bool(allowed.halt_codes) and _reported(campaign, allowed.halt_codes).exists())
        or _has_more_than(unverified, allowed.max_verification_failed)
        or (allowed.max_failed is not None and _has_more_than(failed, allowed.max_failed))
    )


def _failed(campaign: Campaign) -> QuerySet[Assignment]:
    since = Q() if campaign.judged_from is None else Q(settled_at__gt=campaign.judged_from)
    return campaign.assignments.filter(since, state=AssignmentState.FAILED).order_by()


def _has_more_than(rows: QuerySet[Assignment], limit: int) -> bool:
    return rows[: limit + 1].count() > limit


def reporters_by_code(campaign: Campaign, codes: Collection[str]) -> dict[str, int]:
    """Count the vehicles that reported one of these codes, in whatever state and phase, since a person resumed."""
    if not codes:
        return {}
    said = _reported(campaign, codes)
    return dict(said.values_list("code").annotate(count=Count("attempt__vehicle", distinct=True)))


def _reported(campaign: Campaign, codes: Collection[str]) -> QuerySet[Report]:
    since = Q() if campaign.judged_from is None else Q(received_at__gt=campaign.judged_from)
    return Report.objects.filter(
        since,
        code__in=sorted(codes),
        attempt__assignment__campaign=campaign,
    ).order_by()


def decisions(campaign: Campaign) -> QuerySet[Decision]:
    """Return what was decided in a campaign, the newest first, with the wave that each is about."""
    return campaign.decisions.select_related("wave").order_by("-at", "-pk")
