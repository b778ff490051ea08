"""A small fleet and its campaigns as a state machine that hypothesis drives: whoever acts, whenever, whatever dies.

Operators, ticks, vehicles and clocks take turns in any order. A call may be refused by the server (`OtaError`) or die
at any of its statements; nothing else may come of it, and after every step what must always hold is looked at.
"""

from collections import Counter
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from itertools import count
from uuid import uuid4

from django.db import connection, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment, Attempt, Blackout, Campaign, Report, Wave
from otaserver.campaigns.operations import VehicleReport
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    IN_FLIGHT_STATES,
    AssignmentState,
    CampaignKind,
    CampaignPriority,
    CampaignState,
    HaltAction,
    ReportOutcome,
    ReportPhase,
    WaveState,
)
from otaserver.director.models import Direction
from otaserver.errors import OtaError
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import install, make_approved, make_fleet, make_versions, serials
from tests.factories import NOON, make_group, make_tenant

VEHICLES = 5
# From 22 to 4 h, every day.
NIGHT = Window(EVERY_DAY, 22 * 60, 6 * 60)
NIGHT_HOURS = {22, 23, 0, 1, 2, 3}
CODES = ("", "install_failed", "health_failed", "verification_failed", "download_failed", "withdrawn", "interrupted")
ENDED = {CampaignState.COMPLETED, CampaignState.CANCELLED}
UNDER_WAY = {CampaignState.RUNNING, CampaignState.PAUSED}


class KilledError(BaseException):
    """The process died."""


@contextmanager
def killed_at(number):
    """A database that takes this many statements and then is gone, once."""
    seen = count()

    def execute(run, sql, params, many, context):
        if next(seen) == number:
            raise KilledError
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


