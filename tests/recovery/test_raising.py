"""A database that is older than what vehicles have seen, and the vehicles that have seen it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from clients.vehicle.hooks import WillingHooks
from firmware_store import blobs
from firmware_store.models import OnlineKey, Package, RoleMetadata
from firmware_store.states import PackageState, Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import outside
from firmware_store.trust.errors import OnlineKeyMissingError
from otaserver.audit.models import Entry
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.states import AssignmentState
from otaserver.director.models import Manifest, VehicleMetadata
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.fleet.operations import create_claim_code
from otaserver.recovery import operations
from otaserver.recovery.errors import MarkMissingError, VersionRefusedError
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import make_running, tick
from tests.clients.vehicle.vehicles import what_runs
from tests.factories import make_group, make_release, make_tenant
from tests.recovery.conftest import Backup
from tests.vehicle_api.conftest import make_stored_package


def follow_campaign(road):
    """The car takes release 2.0; return the assignment."""
    road.start_campaign()
    assert road.agent.run_once().status == "installed"
    return Assignment.objects.get()


def live_on(road):
    """Some days of polls, each signed for anew."""
    for _ in range(3):
        road.clock.advance(hours=20)
        trust.refresh_online(road.tenant, at=road.clock.now)
        assert road.agent.run_once().status == "idle"


def publish_third(road):
    """Release 3.0 is published, signed off the server."""
    packages = [
        make_stored_package(road.tenant, f"{hardware} 3.0 ".encode() * 9000, hardware, "3.0", hardware_ids=(hardware,))
        for hardware in ("gateway", "brake")
    ]
    every = [*road.packages["1.0"], *road.packages["2.0"], *packages]
    road.trust.publish_images(*every, version=2, at=road.clock.now)


def order_third(road):
    old = make_release(road.tenant, *road.packages["2.0"], name="two")
    third = make_release(road.tenant, *Package.objects.filter(version="3.0"), name="three")
    group = make_group(road.tenant, Vehicle.objects.get())
    return make_running(tenant=road.tenant, old=old, release=third, group=group, name="third")


def with_code(road, code):
    """The car, with a claim code in its configuration."""
    road.config = replace(road.config, claim_code=code)
    return road.make_agent(WillingHooks())


def test_without_raised_versions_a_vehicle_refuses_a_restored_server_and_with_them_it_goes_on(road):
    backup = Backup()
    live_on(road)
    backup.restore()

    refused = road.agent.run_once()
    operations.recover(at=road.clock.now)

    assert (refused.status, refused.detail.partition(":")[0]) == ("never", "rollback")
    assert (road.agent.run_once().status, road.agent.run_once().status) == ("idle", "idle")
    versions = VehicleMetadata.objects.get(profile=Profile.TUF)
    assert (versions.targets_version, versions.snapshot_version) == (2_000_001, 2_000_001)
    newest = RoleMetadata.objects.filter(repository=Repository.IMAGE, role="snapshot").order_by("-version").first()
    assert newest.version == 2_000_001


def test_what_was_signed_published_and_rotated_after_the_backup_is_taken_back(road):
    backup = Backup()
    live_on(road)
    publish_third(road)
    road.trust.rotate_both(at=road.clock.now)
    active = set(OnlineKey.objects.filter(retired_at=None).values_list("keyid", flat=True))
    assert road.agent.run_once().status == "idle"
    backup.restore()

    recovered = operations.recover(at=road.clock.now)

    assert [one.adopted for one in recovered] == [
        ["image root 2", "director root 2", "image targets 2", "image supplier 2"]
    ]
    assert recovered[0].packages.published == ("supplier/brake-3.0", "supplier/gateway-3.0")
    assert set(OnlineKey.objects.filter(retired_at=None).values_list("keyid", flat=True)) == active
    assert road.agent.run_once().status == "idle"
    order_third(road)
    assert road.agent.run_once().status == "installed"
    assert what_runs(road.config.state_dir) == road.names("3.0")
    assert Attempt.objects.get().number == 2_000_001


def test_what_a_vehicle_installed_after_the_backup_is_found_out_and_settles_its_order(road):
    road.start_campaign()
    backup = Backup()
    assert road.agent.run_once().status == "installed"
    live_on(road)
    backup.restore()
    before = Assignment.objects.get()
    counters = dict(Ecu.objects.values_list("serial", "report_counter"))

    operations.recover(at=road.clock.now)
    statuses = [road.agent.run_once().status for _ in range(2)]

    assert (before.state, statuses) == (AssignmentState.OFFERED, ["idle", "idle"])
    assert {ecu.serial: ecu.installed_target for ecu in Ecu.objects.all()} == road.names("2.0")
    assert all(ecu.report_counter > counters[ecu.serial] for ecu in Ecu.objects.all())
    assert Manifest.objects.filter(is_accepted=False).count() == 0
    assignment = Assignment.objects.get()
    assert assignment.state == AssignmentState.SOAKING
    road.clock.advance(hours=9)
    tick(assignment.campaign, road.clock.now)
    assert Assignment.objects.get().state == AssignmentState.SUCCEEDED


def test_a_campaign_lost_with_the_database_ends_for_the_vehicle_that_was_under_way(road):
    backup = Backup()
    road.start_campaign()
    road.agent.run_once()
    backup.restore()

    operations.recover(at=road.clock.now)

    assert road.agent.run_once().status == "idle"
    assert {ecu.serial: ecu.installed_target for ecu in Ecu.objects.all()} == road.names("2.0")
    assert Assignment.objects.count() == 0


def test_a_credential_that_the_database_no_longer_knows_is_refused_until_a_new_claim_code(road):
    backup = Backup()
    road.clock.advance(days=300)
    trust.refresh_online(road.tenant, at=road.clock.now)
    assert road.agent.run_once().status == "idle"  # it has renewed
    lost_code = create_claim_code(road.tenant, "VIN1", at=road.clock.now)
    backup.restore()
    operations.recover(at=road.clock.now)

    refused = road.agent.run_once()

    assert (refused.status, refused.detail.partition(":")[0]) == ("not_now", "credential.invalid")
    assert with_code(road, lost_code).run_once().detail.partition(":")[0] == "claim.invalid"
    assert with_code(road, create_claim_code(road.tenant, "VIN1", at=road.clock.now)).run_once().status == "idle"
    assert Credential.objects.filter(revoked_at=None, used_at__isnull=False).count() == 2


def test_a_package_withdrawn_after_the_backup_stays_withdrawn(road):
    backup = Backup()
    road.trust.publish_images(*road.packages["1.0"], version=2, at=road.clock.now)
    backup.restore()

    recovered = operations.recover(at=road.clock.now)

    assert recovered[0].packages.withdrawn == ("supplier/brake-2.0", "supplier/gateway-2.0")
    assert Package.objects.filter(state=PackageState.WITHDRAWN).count() == 2


def test_a_file_that_is_not_stored_is_named(road):
    backup = Backup()
    publish_third(road)
    default_storage.delete(blobs.blob_path(Package.objects.get(name="gateway", version="3.0").sha256))
    backup.restore()

    recovered = operations.recover(at=road.clock.now)

    assert recovered[0].packages.missing == ("supplier/gateway-3.0",)


def test_repeating_adopts_nothing_and_raises_again(road):
    operations.recover(at=road.clock.now)

    again = operations.recover(at=road.clock.now)

    assert [(one.floor, one.adopted, one.packages.published) for one in again] == [(4_000_000, [], ())]
    assert Entry.objects.filter(action="server.restored").count() == 2
    assert road.agent.run_once().status == "idle"


def test_without_a_mark_nothing_is_raised_until_somebody_says_how_high(road, settings):
    shutil.rmtree(outside.folder("acme") / "issued")

    with pytest.raises(MarkMissingError):
        operations.recover(at=road.clock.now)

    assert Tenant.objects.get().version_floor == 0
    assert operations.recover(above=7_000_000, at=road.clock.now)[0].floor == 9_000_000


def test_a_version_that_not_every_client_reads_is_refused(road):
    with pytest.raises(VersionRefusedError):
        operations.recover(above=2**31, at=road.clock.now)

    assert VehicleMetadata.objects.count() == 1


def test_a_root_whose_online_key_is_gone_is_not_adopted(road):
    backup = Backup()
    road.trust.rotate(Repository.DIRECTOR, at=road.clock.now)
    lost = OnlineKey.objects.get(repository=Repository.DIRECTOR, role="targets", retired_at=None)
    backup.restore()
    Path(lost.uri.removeprefix("file2:")).unlink()

    with pytest.raises(OnlineKeyMissingError):
        operations.recover(at=road.clock.now)

    assert (Tenant.objects.get().version_floor, VehicleMetadata.objects.count()) == (0, 1)


def test_keys_that_now_lie_elsewhere_are_found(road, settings, tmp_path):
    moved = tmp_path / "moved"
    shutil.move(settings.ONLINE_KEYS, moved)
    settings.ONLINE_KEYS = str(moved)

    operations.recover(at=road.clock.now)

    assert all(str(moved) in key.uri for key in OnlineKey.objects.all())
    assert road.agent.run_once().status == "idle"


@pytest.mark.django_db
def test_a_tenant_that_was_opened_after_the_backup_is_named(settings):
    outside.note_issued(make_tenant("known"), Repository.IMAGE, 1)
    lost = make_tenant("lost")
    outside.note_issued(lost, Repository.IMAGE, 1)
    lost.delete()

    assert operations.unknown_tenants() == ["lost"]
