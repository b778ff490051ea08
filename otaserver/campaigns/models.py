"""Campaigns: one release brought to one group in waves, each vehicle's part in it, and what the engine decided."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from firmware_store.models import Release, ReleaseSignal
from otaserver.campaigns import (  # noqa: F401 - their models belong to this app too
    draft_models,
    fit_models,
    forecast_models,
    records,
)
from otaserver.campaigns.record_models import CampaignRequirement, SoftwareChange, WorkshopCase
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    ASSIGNMENT_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    IN_FLIGHT_STATES,
    NEUTRAL_STATES,
    STOPPABLE_STATES,
    WAVE_TRANSITIONS,
    AssignmentState,
    CampaignKind,
    CampaignPriority,
    CampaignState,
    Consent,
    ConsentDecision,
    HaltAction,
    ReportOutcome,
    ReportPhase,
    Verdict,
    WaveRule,
    WaveState,
)
from otaserver.deferring import Deferring
from otaserver.fleet.models import Configuration, Group, Vehicle
from otaserver.statemachine import StatefulModel
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import ForeignSoftware
from otaserver.tenants.telling import Tells

__all__ = [
    "Assignment",
    "Attempt",
    "Blackout",
    "Campaign",
    "CampaignRequirement",
    "ConsentRecord",
    "ControlBlock",
    "Decision",
    "GateState",
    "HealthReading",
    "LogTail",
    "Report",
    "SignalState",
    "SoftwareChange",
    "Wave",
    "Window",
    "WorkshopCase",
]


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def due(self, at: datetime) -> "CampaignQuerySet":
        """Campaigns that a tick has something to look after in.

        Under way, scheduled for now or earlier, or stopped with orders that stand at vehicles.
        """
        under_way = Q(state__in=[CampaignState.RUNNING, CampaignState.PAUSED])
        standing = Assignment.objects.filter(campaign=OuterRef("pk"), state__in=STOPPABLE_STATES)
        stopped = Q(Exists(standing), state__in=[CampaignState.HALTED, CampaignState.CANCELLED])
        return self.filter(under_way | stopped | Q(state=CampaignState.SCHEDULED, starts_at__lte=at))


class Campaign(Deferring, StatefulModel):
    """The staged rollout of one release to one group."""

    TRANSITIONS = CAMPAIGN_TRANSITIONS
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=CampaignKind.choices, default=CampaignKind.ROLLOUT)
    state = models.CharField(max_length=20, choices=CampaignState.choices, default=CampaignState.DRAFT)
    release = models.ForeignKey(Release, models.PROTECT, related_name="campaigns")
    # Whom it is for; a roll-back has none: it is for the vehicles that confirmed the release it rolls back.
    group = models.ForeignKey(Group, models.PROTECT, related_name="campaigns", null=True, blank=True)
    rolls_back = models.ForeignKey("self", models.PROTECT, related_name="rollbacks", null=True, blank=True)
    # The way back: the release to return to, or an explicit "no way back" with a reason.
    fallback_release = models.ForeignKey(
        Release, models.PROTECT, related_name="fallback_campaigns", null=True, blank=True
    )
    no_way_back_reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    approved_by = models.CharField(max_length=200, blank=True)
    # How many vehicles fitted when others than its authors had to approve it: what starts may be little more.
    approved_vehicles = models.PositiveIntegerField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Why it stands where it stands: the last halt, pause or cancellation, in a sentence.
    reason = models.TextField(blank=True)
    # Rises with every change of the plan and every move: what a change starts from, and what an approval is for.
    revision = models.PositiveIntegerField(default=1)
    # A person resumed it after a halt: hard limits count what failed since then.
    judged_from = models.DateTimeField(null=True, blank=True)

    # The gate (DESIGN.md, "Gates"). Rates are fractions, durations seconds.
    acceptable_rate = models.FloatField(default=0.005)
    unacceptable_rate = models.FloatField(default=0.02)
    alpha = models.FloatField(default=0.01)
    beta = models.FloatField(default=0.05)
    soak_seconds = models.PositiveIntegerField(default=8 * 3600)
    # Hard limits, in force before anything is mature; null is no limit.
    max_failed = models.PositiveIntegerField(null=True, blank=True)
    max_verification_failed = models.PositiveIntegerField(default=0)
    max_in_flight = models.PositiveIntegerField(null=True, blank=True)
    halt_codes = models.JSONField(default=list)
    # Test each set of hardware ids that the release changes apart as well: one bad revision cannot hide in the pool.
    is_stratified = models.BooleanField(default=True)
    wave_rule = models.CharField(max_length=10, choices=WaveRule.choices, default=WaveRule.PROCEED)
    # Vehicles that may fail in the whole campaign before the next wave asks a person.
    failure_budget = models.PositiveIntegerField(null=True, blank=True)

    # The share of the fitting vehicles that is not updated: the others' health is compared with theirs.
    control_percent = models.DecimalField(max_digits=5, decimal_places=3, default=Decimal(0))

    # How long a vehicle may be silent in each part before its place is given up (or, installing, counts as failed).
    offer_timeout_seconds = models.PositiveIntegerField(default=14 * 86400)
    download_timeout_seconds = models.PositiveIntegerField(default=7 * 86400)
    install_timeout_seconds = models.PositiveIntegerField(default=4 * 3600)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    retry_seconds = models.PositiveIntegerField(default=3600)
    # How long after its start a roll-back stays open for vehicles that fell silent while they installed.
    unknown_timeout_seconds = models.PositiveIntegerField(default=90 * 86400)
    # Null: online permit; a number: hours for which a vehicle without contact may still install.
    grace_hours = models.PositiveIntegerField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(choices=CampaignPriority.choices, default=CampaignPriority.QUALITY)
    # A vehicle waits until each of these has succeeded on it.
    requires = models.ManyToManyField(
        "self", through=CampaignRequirement, symmetrical=False, related_name="required_by"
    )
    halt_action = models.CharField(max_length=20, choices=HaltAction.choices, default=HaltAction.WITHDRAW)
    # It was halted, and what stood at vehicles then goes on, as its plan says; until somebody stops that too.
    keeps_orders = models.BooleanField(default=False, editable=False)
    # What becomes of software that no order put on a vehicle of it; empty: as the tenant says.
    foreign_software = models.CharField(max_length=20, choices=ForeignSoftware.choices, blank=True)

    # When (`Window` holds the recurring windows). From its end on nothing is offered and what is pending is withdrawn.
    ends_at = models.DateTimeField(null=True, blank=True)
    # True: offered at once and only installed inside windows; false: offered inside windows only.
    downloads_early = models.BooleanField(default=True)
    # Pace, over sliding spans; null is no limit.
    offers_per_minute = models.PositiveIntegerField(null=True, blank=True)
    bytes_per_hour = models.PositiveBigIntegerField(null=True, blank=True)
    # What a vehicle must measure before it installs: [{name, operator, value}], from `rules.preconditions`.
    preconditions = models.JSONField(default=list)
    consent = models.CharField(max_length=20, choices=Consent.choices, default=Consent.NONE)
    # With a deadline: it goes ahead after so many postponements, or so long after the first question.
    consent_postponements = models.PositiveSmallIntegerField(null=True, blank=True)
    consent_deadline_seconds = models.PositiveIntegerField(null=True, blank=True)

    # Vehicles that have not confirmed what they run for longer than this take no part; null: whenever it was.
    max_inventory_age_seconds = models.PositiveIntegerField(null=True, blank=True)
    # Vehicles that come to match later are taken in, until a person closes the campaign to them.
    is_dynamic = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True, blank=True)
    # When a tick last looked through all of its vehicles, and when one last looked for those that enrolled again.
    looked_at = models.DateTimeField(null=True, blank=True)
    # Since when somebody makes its forecast; whoever it was may have died, so that this holds for a while only.
    forecast_begun_at = models.DateTimeField(null=True, blank=True, editable=False)
    advanced_at = models.DateTimeField(null=True, blank=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", name="campaign_name_once_per_tenant"),
            models.CheckConstraint(
                name="campaign_rates_ordered",
                condition=Q(acceptable_rate__gt=0, unacceptable_rate__lt=1, acceptable_rate__lt=F("unacceptable_rate")),
            ),
            models.CheckConstraint(
                name="campaign_error_rates_in_range",
                condition=Q(alpha__gt=0, alpha__lt=0.5, beta__gt=0, beta__lt=0.5),
            ),
            # Outcomes are ordered by installation start and read at their maturity: it must lie after the commit.
            models.CheckConstraint(name="campaign_soak_at_least_a_second", condition=Q(soak_seconds__gte=1)),
            models.CheckConstraint(
                name="campaign_control_in_range", condition=Q(control_percent__gte=0, control_percent__lte=50)
            ),
            models.CheckConstraint(
                name="campaign_group_or_rollback",
                condition=(
                    Q(kind=CampaignKind.ROLLOUT, group__isnull=False, rolls_back=None)
                    | Q(kind=CampaignKind.ROLLBACK, rolls_back__isnull=False)
                    | Q(kind=CampaignKind.DIRECT, group=None, rolls_back=None)
                ),
            ),
            models.CheckConstraint(
                name="campaign_starts_before_end",
                condition=Q(ends_at=None) | Q(starts_at=None) | Q(starts_at__lt=F("ends_at")),
            ),
            models.CheckConstraint(
                name="campaign_pace_lets_something_through",
                condition=(Q(offers_per_minute=None) | Q(offers_per_minute__gte=1))
                & (Q(bytes_per_hour=None) | Q(bytes_per_hour__gte=1)),
            ),
            models.CheckConstraint(
                name="campaign_consent_deadline_only_where_asked",
                condition=(
                    Q(consent=Consent.ASK_WITH_DEADLINE)
                    & (Q(consent_postponements__isnull=False) | Q(consent_deadline_seconds__gte=1))
                )
                | (
                    Q(consent__in=[Consent.NONE, Consent.ASK])
                    & Q(consent_postponements=None, consent_deadline_seconds=None)
                ),
            ),
            models.CheckConstraint(
                name="campaign_priority_is_a_class", condition=Q(priority__in=list(CampaignPriority.values))
            ),
            models.CheckConstraint(
                name="campaign_rolls_back_to_a_fallback",
                condition=~Q(halt_action=HaltAction.ROLL_BACK) | Q(fallback_release__isnull=False),
            ),
        ]
        # What ticks look for, among all that are over.
        indexes = [models.Index("state", name="campaign_state")]

    def __str__(self) -> str:
        return self.name

    def move_to(self, state: str, **changes: Any) -> None:
        super().move_to(state, revision=F("revision") + 1, **changes)
        self.refresh_from_db(fields=["revision"])


class Wave(StatefulModel):
    """A slice of a campaign's vehicles, offered the release together."""

    TRANSITIONS = WAVE_TRANSITIONS
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="waves")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=20, choices=WaveState.choices, default=WaveState.WAITING)
    # How large it is: exactly one of the three. The percent is cumulative, of the vehicles in no wave's group: so many
    # of them have had their turn when the wave ends; the last wave's is 100.
    percent = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    count = models.PositiveIntegerField(null=True, blank=True)
    group = models.ForeignKey(Group, models.PROTECT, related_name="waves", null=True, blank=True)
    # How many results it is to bring, fixed when the campaign starts; neutral ends are refilled up to it.
    places = models.PositiveIntegerField(default=0)
    # It is open and has not taken in all its vehicles yet: so many at a time. Null: all who are left.
    untaken = models.PositiveIntegerField(null=True, default=0)
    # How many of its vehicles others stand in for: the number of those marked so.
    replaced = models.PositiveIntegerField(default=0)
    max_failed = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint("campaign", "number", name="wave_number_once_per_campaign"),
            models.UniqueConstraint(
                "campaign",
                name="wave_one_open_per_campaign",
                condition=Q(state__in=[WaveState.OPEN, WaveState.MATURING, WaveState.UNDECIDED]),
            ),
            models.CheckConstraint(
                name="wave_percent_in_range", condition=Q(percent=None) | Q(percent__gt=0, percent__lte=100)
            ),
            models.CheckConstraint(
                name="wave_one_size",
                condition=(
                    Q(percent__isnull=False, count=None, group=None)
                    | Q(percent=None, count__gte=1, group=None)
                    | Q(percent=None, count=None, group__isnull=False)
                ),
            ),
        ]

    @property
    def size(self) -> str:
        """Return how large it is to be, in words."""
        if self.percent is not None:
            return f"{self.percent.normalize():f} %"
        vehicles = "1 vehicle" if self.count == 1 else f"{self.count} vehicles"
        return f"group {self.group}" if self.group is not None else vehicles

    def __str__(self) -> str:
        return f"wave {self.number} of {self.campaign}"