class CampaignMachine(RuleBasedStateMachine):
    """Two rollouts over overlapping groups and the roll-backs that operators draft of them."""

    def __init__(self):
        super().__init__()
        # Each run of the machine in a transaction of its own, rolled back when it ends.
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.now = NOON
        self.names = count(1)
        self.seen_attempts = set()
        self.last_event = "nothing"

    def teardown(self):
        try:
            self.bring_to_an_end()
        finally:
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    # Beginnings

    @initialize(
        waves=st.sampled_from([(100,), (20, 100), (40, 60, 100)]),
        max_in_flight=st.sampled_from([None, 1, 2]),
        max_failed=st.sampled_from([None, 1]),
        wave_rule=st.sampled_from(["proceed", "ask"]),
        grace_hours=st.sampled_from([None, 12]),
        offers_per_minute=st.sampled_from([None, None, 1]),
        windows=st.sampled_from([(), (), (NIGHT,)]),
        downloads_early=st.booleans(),
        days=st.sampled_from([None, None, 20]),
        priorities=st.permutations([CampaignPriority.SECURITY, CampaignPriority.QUALITY]),
        halt_action=st.sampled_from(HaltAction.values),
    )
    def begin(self, *, waves, days, priorities, **plan):
        self.tenant = make_tenant()
        self.old = make_versions(self.tenant)
        self.releases = [make_versions(self.tenant, "2.0"), make_versions(self.tenant, "3.0")]
        self.vehicles = make_fleet(self.tenant, VEHICLES, self.old)
        plan["ends_at"] = NOON + timedelta(days=days) if days else None
        groups = [self.vehicles[:4], self.vehicles[1:]]
        for number, (release, chosen, priority) in enumerate(zip(self.releases, groups, priorities, strict=True)):
            make_approved(
                tenant=self.tenant,
                old=self.old,
                release=release,
                group=make_group(self.tenant, *chosen),
                name=f"rollout-{number}",
                waves=waves,
                wave_failures=1,
                priority=priority,
                **plan,
            )

    # Time and ticks

    @rule(minutes=st.sampled_from([1, 30, 300, 600, 60 * 24, 60 * 24 * 8, 60 * 24 * 15]))
    def let_time_pass(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule(which=st.integers(0, 5), dies_at=st.one_of(st.none(), st.integers(0, 60)))
    def tick(self, which, dies_at):
        campaign = self.campaign(which)
        self.attempt_to("tick", lambda: operations.advance_campaign(campaign.pk, at=self.now), dies_at)

    @rule(dies_at=st.one_of(st.none(), st.integers(0, 12)))
    def lapse(self, dies_at):
        self.attempt_to("lapse", lambda: operations.lapse_due(self.now), dies_at)

    @rule(dies_at=st.one_of(st.none(), st.integers(0, 20)))
    def sweep(self, dies_at):
        self.attempt_to("sweep", lambda: operations.sweep(at=self.now), dies_at)

    # Operators

    @precondition(lambda self: not self.blackouts())
    @rule(dies_at=st.one_of(st.none(), st.integers(0, 20)))
    def freeze(self, dies_at):
        words = {"name": f"freeze-{next(self.names)}", "reason": "As I say.", "by": "alice"}

        def declare():
            operations.declare_blackout(self.tenant, starts_at=self.now, at=self.now, **words)

        self.attempt_to("freeze", declare, dies_at)

    @precondition(lambda self: self.blackouts())
    @rule()
    def thaw(self):
        (blackout,) = self.blackouts()
        self.attempt_to("thaw", lambda: operations.lift_blackout(blackout, reason="As I say.", by="a", at=self.now))

    def blackouts(self):
        return list(Blackout.objects.filter(lifted_at=None).select_related("tenant"))

    @rule(which=st.integers(0, 5), dies_at=st.one_of(st.none(), st.integers(0, 40)))
    def start(self, which, dies_at):
        campaign = self.campaign(which)
        self.attempt_to("start", lambda: operations.start_campaign(campaign, by="alice", at=self.now), dies_at)

    @rule(which=st.integers(0, 5), what=st.sampled_from(["pause", "resume", "stop", "cancel"]))
    def act(self, which, what):
        campaign = self.campaign(which)
        act = getattr(operations, f"{what}_campaign")
        self.attempt_to(what, lambda: act(campaign, by="alice", at=self.now, reason="As I say."))

    @rule(which=st.integers(0, 5), passed=st.booleans())
    def decide(self, which, passed):
        wave = self.campaign(which).waves.filter(state=WaveState.UNDECIDED).first()
        if wave is not None:
            self.attempt_to(
                "decide",
                lambda: operations.decide_wave(wave, passed=passed, reason="As I say.", by="alice", at=self.now),
            )

    @rule(stops=st.booleans())
    def stop_or_resume_everything(self, stops):
        act = operations.stop_tenant if stops else operations.resume_tenant
        self.tenant.refresh_from_db()
        self.attempt_to("tenant", lambda: act(self.tenant, by="alice", at=self.now, reason="As I say."))

    @precondition(lambda self: Campaign.objects.filter(kind=CampaignKind.ROLLBACK).count() < 2)
    @rule(which=st.integers(0, 1))
    def roll_back(self, which):
        name = f"rollback-{next(self.names)}"

        def draft():
            made = operations.create_rollback(
                self.campaign(which), release=self.old, name=name, by="alice", at=self.now
            )
            operations.submit_campaign(made, by="alice", at=self.now)
            operations.approve_campaign(made, by="bob", at=self.now)
            operations.start_campaign(made, by="alice", at=self.now)

        self.attempt_to("roll back", draft)

    # Vehicles

    @rule(
        which=st.integers(0, VEHICLES - 1),
        phase=st.sampled_from(ReportPhase.values),
        outcome=st.sampled_from(ReportOutcome.values),
        code=st.sampled_from(CODES),
        of_latest=st.sampled_from([True, True, True, False]),
        can_prove=st.sampled_from([True, True, False]),
        dies_at=st.one_of(st.none(), st.integers(0, 15)),
    )
    def report(self, *, which, phase, outcome, code, of_latest, can_prove, dies_at):
        vehicle = self.vehicle(which)
        attempts = list(Attempt.objects.filter(vehicle=vehicle).order_by("-number"))
        if attempts:
            attempt = attempts[0] if of_latest else attempts[-1]
            said = VehicleReport(attempt.pk, str(uuid4()), phase, outcome, code=code)
            self.attempt_to(
                f"report {phase} {outcome} {code}",
                lambda: operations.record_report(vehicle, said, can_prove=can_prove, at=self.now),
                dies_at,
            )

    @rule(which=st.integers(0, VEHICLES - 1))
    def repeat_a_report(self, which):
        vehicle = self.vehicle(which)
        said = Report.objects.filter(attempt__vehicle=vehicle).order_by("pk").first()
        if said is not None:
            before = self.picture()
            again = VehicleReport(said.attempt_id, said.report_id, "finished", "failure", code="install_failed")
            operations.record_report(vehicle, again, can_prove=True, at=self.now)
            assert self.picture() == before, "a report that was seen before changed something"

    @rule(which=st.integers(0, VEHICLES - 1), release=st.integers(-1, 1), is_whole=st.sampled_from([True, True, False]))
    def prove(self, which, release, is_whole):
        vehicle = self.vehicle(which)
        runs = self.old if release < 0 else self.releases[release]
        told = serials(vehicle)

        def manifest():
            install(vehicle, runs)
            Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=self.now, last_contact_at=self.now)
            operations.record_evidence(
                vehicle, proved=told if is_whole else set(sorted(told)[:1]), report=None, at=self.now
            )

        self.attempt_to(f"prove {runs}", manifest)

    @rule(which=st.integers(0, VEHICLES - 1))
    def fetch_nothing(self, which):
        vehicle = self.vehicle(which)
        Vehicle.objects.filter(pk=vehicle.pk).update(last_contact_at=self.now)
        self.attempt_to("fetch", lambda: operations.confirm_withdrawal(vehicle, at=self.now))

    # What must always hold

    @invariant()
    def nothing_contradicts_anything(self):
        active = list(Assignment.objects.filter(state__in=ACTIVE_STATES).select_related("campaign"))
        self.one_order_per_vehicle(active)
        self.every_wait_has_an_end()
        self.offers_are_allowed()
        self.counts_are_their_rows()

    def one_order_per_vehicle(self, active):
        assert max(Counter(each.vehicle_id for each in active).values(), default=0) <= 1
        ordered = {each.vehicle_id for each in active if each.state != AssignmentState.WITHDRAWING}
        directed = set(Direction.objects.filter(content__isnull=False).values_list("vehicle_id", flat=True))
        assert directed == ordered, f"after {self.last_event}"
        open_attempts = set(Attempt.objects.filter(closed_at=None).values_list("assignment_id", flat=True))
        assert open_attempts == {each.pk for each in active}, f"after {self.last_event}"

    def every_wait_has_an_end(self):
        waits = Assignment.objects.filter(state__in=IN_FLIGHT_STATES, due_at=None)
        assert not waits.exists(), f"after {self.last_event}"

    def offers_are_allowed(self):
        """Look at the attempts that the last step opened."""
        new = Attempt.objects.exclude(pk__in=self.seen_attempts).select_related("assignment__campaign__tenant")
        for attempt in new:
            campaign = attempt.assignment.campaign
            assert campaign.state == CampaignState.RUNNING, f"{campaign} is {campaign.state}: {self.last_event}"
            assert campaign.tenant.stopped_at is None
            assert not self.blackouts(), f"{campaign} offered during a freeze"
            assert campaign.ends_at is None or attempt.opened_at < campaign.ends_at
            self.offer_is_in_time(campaign, attempt)
            in_flight = campaign.assignments.filter(state__in=IN_FLIGHT_STATES).count()
            assert campaign.max_in_flight is None or in_flight <= campaign.max_in_flight
            self.seen_attempts.add(attempt.pk)

    def offer_is_in_time(self, campaign, attempt):
        if campaign.windows.exists() and not campaign.downloads_early:
            assert attempt.opened_at.hour in NIGHT_HOURS, f"{campaign} offered at {attempt.opened_at}"
        if campaign.offers_per_minute is not None:
            span = (attempt.opened_at - timedelta(minutes=1), attempt.opened_at)
            made = Attempt.objects.filter(assignment__campaign=campaign, opened_at__gt=span[0], opened_at__lte=span[1])
            assert made.count() <= campaign.offers_per_minute

    def counts_are_their_rows(self):
        for campaign in Campaign.objects.all():
            rows = campaign.assignments.values_list("wave__number", "state")
            progress = queries.progress(campaign)
            assert progress.by_state == Counter(state for _, state in rows)
            counted = {(wave, state): n for wave, states in progress.by_wave.items() for state, n in states.items()}
            assert counted == Counter(rows)

    def bring_to_an_end(self):
        """Let people decide and vehicles stay silent from here on: every campaign ends."""
        if not hasattr(self, "tenant"):
            return
        self.tenant.refresh_from_db()
        if self.tenant.stopped_at is not None:
            operations.resume_tenant(self.tenant, by="alice", at=self.now, reason="The end.")
        for blackout in self.blackouts():
            operations.lift_blackout(blackout, reason="The end.", by="alice", at=self.now)
        for _ in range(90):
            started = Campaign.objects.exclude(state__in=[*ENDED, CampaignState.APPROVED, CampaignState.DRAFT])
            for campaign in started.order_by("-kind", "pk"):
                self.help_on(campaign)
            operations.lapse_due(self.now)
            self.nothing_contradicts_anything()
            if not started.exists():
                self.every_verdict_follows()
                return
            # Not whole days: at some of these times each window is open.
            self.now += timedelta(days=4, hours=7)
        left = [(str(each), each.state, each.reason, queries.progress(each).by_state) for each in started]
        raise AssertionError(f"campaigns that never end: {left}")

    def every_verdict_follows(self):
        for campaign in Campaign.objects.all():
            assert queries.replay(campaign).differences == [], f"of {campaign}"

    def help_on(self, campaign):
        if campaign.state == CampaignState.PAUSED:
            self.attempt_to("resume", lambda: operations.resume_campaign(campaign, by="alice", at=self.now))
        if campaign.state == CampaignState.HALTED:
            operations.cancel_campaign(campaign, by="alice", at=self.now)
        for wave in Wave.objects.filter(campaign=campaign, state=WaveState.UNDECIDED):
            operations.decide_wave(wave, passed=True, reason="The end.", by="alice", at=self.now)
        for _ in range(20):
            if not operations.advance_campaign(campaign.pk, at=self.now):
                break

    # The machinery

    def campaign(self, which):
        campaigns = list(Campaign.objects.select_related("tenant").order_by("pk"))
        return campaigns[which % len(campaigns)]

    def vehicle(self, which):
        return Vehicle.objects.get(pk=self.vehicles[which].pk)

    def attempt_to(self, what, call, dies_at=None):
        """Call, and roll back what a refusal or a death leaves: then nothing has changed."""
        self.last_event = what
        before = self.picture()
        try:
            with transaction.atomic(), killed_at(dies_at) if dies_at is not None else nullcontext():
                call()
        except (OtaError, KilledError):
            assert self.picture() == before, f"{what} was refused or died, and left something behind"

    def picture(self):
        models = (Campaign, Wave, Assignment, Attempt, Direction)
        return [list(model.objects.order_by("pk").values_list()) for model in models]
