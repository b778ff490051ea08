"""Campaigns: one release brought to one group in waves, each vehicle's part in it, and what the engine decided."""

import uuid

from django.db import models
from django.db.models import F, Q

from firmware_store.models import Release
from otaserver.campaigns.record_models import CampaignRequirement, SoftwareChange, WorkshopCase
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    ASSIGNMENT_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    IN_FLIGHT_STATES,
    WAVE_TRANSITIONS,
    AssignmentState,
    CampaignKind,
    CampaignPriority,
    CampaignState,
    HaltAction,
    ReportOutcome,
    ReportPhase,
    Verdict,
    WaveRule,
    WaveState,
)
from otaserver.fleet.models import Group, Vehicle
from otaserver.statemachine import StatefulModel
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import ForeignSoftware

__all__ = [
    "Assignment",
    "Attempt",
    "Campaign",
    "CampaignRequirement",
    "Decision",
    "GateState",
    "LogTail",
    "Report",
    "SoftwareChange",
    "Wave",
    "WorkshopCase",
]


class Campaign(StatefulModel):
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
    starts_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Why it stands where it stands: the last halt, pause or cancellation, in a sentence.
    reason = models.TextField(blank=True)
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
    # What becomes of software that no order put on a vehicle of it; empty: as the tenant says.
    foreign_software = models.CharField(max_length=20, choices=ForeignSoftware.choices, blank=True)

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
                name="campaign_group_or_rollback",
                condition=(
                    Q(kind=CampaignKind.ROLLOUT, group__isnull=False, rolls_back=None)
                    | Q(kind=CampaignKind.ROLLBACK, rolls_back__isnull=False)
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

    def __str__(self) -> str:
        return self.name


class Wave(StatefulModel):
    """A slice of a campaign's vehicles, offered the release together."""

    TRANSITIONS = WAVE_TRANSITIONS
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="waves")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=20, choices=WaveState.choices, default=WaveState.WAITING)
    # Cumulative share of the campaign's vehicles that have had their turn when this wave ends; the last is 100.
    percent = models.DecimalField(max_digits=6, decimal_places=3)
    # How many results it is to bring, fixed when the campaign starts; neutral ends are refilled up to it.
    places = models.PositiveIntegerField(default=0)
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
            models.CheckConstraint(name="wave_percent_in_range", condition=Q(percent__gt=0, percent__lte=100)),
        ]

    def __str__(self) -> str:
        return f"wave {self.number} of {self.campaign}"


class Assignment(StatefulModel):
    """One vehicle's part in a campaign; it has attempts."""

    TRANSITIONS = ASSIGNMENT_TRANSITIONS
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="assignments")
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="assignments")
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="assignments", null=True, blank=True)
    state = models.CharField(max_length=20, choices=AssignmentState.choices, default=AssignmentState.WAITING)
    verdict = models.CharField(max_length=20, choices=Verdict.choices, default=Verdict.FITS)
    verdict_detail = models.TextField(blank=True)
    # The vehicle's place in the campaign: a hash of both, so that it is random and reproducible.
    rank = models.BigIntegerField()
    stratum = models.CharField(max_length=64, blank=True)
    # What ran when the list was frozen: {ecu serial: target name}.
    configuration = models.JSONField(default=dict)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # When a tick gives up on it in its present state; null: nothing is awaited.
    due_at = models.DateTimeField(null=True, blank=True)
    offered_at = models.DateTimeField(null=True, blank=True)
    installing_at = models.DateTimeField(null=True, blank=True)
    # The gate has read its outcome; each is read once, and what is read stays read.
    is_judged = models.BooleanField(default=False)
    settled_at = models.DateTimeField(null=True, blank=True)
    # The last manifest of its soak left out an ECU of the release: so it cannot end in success.
    is_partly_proved = models.BooleanField(default=False)
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
        ]
        indexes = [
            models.Index("campaign", "state", "rank", name="assignment_by_state"),
            models.Index("wave", "state", name="assignment_by_wave"),
            models.Index("due_at", name="assignment_due", condition=Q(due_at__isnull=False)),
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


class Attempt(models.Model):
    """One try of one assignment. Known by a UUID, and by a number that counts per vehicle."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="attempts")
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    # The stepping stone that it ordered; null: the campaign's own release.
    stone = models.ForeignKey(Release, models.PROTECT, related_name="+", null=True, blank=True)
    # What was asked of the vehicle: {ecu serial: package id}.
    packages = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=ReportOutcome.choices, default=ReportOutcome.NONE)
    code = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", "number", name="attempt_number_once_per_vehicle"),
            models.UniqueConstraint("assignment", name="attempt_one_open", condition=Q(closed_at=None)),
            models.CheckConstraint(name="attempt_number_positive_int32", condition=Q(number__range=(1, 2**31 - 1))),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.vehicle}"


class Report(models.Model):
    """What a vehicle said of an attempt, as received: a claim, append-only."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="reports")
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
        indexes = [models.Index("attempt", "received_at", name="report_by_time")]

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
    successes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    statistic = models.FloatField(default=0.0)
    has_passed = models.BooleanField(default=False)
    guard_statistic = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint("campaign", "stratum", name="gate_state_once_per_stratum")]

    def __str__(self) -> str:
        return f"gate of {self.campaign} {self.stratum or '(pool)'}"


class Decision(models.Model):
    """One decision of the engine, with what it saw; append-only, so that it can be replayed."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="decisions")
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
