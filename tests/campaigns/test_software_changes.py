"""Software that arrives outside a campaign: told from what was ordered, and met as the policy says."""

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt, SoftwareChange
from otaserver.campaigns.rules import software_changes as changes
from otaserver.campaigns.states import ChangeCause
from otaserver.director.models import Direction, InstalledImage, Manifest
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    in_turn,
    install,
    make_running,
    make_started,
    make_versions,
    report,
    serials,
    states,
    tick,
)

pytestmark = pytest.mark.django_db


def flash(vehicle, release, when):
    """Let a manifest be accepted that proves this release, as the Director writes it down, and its evidence taken."""
    before = dict(vehicle.ecus.values_list("serial", "installed_sha256"))
    install(vehicle, release)
    manifest = Manifest.objects.create(vehicle=vehicle, received_at=when, sha256="0", body=b"", is_accepted=True)
    for ecu in vehicle.ecus.all():
        images = InstalledImage.objects.filter(vehicle=vehicle, ecu_serial=ecu.serial)
        if ecu.installed_sha256 != before[ecu.serial] or not images.exists():
            InstalledImage.objects.create(
                vehicle=vehicle,
                ecu_serial=ecu.serial,
                manifest=manifest,
                target_name=ecu.installed_target,
                sha256=ecu.installed_sha256,
                length=1,
                since=when,
            )
    operations.record_evidence(vehicle, proved=serials(vehicle), report=None, at=when)


def causes():
    return [*SoftwareChange.objects.order_by("pk").values_list("cause", "policy").distinct()]


def first_contact(campaign):
    """The vehicle has proved what it ran before the campaign."""
    vehicle = Vehicle.objects.get()
    flash(vehicle, campaign.fallback_release, at(minutes=-5))
    return vehicle


def test_what_an_order_put_there_is_no_foreign_software():
    campaign = make_running(vehicles=1)
    vehicle = first_contact(campaign)
    report(in_turn(campaign)[0], "installing")

    flash(vehicle, campaign.release, at(hours=1))
    flash(vehicle, campaign.fallback_release, at(hours=2))

    rows = SoftwareChange.objects.filter(ecu_serial=vehicle.ecus.first().serial).order_by("at")
    assert [(row.cause, row.policy) for row in rows] == [("first", ""), ("order", ""), ("reverted", "")]
    assert (rows[1].from_target, rows[1].to_target) == ("supplier/gateway-1.0", "supplier/gateway-2.0")


def test_foreign_software_is_flagged_unless_the_tenant_says_otherwise():
    campaign = make_running(vehicles=1)
    vehicle = first_contact(campaign)

    flash(vehicle, make_versions(campaign.tenant, "9.0"), at(hours=1))

    foreign = SoftwareChange.objects.filter(cause="foreign")
    assert [(row.policy, row.campaign, row.to_target) for row in foreign.order_by("to_target")] == [
        ("flag", campaign, "supplier/brake-9.0"),
        ("flag", campaign, "supplier/gateway-9.0"),
    ]
    assert states(campaign) == ["offered"]


def test_a_manifest_sent_again_records_nothing_twice():
    campaign = make_running(vehicles=1)
    vehicle = first_contact(campaign)
    count = SoftwareChange.objects.count()

    operations.record_evidence(vehicle, proved=serials(vehicle), report=None, at=at(hours=1))

    assert SoftwareChange.objects.count() == count == 2


def test_what_was_wanted_anyway_is_adopted_and_counts_neither_way():
    campaign = make_started(vehicles=1, foreign_software="adopt")
    vehicle = first_contact(campaign)

    flash(vehicle, campaign.release, at(hours=1))

    assignment = in_turn(campaign)[0]
    assert (assignment.state, assignment.code, assignment.settled_at) == ("superseded", "adopted", at(hours=1))
    assert causes()[-1] == ("foreign", "adopt")
    tick(campaign, at(hours=2))
    assert (campaign.state, campaign.gate_states.get().successes) == ("completed", 0)


