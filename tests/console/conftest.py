"""A tenant in the middle of a campaign, people who may see it, and a browser."""

import hashlib
import shutil
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from playwright.sync_api import sync_playwright

from firmware_store.models import VerificationKey
from firmware_store.states import KeyFormat
from otaserver import urls  # noqa: F401 - with it the pages are on the site
from otaserver.audit import operations as audit
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    Blackout,
    Campaign,
    Decision,
    GateState,
    Report,
    SoftwareChange,
    Wave,
    WorkshopCase,
)
from otaserver.campaigns.states import (
    IN_FLIGHT_STATES,
    AssignmentState,
    CampaignState,
    ReportOutcome,
    ReportPhase,
    Verdict,
    WaveState,
)
from otaserver.director.models import Direction, Manifest
from otaserver.events.models import Delivery, Endpoint, Event, Feed, Mail
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.protocol_models import DdiSettings, GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.fleet.states import ImportKind
from otaserver.fleet.watch_models import SeenRequest
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle

PASSWORD = "correct horse battery"


def make_member(tenant, role=Role.VIEWER, username="mia"):
    user = User.objects.create_user(username, password=PASSWORD)
    Member.objects.create(tenant=tenant, user=user, role=role)
    return user


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def tell(tenant, campaign):
    """An event of the campaign, on its way to an endpoint and to a mailbox."""
    count = Event.objects.count()
    event = Event.objects.create(
        tenant=tenant,
        sequence=count + 1,
        public_id=uuid.uuid4(),
        type="campaign.started",
        subject=f"campaign/{campaign.pk}",
        at=NOON,
        data={},
    )
    Feed.objects.update_or_create(tenant=tenant, defaults={"sequence": event.sequence})
    endpoint = Endpoint.objects.create(
        tenant=tenant, url="https://example.com/", salt="0", created_by="mia", created_at=NOON
    )
    Delivery.objects.create(endpoint=endpoint, event=event, due_at=NOON, created_at=NOON)
    Mail.objects.create(tenant=tenant, address="mia@example.com", subject=event.subject, due_at=NOON)


def make_campaign(tenant, *, name="autumn rollout", vehicles=4, state=CampaignState.RUNNING):
    """A campaign of two waves: the first with a success, a failure and one under way, the second waiting."""
    package = make_package(tenant, "engine", name.replace(" ", "-"))
    release = make_release(tenant, package, name=name)
    cars = [make_vehicle(tenant) for _ in range(vehicles)]
    campaign = Campaign.objects.create(
        tenant=tenant,
        name=name,
        state=state,
        release=release,
        group=make_group(tenant, *cars),
        created_by="factory",
        created_at=NOON,
        started_at=NOON,
    )
    Blackout.objects.create(
        tenant=tenant, name=f"{name} freeze", reason="Holidays.", starts_at=NOON, created_by="factory", created_at=NOON
    )
    AuthenticationSet.objects.create(
        tenant=tenant,
        identity={"vin": cars[0].vehicle_id},
        identity_sha256=cars[0].vehicle_id,
        key_sha256="0" * 64,
        claimed_vehicle_id=cars[0].vehicle_id,
        created_at=NOON,
    )
    first = Wave.objects.create(campaign=campaign, number=1, percent=25, state=WaveState.OPEN, opened_at=NOON)
    second = Wave.objects.create(campaign=campaign, number=2, percent=100)
    states = [AssignmentState.SUCCEEDED, AssignmentState.FAILED, AssignmentState.INSTALLING]
    for index, car in enumerate(cars):
        state = states[index] if index < len(states) else AssignmentState.WAITING
        assignment = Assignment.objects.create(
            campaign=campaign,
            vehicle=car,
            wave=first if index < len(states) else second,
            state=state,
            rank=index,
            stratum="gateway",
            offered_at=NOON,
            due_at=NOON if state in IN_FLIGHT_STATES else None,
        )
        if index < len(states):
            _add_attempt(assignment, car, state)
    Assignment.objects.create(
        campaign=campaign,
        vehicle=make_vehicle(tenant, hardware=("radio",)),
        state=AssignmentState.EXCLUDED,
        verdict=Verdict.WRONG_HARDWARE,
        rank=99,
    )
    GateState.objects.create(campaign=campaign, successes=1, failures=1, statistic=1.37)
    Decision.objects.create(
        campaign=campaign,
        wave=first,
        at=NOON,
        kind="wave.opened",
        actor="engine",
        sentence="Wave 1 is open to 3 vehicles.",
    )
    WorkshopCase.objects.create(vehicle=cars[0], code="silent", reason="Nothing was heard.", opened_at=NOON)
    SoftwareChange.objects.create(
        vehicle=cars[0], ecu_serial="a", to_target="b", to_sha256="c", at=NOON, cause="foreign", policy="flag"
    )
    SeenRequest.objects.create(
        tenant=tenant, vehicle=cars[0], at=NOON, address="192.0.2.1", method="GET", path="/x", identity="", status=200
    )
    _add_protocol_rows(tenant, name)
    audit.record("campaign.started", campaign, tenant=tenant, by="mia", at=NOON)
    tell(tenant, campaign)
    return campaign


def _add_protocol_rows(tenant, name):
    made = {"tenant": tenant, "created_by": "factory", "created_at": NOON}
    digest = hashlib.sha256(f"{tenant} {name}".encode()).hexdigest()
    GatewayToken.objects.create(name=name, sha256=digest, **made)
    DdiSettings.objects.get_or_create(tenant=tenant)
    ProvisioningCredential.objects.create(
        name=name.replace(" ", "-"), fingerprint=digest, expires_at=NOON + timedelta(days=1), **made
    )
    VerificationKey.objects.create(name=name, format=KeyFormat.values[0], pem="-", **made)
    FleetImport.objects.create(
        kind=ImportKind.values[0], filename=f"{name}.csv", stored_as=digest, sha256=digest, length=1, **made
    )


def _add_attempt(assignment, car, state):
    is_closed = state != AssignmentState.INSTALLING
    outcome = {AssignmentState.SUCCEEDED: ReportOutcome.SUCCESS, AssignmentState.FAILED: ReportOutcome.FAILURE}
    attempt = Attempt.objects.create(
        assignment=assignment,
        vehicle=car,
        number=1,
        opened_at=NOON,
        closed_at=NOON + timedelta(minutes=9) if is_closed else None,
        outcome=outcome.get(state, ReportOutcome.NONE),
    )
    Report.objects.create(attempt=attempt, report_id="r1", phase=ReportPhase.DOWNLOADING, progress=40, received_at=NOON)
    package = assignment.campaign.release.items.get().package
    serial = car.ecus.get().serial
    Direction.objects.create(
        vehicle=car,
        attempt_id=attempt.pk,
        content={"custom": {}, "targets": {package.target_name: {"custom": {"ecuIdentifiers": {serial: {}}}}}},
        revision=1,
        changed_at=NOON,
    )
    Manifest.objects.create(
        vehicle=car,
        received_at=NOON,
        sha256="ab" * 32,
        body=b"{}",
        is_accepted=True,
        findings=["An ECU that nobody knows: brake-9."],
    )


@pytest.fixture
def tenant(db):
    return make_tenant("north", title="North")


@pytest.fixture
def campaign(tenant):
    return make_campaign(tenant)


@pytest.fixture
def page(monkeypatch):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    # Playwright's event loop runs in this thread, where Django then suspects asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()
