"""Changing a campaign's plan: freely while it is a draft, afterwards what `rules.changes` allows, with a reason."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from otaserver.campaigns.errors import CampaignMovedError, CampaignNameTakenError, ChangeRefusedError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import checks, decisions, endings, renewals, requirements
from otaserver.campaigns.operations.campaigns import (
    ROWS,
    CampaignPlan,
    WavePlan,
    refuse_unsound,
    require_possible,
    store_waves,
    store_windows,
)
from otaserver.campaigns.queries import bundles, schedules
from otaserver.campaigns.rules import changes as rules
from otaserver.campaigns.rules.changes import FieldChange
from otaserver.campaigns.rules.windows import Window
from otaserver.campaigns.states import CampaignKind, CampaignState

# Signed into orders; what bounds an offer in time; and what decides until when vehicles may need metadata.
_SIGNED = frozenset({"windows", "ends_at"})
_TIMES = frozenset({"windows", "ends_at", "offers_per_minute", "bytes_per_hour"})
_LASTING = frozenset({"offer_timeout_seconds", "download_timeout_seconds", "install_timeout_seconds", "ends_at"})


def plan_of(campaign: Campaign) -> CampaignPlan:
    """Return the plan that a campaign has now."""
    waves = tuple(
        WavePlan(**{field.name: getattr(wave, field.name) for field in fields(WavePlan)})
        for wave in campaign.waves.order_by("number")
    )
    return CampaignPlan(
        waves=waves,
        windows=tuple(schedules.windows_of(campaign)),
        requires=tuple(campaign.requires.order_by("pk")),
        **{field.name: getattr(campaign, field.name) for field in fields(CampaignPlan) if field.name not in ROWS},
    )


@transaction.atomic
def change_campaign(
    campaign: Campaign, plan: CampaignPlan, *, revision: int, by: str, at: datetime, reason: str = ""
) -> None:
    """Give a campaign another plan. What is offered already keeps the times that it was offered with.

    `revision` is the one that the change starts from. No difference changes and records nothing.

    Raises:
        InvalidTransitionError: it is in review or approved (reject it first), or over.
        CampaignMovedError: it has been moved or changed since that revision.
        ChangeRefusedError: its state does not allow one of the changes; the details say which and why.
        ReasonMissingError: it has left its review, and no reason is given.
        PlanRefusedError, CampaignNameTakenError, ReleaseNotPublishedError, NoWayBackError: as for a new one.
        MetadataEndsError: with its longer timeouts it would outlive metadata that vehicles need.
    """
    checks.require_state(campaign, CampaignState.DRAFT, *sorted(rules.LIVE_STATES))
    if revision != campaign.revision:
        raise _moved(campaign, revision)
    changed = _differences(plan_of(campaign), plan)
    if not changed:
        return
    _refuse_forbidden(campaign, changed)
    if campaign.state != CampaignState.DRAFT:
        reason = decisions.require_reason(reason)
    refuse_unsound(campaign.tenant, plan)
    _refuse_impossible(campaign, plan, changed, at=at)
    _store(campaign, plan, changed, revision)
    _check_again(campaign, changed, at=at)
    if any(change.field in _SIGNED for change in changed):
        # What was signed for vehicles speaks of the old times.
        renewals.mark_all(campaign, at=at)
    if any(change.field == "ends_at" for change in changed):
        endings.reopen(campaign)
    _record(campaign, changed, reason=reason.strip(), by=by, at=at)


def _record(campaign: Campaign, changed: Sequence[FieldChange], *, reason: str, by: str, at: datetime) -> None:
    sentence = reason or f"Changed: {', '.join(change.field for change in changed)}."
    described = {each.field: {"before": shown(each.before), "after": shown(each.after)} for each in changed}
    decided = decisions.draft(
        campaign,
        "campaign.changed",
        sentence,
        by=by,
        at=at,
        state=str(campaign.state),
        revision=campaign.revision,
        changes=described,
        reason=reason,
    )
    decisions.record(campaign, [decided])


def _differences(old: CampaignPlan, new: CampaignPlan) -> list[FieldChange]:
    pairs = [(field.name, _comparable(getattr(old, field.name)), getattr(new, field.name)) for field in fields(old)]
    return [
        FieldChange(name, before, _comparable(after)) for name, before, after in pairs if before != _comparable(after)
    ]


def _comparable(value: object) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    return sorted(value) if all(isinstance(item, str) for item in value) else list(value)


def _refuse_forbidden(campaign: Campaign, changed: Sequence[FieldChange]) -> None:
    refusal = rules.refusal(campaign.state, changed, is_rollback=campaign.kind == CampaignKind.ROLLBACK)
    if refusal is None:
        return
    value = shown(refusal.value)
    raise ChangeRefusedError(
        f"{campaign} is {campaign.state}: {refusal.rule}; {value!r} is refused.",
        field=refusal.field,
        value=value,
        rule=refusal.rule,
    )


def _refuse_impossible(campaign: Campaign, plan: CampaignPlan, changed: Sequence[FieldChange], *, at: datetime) -> None:
    """Check what is changed of times and pace before it is stored: the database refuses it too, and says not why."""
    names = {change.field for change in changed}
    if campaign.state != CampaignState.DRAFT and not names & _SIGNED:
        # What stays as it was is no reason to refuse a slower pace: its end may have come.
        plan = replace(plan, ends_at=None, windows=())
    if campaign.state == CampaignState.DRAFT or names & _TIMES:
        starts_at = max(at, campaign.starts_at or at)
        require_possible(plan, bundles.release_view(plan.release), at=starts_at)


def _store(campaign: Campaign, plan: CampaignPlan, changed: Sequence[FieldChange], revision: int) -> None:
    values = {change.field: change.after for change in changed if change.field not in ROWS}
    # Compare-and-set on both: whoever halted it, or changed it, meanwhile has seen another plan.
    rows = Campaign.objects.filter(pk=campaign.pk, state=campaign.state, revision=revision)
    try:
        with transaction.atomic():
            is_stored = rows.update(**values, revision=F("revision") + 1)
    except IntegrityError as error:
        raise CampaignNameTakenError(f"There is a campaign {plan.name!r} already.", name=plan.name) from error
    if not is_stored:
        raise _moved(campaign, revision)
    if any(change.field == "waves" for change in changed):
        campaign.waves.all().delete()
        store_waves(campaign, plan.waves)
    if any(change.field == "windows" for change in changed):
        campaign.windows.all().delete()
        store_windows(campaign, plan.windows)
    if any(change.field == "requires" for change in changed):
        campaign.requirements.all().delete()
        requirements.store(campaign, plan.requires)
    campaign.refresh_from_db()


def _check_again(campaign: Campaign, changed: Sequence[FieldChange], *, at: datetime) -> None:
    names = {change.field for change in changed}
    release = bundles.release_view(campaign.release)
    if campaign.state == CampaignState.DRAFT:
        release = checks.require_published(campaign.release)
        checks.require_way_back(campaign, release)
    # Not for a change of anything else: a stricter limit is never refused for the age of some metadata.
    if campaign.state != CampaignState.DRAFT and names & _LASTING:
        checks.require_lasting_metadata(campaign, release, starts_at=max(at, campaign.starts_at or at))


def _moved(campaign: Campaign, revision: int) -> CampaignMovedError:
    current = Campaign.objects.get(pk=campaign.pk)
    return CampaignMovedError(
        f"{campaign} has moved: it is {current.state} with revision {current.revision}, not {revision}; read it again.",
        revision=current.revision,
        state=str(current.state),
    )


def shown(value: object) -> object:
    """Return a value of a plan as JSON has it."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, WavePlan | Window):
        return {field.name: shown(getattr(value, field.name)) for field in fields(value)}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
