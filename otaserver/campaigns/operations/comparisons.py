"""Comparing updated vehicles with those held out, block by block."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef

from otaserver.campaigns.models import Assignment, ControlBlock, Decision, HealthReading, SignalState
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import signals as queries
from otaserver.campaigns.rules import comparisons as rules
from otaserver.campaigns.rules.comparisons import Comparison, ComparisonTest
from otaserver.campaigns.states import Verdict


@dataclass(frozen=True)
class Compared:
    """Of each block that was full whether the vehicle held out was bad (None: there was none), and the halt, if any."""

    controls: Sequence[bool | None] = ()
    halt: Decision | None = None


def compare(state: SignalState, treated: Sequence[tuple[int, bool]], *, at: datetime) -> Compared:
    """Read updated vehicles, in order, each with whether it was bad, into the comparison.

    A full block is compared with one vehicle that was held out, over the soak of the block's last one: the same hours
    of the same days. Each of those serves once. Where none reported in these hours the block is dropped, which does not
    depend on what it holds. What comes after a halt in the same reading is not compared.
    """
    if not state.treated_per_block or not treated:
        return Compared()
    started = _started([pk for pk, _ in treated])
    soak = timedelta(seconds=state.campaign.soak_seconds)
    test, before = queries.comparison_test(state), queries.comparison_of(state)
    comparison, controls, halt = before, list[bool | None](), None
    for pk, is_bad in treated:
        comparison = rules.gather(comparison, is_bad=is_bad)
        if not rules.is_full(test, comparison):
            continue
        control = _next_control(state, since=started[pk], until=started[pk] + soak)
        controls.append(None if control is None else control[1])
        gathered, comparison = comparison, rules.close(test, comparison, is_control_bad=controls[-1])
        if control is None:
            continue
        _store_block(state, *control, gathered, comparison, at=at)
        if rules.has_halted(test, comparison):
            halt = _halted(state, test, before, comparison, at=at)
            break
    store(state, comparison)
    return Compared(controls, halt)


def _started(assignments: list[int]) -> dict[int, datetime]:
    rows = Assignment.objects.filter(pk__in=assignments).values_list("pk", "installing_at")
    return {pk: installing_at for pk, installing_at in rows if installing_at is not None}


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


def _store_block(
    state: SignalState, control: int, is_bad: bool, gathered: Comparison, closed: Comparison, *, at: datetime
) -> None:
    ControlBlock.objects.create(
        state=state,
        control_id=control,
        treated_good=gathered.pending_good,
        treated_bad=gathered.pending_bad,
        is_control_bad=is_bad,
        at=at,
        log_evidence=closed.evidence.log_value,
    )


def store(state: SignalState, comparison: Comparison) -> None:
    """Store where a signal's comparison stands."""
    evidence = comparison.evidence
    SignalState.objects.filter(pk=state.pk).update(
        treated_good=evidence.treated_good,
        treated_bad=evidence.treated_bad,
        control_good=evidence.control_good,
        control_bad=evidence.control_bad,
        log_evidence=evidence.log_value,
        pending_good=comparison.pending_good,
        pending_bad=comparison.pending_bad,
    )


def _halted(
    state: SignalState, test: ComparisonTest, before: Comparison, comparison: Comparison, *, at: datetime
) -> Decision:
    evidence = comparison.evidence
    treated, control = evidence.treated_good + evidence.treated_bad, evidence.control_good + evidence.control_bad
    return draft(
        state.campaign,
        "control.halted",
        f"Vehicles with the release report {state.signal.name} above {state.signal.limit:g} more often "
        f"({evidence.treated_bad} of {treated}) than those held out ({evidence.control_bad} of {control}).",
        by=ENGINE,
        at=at,
        signal=state.signal.name,
        signal_limit=state.signal.limit,
        treated=treated,
        treated_bad=evidence.treated_bad,
        control=control,
        control_bad=evidence.control_bad,
        statistic=evidence.log_value,
        limit=test.limit,
        comparison_test=asdict(test),
        before=asdict(before),
    )