class Assignment(Deferring, StatefulModel):
    """One vehicle's part in a campaign; it has attempts."""

    TRANSITIONS = ASSIGNMENT_TRANSITIONS
    # Two indexes below begin with each of campaign and wave: one of its own would only slow down the start.
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="assignments", db_index=False)
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="assignments")
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="assignments", null=True, blank=True, db_index=False)
    state = models.CharField(max_length=20, choices=AssignmentState.choices, default=AssignmentState.WAITING)
    verdict = models.CharField(max_length=20, choices=Verdict.choices, default=Verdict.FITS)
    verdict_detail = models.TextField(blank=True)
    # The vehicle's place in the campaign (`rules.ranking`): random, reproducible, and every stretch mirrors the strata.
    rank = models.BigIntegerField()
    stratum = models.CharField(max_length=64, blank=True)
    # What ran when the list was frozen; null: it had not enrolled.
    configuration = models.ForeignKey(
        Configuration, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # When a tick gives up on it in its present state; null: nothing is awaited.
    due_at = models.DateTimeField(null=True, blank=True)
    offered_at = models.DateTimeField(null=True, blank=True)
    # When its vehicle first heard that the owner is to be asked, where the server counts: the deadline runs from then.
    asked_at = models.DateTimeField(null=True, blank=True)
    # Since when the server keeps its order back (`rules.withholding`), less the time in which others did; null: never.
    withheld_at = models.DateTimeField(null=True, blank=True)
    installing_at = models.DateTimeField(null=True, blank=True)
    # The gate has read its outcome; each is read once, and what is read stays read.
    is_judged = models.BooleanField(default=False)
    settled_at = models.DateTimeField(null=True, blank=True)
    # The last manifest of its soak left out an ECU of the release: so it cannot end in success.
    is_partly_proved = models.BooleanField(default=False)
    # When a tick makes the order anew whose list of windows would run out or no longer holds; null: it lasts.
    renew_at = models.DateTimeField(null=True, blank=True)
    # It ended neither way, and another vehicle has its place in the wave.
    is_replaced = models.BooleanField(default=False)
    code = models.CharField(max_length=80, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("campaign", "vehicle", name="assignment_vehicle_once_per_campaign"),
            # One order per vehicle at a time.
            models.UniqueConstraint(
                "vehicle", name="assignment_one_active_per_vehicle", condition=Q(state__in=sorted(ACTIVE_STATES))
            ),
            # Nothing waits for ever.
            models.CheckConstraint(
                name="assignment_active_has_due_time",
                condition=~Q(state__in=sorted(IN_FLIGHT_STATES)) | Q(due_at__isnull=False),
            ),
            models.CheckConstraint(
                name="assignment_excluded_means_unfit",
                condition=(
                    (Q(state=AssignmentState.EXCLUDED) & ~Q(verdict=Verdict.FITS))
                    | (~Q(state=AssignmentState.EXCLUDED) & Q(verdict=Verdict.FITS))
                ),
            ),
            # One that comes waits: its vehicle is told nothing yet.
            Tells(name="assignment_tells", vehicle="{row}.vehicle_id", updates=["state"], deletes=True),
        ]
        indexes = [
            models.Index("campaign", "state", name="assignment_by_state"),
            models.Index("wave", "state", name="assignment_by_wave", condition=Q(wave__isnull=False)),
            models.Index(
                "campaign", "rank", name="assignment_no_turn", condition=Q(state=AssignmentState.WAITING, wave=None)
            ),
            models.Index(
                "wave",
                "rank",
                name="assignment_in_turn",
                condition=Q(state=AssignmentState.WAITING, wave__isnull=False),
            ),
            models.Index(
                "campaign", "code", "settled_at", name="assignment_failed", condition=Q(state=AssignmentState.FAILED)
            ),
            models.Index(
                "wave",
                name="assignment_to_replace",
                condition=Q(state__in=sorted(NEUTRAL_STATES), is_replaced=False, wave__isnull=False),
            ),
            models.Index(
                "wave",
                name="assignment_come_back",
                condition=Q(is_replaced=True) & ~Q(state__in=sorted(NEUTRAL_STATES)),
            ),
            models.Index("due_at", name="assignment_due", condition=Q(due_at__isnull=False)),
            models.Index("settled_at", name="assignment_settled", condition=Q(settled_at__isnull=False)),
            models.Index("campaign", "renew_at", name="assignment_renewal", condition=Q(renew_at__isnull=False)),
            models.Index(
                "campaign",
                "installing_at",
                "id",
                name="assignment_unjudged",
                condition=Q(installing_at__isnull=False, is_judged=False),
            ),
            models.Index(
                "code", "settled_at", name="assignment_failed_by_code", condition=Q(state=AssignmentState.FAILED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle} in {self.campaign}"


class Attempt(Deferring):
    """One try of one assignment. Known by a UUID, and by a number that counts per vehicle."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="attempts")
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveIntegerField()
    # The stepping stone that it ordered; null: the campaign's own release.
    stone = models.ForeignKey(Release, models.PROTECT, related_name="+", null=True, blank=True)
    # What was asked of the vehicle: {ecu serial: package id}.
    packages = models.JSONField(default=dict)
    # What it makes the vehicle fetch at most, in bytes: each package once, however many ECUs take it.
    length = models.PositiveBigIntegerField(default=0)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=ReportOutcome.choices, default=ReportOutcome.NONE)
    code = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", "number", name="attempt_number_once_per_vehicle"),
            models.UniqueConstraint("assignment", name="attempt_one_open", condition=Q(closed_at=None)),
            models.CheckConstraint(name="attempt_number_positive_int32", condition=Q(number__range=(1, 2**31 - 1))),
            Tells(
                name="attempt_tells",
                vehicle="{row}.vehicle_id",
                inserts=True,
                updates=["number", "closed_at", "outcome"],
                deletes=True,
            ),
        ]
        indexes = [models.Index("opened_at", name="attempt_by_time")]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.vehicle}"


class Report(models.Model):
    """What a vehicle said of an attempt, as received: a claim, append-only."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="reports", db_index=False)
    report_id = models.CharField(max_length=64)
    ecu_serial = models.CharField(max_length=64, blank=True)
    phase = models.CharField(max_length=20, choices=ReportPhase.choices)
    outcome = models.CharField(max_length=10, choices=ReportOutcome.choices, default=ReportOutcome.NONE)
    code = models.CharField(max_length=80, blank=True)
    message = models.TextField(blank=True)
    progress = models.PositiveSmallIntegerField(null=True, blank=True)
    measured = models.JSONField(default=dict)
    device_time = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("attempt", "report_id", name="report_once")]
        indexes = [
            models.Index("attempt", "received_at", name="report_by_time"),
            models.Index("code", "received_at", name="report_by_code", condition=~Q(code="")),
        ]

    def __str__(self) -> str:
        return f"{self.phase} {self.outcome} of {self.attempt}"


class LogTail(models.Model):
    """The end of a vehicle's log, sent with a failure."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="logs")
    text = models.TextField()
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"log of {self.attempt}"


class GateState(models.Model):
    """Where one test of a campaign stands after the outcomes that were read.

    Derivable: folding them again, in the order of installation start, gives the same, unless a person resumed the
    campaign after this test had halted it (a `Decision`): then it began anew. `stratum` is empty for the pool.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="gate_states")
    stratum = models.CharField(max_length=64, blank=True)
    # How many outcomes it may come to read: the guard's limit grows with it.
    planned_results = models.PositiveIntegerField(default=1)
    # Which of the strata that came after the start this is, from 1; 0: it was there. What of alpha is its own follows.
    late_place = models.PositiveSmallIntegerField(default=0)
    # The part of the campaign's alpha that all tests of outcomes share; the rest is the health signals'.
    outcome_share = models.FloatField(default=1.0)
    successes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    statistic = models.FloatField(default=0.0)
    has_passed = models.BooleanField(default=False)
    guard_statistic = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint("campaign", "stratum", name="gate_state_once_per_stratum")]

    def __str__(self) -> str:
        return f"gate of {self.campaign} {self.stratum or '(pool)'}"


