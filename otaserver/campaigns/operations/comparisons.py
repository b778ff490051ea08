"""Comparing updated vehicles with those held out, block by block."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef

from otaserver.campaigns.models import Assignment, ControlBlock, Decision, HealthReading, SignalState
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import signals as queries
from otaserver.campaigns.rules import eprocess
from otaserver.campaigns.rules.eprocess import Block, Evidence
from otaserver.campaigns.states import Verdict

_FIELDS = ("treated_good", "treated_bad", "control_good", "control_bad", "log_evidence", "pending_good", "pending_bad")


def compare(state: SignalState, treated: Sequence[tuple[int, bool]], *, at: datetime) -> Decision | None:
    """Read updated vehicles, in order, each with whether it was bad, into the comparison; return the halt, if any.

    A full block is compared with one vehicle that was held out, over the soak of the block's last one: the same hours
    of the same days. Each of those serves once. Where none reported in these hours the block is dropped, which does not
    depend on what it holds. What comes after a halt in the same reading is not compared.
    """
    if not state.treated_per_block or not treated:
        return None
    rows = Assignment.objects.filter(pk__in=[pk for pk, _ in treated]).values_list("pk", "installing_at")
    started = {pk: installing_at for pk, installing_at in rows if installing_at is not None}
    soak = timedelta(seconds=state.campaign.soak_seconds)
    halt = None
    for pk, is_bad in treated:
        state.pending_bad += is_bad
        state.pending_good += not is_bad
        if state.pending_good + state.pending_bad < state.treated_per_block:
            continue
        control = _next_control(state, since=started[pk], until=started[pk] + soak)
        if control is not None and _take_block(state, *control, at=at):
            halt = _halted(state, at=at)
        state.pending_good = state.pending_bad = 0
        if halt is not None:
            break
    SignalState.objects.filter(pk=state.pk).update(**{field: getattr(state, field) for field in _FIELDS})
    return halt


def _next_control(state: SignalState, *, since: datetime, until: datetime) -> tuple[int, bool] | None:
    """Return a vehicle that was held out, has not served yet and reported in this time, and whether it was bad."""
    in_time = HealthReading.objects.filter(name=state.signal.name, at__gte=since, at__lte=until)
    served = ControlBlock.objects.filter(state=state, control=OuterRef("pk"))
    unused = Assignment.objects.filter(
        Exists(in_time.filter(assignment=OuterRef("pk"))),
        ~Exists(served),
        campaign=state.campaign_id,
        verdict=Verdict.CONTROL,
    )
    last = state.blocks.order_by("-pk").values_list("control__rank", flat=True).first()
    # From where the last one stood, so that those who have served are not passed over each time.
    following = unused.filter(rank__gt=-1 if last is None else last)
    pk = following.order_by("rank", "pk").values_list("pk", flat=True).first()
    if pk is None:
        pk = unused.order_by("rank", "pk").values_list("pk", flat=True).first()
    if pk is None:
        return None
    worst = in_time.filter(assignment=pk).aggregate(worst=Max("value"))["worst"]
    return pk, worst > state.signal.limit


def _take_block(state: SignalState, control: int, is_bad: bool, *, at: datetime) -> bool:
    """Store the block that is full, and return whether the evidence halts the campaign now."""
    block = Block(state.pending_good, state.pending_bad, int(not is_bad), int(is_bad))
    evidence = eprocess.take(
        queries.evidence_of(state),
        block,
        acceptable_rate=state.signal.acceptable_rate,
        unacceptable_rate=state.signal.unacceptable_rate,
    )
    ControlBlock.objects.create(
        state=state,
        control_id=control,
        treated_good=block.treated_good,
        treated_bad=block.treated_bad,
        is_control_bad=is_bad,
        at=at,
        log_evidence=evidence.log_value,
    )
    _keep(state, evidence)
    return evidence.log_value >= queries.comparison_limit(state)


def _keep(state: SignalState, evidence: Evidence) -> None:
    state.treated_good, state.treated_bad = evidence.treated_good, evidence.treated_bad
    state.control_good, state.control_bad = evidence.control_good, evidence.control_bad
    state.log_evidence = evidence.log_value


def _halted(state: SignalState, *, at: datetime) -> Decision:
    treated, control = state.treated_good + state.treated_bad, state.control_good + state.control_bad
    return draft(
        state.campaign,
        "control.halted",
        f"Vehicles with the release report {state.signal.name} above {state.signal.limit:g} more often "
        f"({state.treated_bad} of {treated}) than those held out ({state.control_bad} of {control}).",
        by=ENGINE,
        at=at,
        signal=state.signal.name,
        signal_limit=state.signal.limit,
        treated=treated,
        treated_bad=state.treated_bad,
        control=control,
        control_bad=state.control_bad,
        statistic=state.log_evidence,
        limit=queries.comparison_limit(state),
    )
