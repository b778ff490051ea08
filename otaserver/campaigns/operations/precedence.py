"""Several campaigns, one vehicle: what gives way, what is overtaken, and what waits in vain."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from otaserver.campaigns.models import Assignment, Campaign, Decision
from otaserver.campaigns.operations import assignments, decisions, withholding
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.queries import precedence as queries
from otaserver.campaigns.queries import schedules
from otaserver.campaigns.queries.bundles import release_view
from otaserver.campaigns.rules import precedence
from otaserver.campaigns.rules.failures import NEWER_RELEASE, OUTRANKED, OVERTAKEN
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    IN_FLIGHT_STATES,
    STOPPABLE_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
    Verdict,
    WaveState,
)

_ENDED = [CampaignState.COMPLETED, CampaignState.CANCELLED]
_STILL_STANDS = [CampaignState.RUNNING, CampaignState.PAUSED]


def settle_overtaken(campaign: Campaign, *, among: Collection[int] | None = None, at: datetime) -> list[Decision]:
    """Settle a campaign's vehicles that wait in vain: a newer release goes there, or what they require never will.

    Each is superseded, which counts neither way, with the reason. `among` these assignments, or among all of them,
    which goes through all that wait.
    """
    drafts = []
    waiting = campaign.assignments.filter(state=AssignmentState.WAITING)
    if among is not None:
        waiting = waiting.filter(pk__in=among)
    for newer in _newer(campaign):
        message = f"{newer} brings a newer release of the same packages."
        count = _supersede(waiting.filter(_taken_by(newer)), code=NEWER_RELEASE, message=message, at=at)
        drafts += _say(campaign, count, f"are left to {newer}, which brings a newer release", newer, at=at)
    for required in campaign.requires.filter(state__in=_ENDED).select_related("release").order_by("pk"):
        message = f"It requires {required}, which ended without having succeeded on the vehicle."
        count = _supersede(
            waiting.filter(~queries.meets(required)), code=Verdict.UNMET_DEPENDENCY, message=message, at=at
        )
        drafts += _say(campaign, count, f"lack what {required} should have brought", required, at=at)
    return drafts


def give_back(campaign: Campaign) -> int:
    """Let vehicles wait again that were left to a newer campaign which will not bring its release; return how many.

    It was stopped, or gave the vehicle up. Where it has brought it, or still may, the vehicle stays what it is.
    """
    left = campaign.assignments.filter(state=AssignmentState.SUPERSEDED, code=NEWER_RELEASE)
    if not left.exists():
        return 0
    for newer in _newer(campaign, at_all=True):
        left = left.exclude(_taken_by(newer))
    # One that had no turn before all waves opened has it in the last.
    last = None if campaign.waves.filter(state=WaveState.WAITING).exists() else campaign.waves.order_by("number").last()
    if last is not None:
        left.filter(wave=None).update(wave=last)
    return left.update(state=AssignmentState.WAITING, settled_at=None, code="", message="")


def awaits_newer(campaign: Campaign) -> bool:
    """Return whether vehicles of a campaign are left to a newer one that has not brought its release yet."""
    left = campaign.assignments.filter(state=AssignmentState.SUPERSEDED, code=NEWER_RELEASE)
    if not left.exists():
        return False
    running = [newer for newer in _newer(campaign) if newer.state == CampaignState.RUNNING]
    return any(left.filter(Exists(_theirs(newer).filter(_about_to(newer)))).exists() for newer in running)


def _supersede(waiting: QuerySet[Assignment], *, code: str, message: str, at: datetime) -> int:
    return waiting.update(
        state=AssignmentState.SUPERSEDED, settled_at=at, next_attempt_at=None, code=code, message=message
    )


def _say(campaign: Campaign, count: int, what: str, other: Campaign, *, at: datetime) -> list[Decision]:
    if not count:
        return []
    sentence = f"Superseded: {decisions.vehicles(count)} that {what}."
    return [
        decisions.draft(campaign, "campaign.overtaken", sentence, by=ENGINE, at=at, vehicles=count, other=other.name)
    ]


def _newer(campaign: Campaign, *, at_all: bool = False) -> list[Campaign]:
    """Return the rollouts, of the same class or a higher one, whose release overtakes this campaign's.

    Those that still stand, or were completed since; with `at_all` those too that have been stopped.
    """
    if campaign.kind == CampaignKind.ROLLBACK or campaign.started_at is None:
        return []
    over = Q(state=CampaignState.COMPLETED, started_at__gt=campaign.started_at)
    stopped = Q(state__in=[CampaignState.HALTED, CampaignState.CANCELLED] if at_all else [])
    rivals = Campaign.objects.filter(
        Q(state__in=_STILL_STANDS) | over | stopped,
        tenant=campaign.tenant_id,
        kind=CampaignKind.ROLLOUT,
        priority__lte=campaign.priority,
        started_at__isnull=False,
    ).exclude(release=campaign.release_id)
    own = _counters(campaign)
    return [
        rival
        for rival in rivals.select_related("release").order_by("pk")
        if precedence.is_newer(
            _counters(rival),
            own,
            started_later=queries.contender(rival).started_at > campaign.started_at,
        )
    ]


def _counters(campaign: Campaign) -> Mapping[str, int]:
    return {item.name: item.release_counter for item in release_view(campaign.release).bundle.items}


def _taken_by(newer: Campaign) -> Q:
    """Return the condition that the newer campaign has, or is about to have, brought its release to the vehicle."""
    brought = Q(state__in=[AssignmentState.SOAKING, AssignmentState.SUCCEEDED])
    if newer.state == CampaignState.RUNNING:
        # Its wave is open: without that the vehicle would be left with neither for as long as earlier waves last.
        brought |= _about_to(newer)
    return Q(Exists(_theirs(newer).filter(brought)))


def _theirs(newer: Campaign) -> QuerySet[Assignment]:
    return Assignment.objects.filter(campaign=newer, vehicle=OuterRef("vehicle"))


def _about_to(newer: Campaign) -> Q:
    """Return the condition that its turn has come: it does not wait for what another campaign brings, this one say."""
    in_turn = Q(*queries.requirements_met(newer), state=AssignmentState.WAITING, wave__isnull=False)
    return Q(state__in=ACTIVE_STATES) | in_turn


def clear_the_way(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Withdraw orders of lower classes, not being installed, from vehicles whose turn in this campaign has come.

    Those vehicles wait again in their own campaigns. No more are withdrawn than this campaign has room and pace for,
    and none for an order that the server would keep back itself: the vehicle would have neither.
    """
    lower = Campaign.objects.filter(tenant=campaign.tenant_id, priority__gt=campaign.priority)
    lower = lower.filter(started_at__isnull=False).exclude(state=CampaignState.COMPLETED)
    if not lower.exists():
        return []
    room = _room(campaign, lower, at=at)
    if not room:
        return []
    by_campaign: dict[Campaign, list[Assignment]] = {}
    for assignment in free_for(campaign, list(_standing(campaign, lower, at=at)[:room]), at=at):
        by_campaign.setdefault(assignment.campaign, []).append(assignment)
    for other, found in by_campaign.items():
        message = f"{campaign} goes first: {campaign.get_priority_display().lower()}."
        assignments.withdraw_some(other, found, code=OUTRANKED, message=message, at=at)
    if not by_campaign:
        return []
    count = sum(len(found) for found in by_campaign.values())
    names = sorted(other.name for other in by_campaign)
    sentence = f"Orders of {', '.join(names)} were withdrawn from {decisions.vehicles(count)} to go first."
    return [decisions.draft(campaign, "campaign.overrode", sentence, by=ENGINE, at=at, campaigns=names, vehicles=count)]