class HealthReading(models.Model):
    """One value of one signal that a vehicle reported in its soak, or while it is held out: a claim, append-only."""

    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="readings", db_index=False)
    name = models.CharField(max_length=40)
    value = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index("assignment", "name", "at", name="health_reading_by_time")]

    def __str__(self) -> str:
        return f"{self.name} {self.value:g} of {self.assignment}"


class SignalState(models.Model):
    """Where the tests of one signal of a campaign stand: against its own rates, and against the control vehicles.

    Derivable like `GateState`: the first from the readings of vehicles that were judged, the second from its blocks.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="signal_states")
    signal = models.ForeignKey(ReleaseSignal, models.PROTECT, related_name="+")
    planned_results = models.PositiveIntegerField()
    # The part of the campaign's alpha that each of its tests has.
    alpha_share = models.FloatField()
    successes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    # Matured vehicles that reported nothing of it.
    missing = models.PositiveIntegerField(default=0)
    statistic = models.FloatField(default=0.0)
    has_passed = models.BooleanField(default=False)
    guard_statistic = models.FloatField(default=0.0)
    # How many treated vehicles stand against one held out; 0: none is held out.
    treated_per_block = models.PositiveIntegerField(default=0)
    # Of the block that is not full yet.
    pending_good = models.PositiveIntegerField(default=0)
    pending_bad = models.PositiveIntegerField(default=0)
    treated_good = models.PositiveIntegerField(default=0)
    treated_bad = models.PositiveIntegerField(default=0)
    control_good = models.PositiveIntegerField(default=0)
    control_bad = models.PositiveIntegerField(default=0)
    log_evidence = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint("campaign", "signal", name="signal_state_once_per_signal")]

    def __str__(self) -> str:
        return f"{self.signal} in {self.campaign}"


class ControlBlock(models.Model):
    """Some treated vehicles and one that was held out, compared by one signal over the same hours; append-only."""

    state = models.ForeignKey(SignalState, models.CASCADE, related_name="blocks")
    control = models.ForeignKey(Assignment, models.CASCADE, related_name="+")
    treated_good = models.PositiveIntegerField()
    treated_bad = models.PositiveIntegerField()
    is_control_bad = models.BooleanField()
    at = models.DateTimeField()
    # After this block.
    log_evidence = models.FloatField()

    class Meta:
        # Twice the same vehicle would be no independent outcome.
        constraints = [models.UniqueConstraint("state", "control", name="control_block_control_once")]

    def __str__(self) -> str:
        return f"block of {self.state}"


class Decision(models.Model):
    """One decision of the engine, with what it saw; append-only, so that it can be replayed."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="decisions", db_index=False)
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="decisions", null=True, blank=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=200)
    sentence = models.TextField()
    inputs = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index("campaign", "at", name="decision_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"


class Window(models.Model):
    """A recurring time in which a campaign's vehicles may install, by the clock in each vehicle's own time zone."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="windows")
    # Bit 0 is Monday; a window that reaches over midnight belongs to the day on which it opens.
    weekdays = models.PositiveSmallIntegerField()
    start_minute = models.PositiveSmallIntegerField()
    length_minutes = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                "campaign", "weekdays", "start_minute", "length_minutes", name="window_once_per_campaign"
            ),
            models.CheckConstraint(name="window_on_some_weekday", condition=Q(weekdays__range=(1, 127))),
            models.CheckConstraint(name="window_starts_in_a_day", condition=Q(start_minute__range=(0, 1439))),
            models.CheckConstraint(name="window_at_most_a_day", condition=Q(length_minutes__range=(1, 1440))),
        ]

    def __str__(self) -> str:
        return f"window of {self.campaign} at minute {self.start_minute}"


class Blackout(models.Model):
    """A time in which a tenant's vehicles, or those of one group, are offered nothing and install nothing pending."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="blackouts")
    name = models.CharField(max_length=100)
    reason = models.TextField()
    starts_at = models.DateTimeField()
    # Null: until it is lifted.
    ends_at = models.DateTimeField(null=True, blank=True)
    # Null: the whole fleet.
    group = models.ForeignKey(Group, models.PROTECT, related_name="blackouts", null=True, blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "tenant", "name", name="blackout_name_once_until_lifted", condition=Q(lifted_at=None)
            ),
            models.CheckConstraint(
                name="blackout_ends_after_it_starts", condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="blackout_lifted_by_somebody",
                condition=Q(lifted_at=None, lifted_by="") | (Q(lifted_at__isnull=False) & ~Q(lifted_by="")),
            ),
        ]
        indexes = [models.Index("tenant", "ends_at", name="blackout_in_force", condition=Q(lifted_at=None))]

    def __str__(self) -> str:
        return self.name


class ConsentRecord(models.Model):
    """What an owner answered, by whose word and to which text; append-only.

    `attempt` is null where somebody recorded it before anything was offered, on behalf of a vehicle that cannot ask.
    """

    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="consents", db_index=False)
    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="consents", null=True, blank=True)
    record_id = models.CharField(max_length=64)
    decision = models.CharField(max_length=10, choices=ConsentDecision.choices)
    # Whoever answered, in the vehicle's words; and who recorded it, empty for the vehicle itself.
    by = models.CharField(max_length=200)
    recorded_by = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=35)
    text_sha256 = models.CharField(max_length=64)
    # Whether that is a text which the order carried.
    is_text_known = models.BooleanField()
    device_time = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    # When the vehicle changed hands: what its owner before had answered binds nobody since.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("assignment", "record_id", name="consent_record_once"),
            models.CheckConstraint(
                name="consent_record_from_vehicle_names_attempt",
                condition=~Q(recorded_by="") | Q(attempt__isnull=False),
            ),
        ]
        indexes = [models.Index("assignment", "received_at", name="consent_record_by_time")]

    def __str__(self) -> str:
        return f"{self.decision} of {self.by} for {self.assignment}"