def test_the_tenants_policy_holds_where_no_campaign_has_one():
    campaign = make_started(vehicles=1)
    Tenant.objects.update(foreign_software="adopt")
    vehicle = first_contact(campaign)

    flash(Vehicle.objects.get(), campaign.release, at(hours=1))

    assert states(campaign) == ["superseded"]
    assert vehicle.software_changes.filter(policy="adopt").count() == 2


def make_driven():
    """A campaign that succeeded on one vehicle and is still open for another."""
    campaign = make_running(vehicles=2, foreign_software="redrive")
    first, _ = in_turn(campaign)
    flash(first.vehicle, campaign.fallback_release, at(minutes=-5))
    report(first, "installing")
    flash(first.vehicle, campaign.release, at(minutes=5))
    tick(campaign, at(minutes=5) + SOAK)
    assert states(campaign)[0] == "succeeded"
    return campaign, first.vehicle


def test_our_release_is_brought_back_where_an_open_campaign_covers_the_vehicle():
    campaign, vehicle = make_driven()

    flash(vehicle, make_versions(campaign.tenant, "9.0"), at(days=1))
    assert states(campaign)[0] == "waiting"
    tick(campaign, at(days=1))

    assert states(campaign)[0] == "offered"
    assert Direction.objects.get(vehicle=vehicle).content is not None
    assert causes()[-1] == ("foreign", "redrive")
    # Its first result stands, and is read once.
    assert campaign.gate_states.get().successes == 1
    report(in_turn(campaign)[0], "installing", at=at(days=1))
    flash(vehicle, campaign.release, at(days=1, hours=1))
    tick(campaign, at(days=3))
    assert states(campaign)[0] == "succeeded"
    assert campaign.gate_states.get().successes == 1


def test_it_is_brought_back_only_as_often_as_a_vehicle_is_tried():
    campaign, vehicle = make_driven()
    releases = [make_versions(campaign.tenant, f"{number}.0") for number in (7, 8, 9, 10)]
    for day, release in enumerate(releases, start=1):
        flash(vehicle, release, at(days=day))
        if states(campaign)[0] == "waiting":
            tick(campaign, at(days=day))
            report(in_turn(campaign)[0], "installing", at=at(days=day))
            flash(vehicle, campaign.release, at(days=day, hours=1))
            tick(campaign, at(days=day, hours=10))

    assert Attempt.objects.filter(vehicle=vehicle).count() == 1 + campaign.max_attempts
    assert causes()[-1] == ("foreign", "flag")


def test_without_an_open_campaign_foreign_software_is_flagged():
    campaign, vehicle = make_driven()
    operations.cancel_campaign(campaign, by="alice", at=at(days=1))
    Tenant.objects.update(foreign_software="redrive")

    flash(Vehicle.objects.get(pk=vehicle.pk), make_versions(campaign.tenant, "9.0"), at(days=2))

    assert states(campaign)[0] == "succeeded"
    assert causes()[-1] == ("foreign", "flag")


def test_of_each_vehicle_the_newest_changes_are_kept(monkeypatch):
    monkeypatch.setattr(changes, "MAX_CHANGES", 4)
    campaign = make_running(vehicles=1)
    vehicle = first_contact(campaign)
    for number in range(5):
        flash(vehicle, make_versions(campaign.tenant, f"9.{number}"), at(hours=number))

    kept = SoftwareChange.objects.order_by("at")
    assert {row.at for row in kept} == {at(hours=3), at(hours=4)}
    assert kept.count() == 4


@pytest.mark.parametrize(
    ("before", "now", "ran", "ordered", "expected"),
    [
        ("", "a", "", {"a"}, ChangeCause.FIRST),
        ("a", "b", "", {"b"}, ChangeCause.ORDER),
        ("b", "a", "a", {"b"}, ChangeCause.REVERTED),
        ("b", "c", "a", {"b"}, ChangeCause.FOREIGN),
        ("a", "b", "b", set(), ChangeCause.FOREIGN),
    ],
)
def test_why_software_changed(before, now, ran, ordered, expected):
    assert changes.cause(before=before, now=now, ran_before_that=ran, ordered=ordered) == expected
