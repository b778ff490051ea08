from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.models import Assignment, Attempt, Campaign, HealthReading, LogTail, Report
from otaserver.director.models import InstalledImage, Manifest
from otaserver.fleet.arrival_models import FleetImport
from otaserver.privacy import operations, queries, rules
from otaserver.privacy.errors import RetentionRefusedError
from otaserver.privacy.operations import retention
from otaserver.privacy.tasks import prune_records
from otaserver.tenants.keeping_models import RetentionRule
from otaserver.tenants.models import User
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]


def days_ago(days):
    return NOON - timedelta(days=days)


def make_attempt(tenant, *, finished_at=None):
    vehicle = make_vehicle(tenant)
    campaign = Campaign.objects.create(
        tenant=tenant,
        name=f"c{vehicle.pk}",
        release=make_release(tenant, make_package(tenant, f"p{vehicle.pk}")),
        group=make_group(tenant),
        created_by="x",
        created_at=NOON,
        finished_at=finished_at,
    )
    assignment = Assignment.objects.create(campaign=campaign, vehicle=vehicle, rank=1)
    return Attempt.objects.create(assignment=assignment, vehicle=vehicle, number=1, opened_at=NOON)


def say(attempt, at):
    Report.objects.create(attempt=attempt, report_id=str(at), phase="installing", received_at=at)
    LogTail.objects.create(attempt=attempt, text="x", received_at=at)
    HealthReading.objects.create(assignment=attempt.assignment, name="x", value=1, at=at)


def send_manifest(vehicle, at):
    return Manifest.objects.create(vehicle=vehicle, received_at=at, sha256="0" * 64, body=b"{}", is_accepted=True)


def pruned(tenant):
    return {kind: count for kind, count in operations.prune_records(tenant, at=NOON).items() if count}


def test_what_is_old_goes_and_a_second_time_finds_nothing():
    tenant = make_tenant()
    attempt = make_attempt(tenant, finished_at=days_ago(2000))
    say(attempt, days_ago(2000))
    say(attempt, days_ago(1))

    assert [pruned(tenant), pruned(tenant)] == [{"reports": 1, "logs": 1, "health": 1}, {}]
    assert [Report.objects.count(), LogTail.objects.count(), HealthReading.objects.count()] == [1, 1, 1]


def test_while_a_campaign_goes_on_what_it_is_judged_by_stays():
    tenant = make_tenant()
    say(make_attempt(tenant), days_ago(2000))

    assert pruned(tenant) == {"logs": 1}


def test_a_vehicles_last_manifests_stay_and_those_that_proved_a_change():
    tenant = make_tenant()
    vehicle, other = make_vehicle(tenant), make_vehicle(tenant)
    first, *_ = [send_manifest(vehicle, days_ago(1000 - number)) for number in range(rules.MANIFESTS_KEPT + 3)]
    send_manifest(other, days_ago(1000))
    InstalledImage.objects.create(
        vehicle=vehicle, ecu_serial="a", manifest=first, target_name="a", sha256="b", length=1, since=NOON
    )

    assert pruned(tenant) == {"manifests": 2}
    assert Manifest.objects.filter(pk=first.pk).exists()
    assert (vehicle.manifests.count(), other.manifests.count()) == (rules.MANIFESTS_KEPT + 1, 1)


def test_a_plan_that_nobody_has_touched_for_long_goes():
    tenant = make_tenant()
    for name, days in (("ann", 90), ("bob", 89)):
        person = User.objects.create_user(name)
        PlanDraft.objects.create(tenant=tenant, person=person, changed_at=days_ago(days))

    assert pruned(tenant) == {"drafts": 1}
    assert PlanDraft.objects.get().person.username == "bob"


def test_each_tenant_keeps_for_as_long_as_it_says():
    one, other = make_tenant(), make_tenant()
    for tenant in (one, other):
        FleetImport.objects.create(
            tenant=tenant, kind="csv", filename="x", length=1, created_by="x", created_at=NOON, finished_at=days_ago(10)
        )

    operations.set_retention(one, {"imports": 10}, by="ann", at=NOON)

    assert (pruned(one), pruned(other)) == ({"imports": 1}, {})
    assert Entry.objects.get().details == {"days": {"imports": 10}}


def test_many_are_deleted_batch_by_batch(monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    tenant = make_tenant()
    attempt = make_attempt(tenant)
    for number in range(5):
        LogTail.objects.create(attempt=attempt, text="x", received_at=days_ago(1000 + number))

    assert pruned(tenant) == {"logs": 5}


def test_null_is_the_default_again():
    tenant = make_tenant()
    operations.set_retention(tenant, {"logs": 10, "imports": 20}, by="ann", at=NOON)

    found = operations.set_retention(tenant, {"logs": None}, by="ann", at=NOON)

    assert found == queries.retention_days(tenant)
    assert (found["logs"], found["imports"]) == (rules.KINDS["logs"].days, 20)


@pytest.mark.parametrize("days", [{"logs": 5, "nothing": 5}, {"logs": 0}, {"logs": 36501}])
def test_what_is_no_kind_or_no_number_of_days_changes_nothing(days):
    with pytest.raises(RetentionRefusedError):
        operations.set_retention(make_tenant(), days, by="ann", at=NOON)

    assert (RetentionRule.objects.count(), Entry.objects.count()) == (0, 0)


def test_the_tick_serves_every_tenant_and_can_run_twice():
    for _ in range(2):
        LogTail.objects.create(attempt=make_attempt(make_tenant()), text="x", received_at=days_ago(5000))

    prune_records()
    prune_records()

    assert not LogTail.objects.exists()


def test_every_kind_says_what_is_due():
    assert set(retention.DUE) == set(rules.KINDS)


def test_a_session_of_the_console_goes_when_it_has_ended():
    for key, left in (("ended", timedelta(seconds=-1)), ("open", timedelta(hours=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=clock.now() + left)

    prune_records()

    assert [row.session_key for row in Session.objects.all()] == ["open"]