def free_for(campaign: Campaign, standing: Sequence[Assignment], *, at: datetime) -> list[Assignment]:
    """Return those of these orders of others whose vehicles this campaign would give its own order now.

    The others' turn in this campaign is put off, with the reason (`withholding`).
    """
    vehicles = {each.vehicle_id: (each.vehicle.protocol, each.vehicle.client) for each in standing}
    waiting = campaign.assignments.filter(vehicle__in=vehicles, state=AssignmentState.WAITING)
    kept = withholding.put_off(campaign, dict(waiting.values_list("vehicle_id", "pk")), vehicles, at=at)
    return [each for each in standing if each.vehicle_id not in kept]


def _room(campaign: Campaign, lower: QuerySet[Campaign], *, at: datetime) -> int:
    """Return for how many vehicles more there is room, those counted that have not heard yet that they are free."""
    allowed = schedules.allowance(campaign, at=at)
    limits = [] if campaign.max_in_flight is None else [campaign.max_in_flight - _in_flight(campaign)]
    limits += [] if allowed.offers is None else [allowed.offers]
    # Of each the whole release: who needs less of it leaves some for the next minute.
    limits += [] if allowed.length is None else [allowed.length // max(release_view(campaign.release).longest_hop, 1)]
    if not limits:
        return assignments.LAPSE_CHUNK
    becoming_free = Assignment.objects.filter(
        state=AssignmentState.WITHDRAWING,
        campaign__in=lower.values("pk"),
        vehicle__in=queries.ready(campaign, at=at).values("vehicle"),
    )
    return max(0, min(assignments.LAPSE_CHUNK, min(limits) - becoming_free.count()))


def _in_flight(campaign: Campaign) -> int:
    return campaign.assignments.filter(state__in=IN_FLIGHT_STATES).count()


def _standing(campaign: Campaign, lower: QuerySet[Campaign], *, at: datetime) -> QuerySet[Assignment]:
    in_turn = queries.ready(campaign, at=at)
    standing = Assignment.objects.filter(
        state__in=STOPPABLE_STATES, campaign__in=lower.values("pk"), vehicle__in=in_turn.values("vehicle")
    )
    # Rows that another worker holds are left to the next tick: this one holds rows of its own campaign already.
    locked = standing.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    return locked.select_related("campaign", "vehicle")


def end_soaks(campaign: Campaign, *, at: datetime) -> None:
    """End other campaigns' soaks on vehicles that have an order of this one, a safety recall.

    What shows from here on could be laid to either: they count neither way.
    """
    is_recall = campaign.kind == CampaignKind.ROLLOUT and precedence.disturbs_soaks(
        priority=campaign.priority, kind=campaign.kind
    )
    if not is_recall:
        return
    ordered = campaign.assignments.filter(state__in=ACTIVE_STATES).values("vehicle")
    soaking = Assignment.objects.filter(vehicle__in=ordered, state=AssignmentState.SOAKING).exclude(campaign=campaign)
    # Rows that another worker holds are left to the next tick: this one holds rows of its own campaign already.
    locked = soaking.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    Assignment.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(
        state=AssignmentState.SUPERSEDED,
        settled_at=at,
        due_at=None,
        code=OVERTAKEN,
        message=f"{campaign}, a safety recall, went on before the soak was over.",
    )
