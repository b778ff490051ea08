from decimal import Decimal

import pytest

from firmware_store.models import Package, ReleaseCondition, RoleMetadata
from firmware_store.states import PackageState
from otaserver.audit.models import Entry
from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState
from otaserver.fleet.models import Vehicle
from otaserver.statemachine import InvalidTransitionError, StaleStateError
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import (
    at,
    in_turn,
    install,
    make_approved,
    make_campaign,
    make_fleet,
    make_started,
    make_versions,
    tick,
)
from tests.factories import NOON, make_group, make_release, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def test_a_campaign_is_drafted_with_its_waves_and_written_into_the_audit_chain():
    campaign = make_campaign(waves=(5, 25, 100), wave_failures=2, halt_codes=["b", "a"])

    campaign.refresh_from_db()
    assert campaign.state == "draft"
    assert campaign.halt_codes == ["a", "b"]
    assert [(w.number, w.percent, w.max_failed) for w in campaign.waves.all()] == [
        (1, Decimal(5), 2),
        (2, Decimal(25), 2),
        (3, Decimal(100), 2),
    ]
    assert Entry.objects.get().action == Decision.objects.get().kind == "campaign.created"


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"name": "été"}, "printable ASCII"),
        ({"waves": (50,)}, "reach 100"),
        ({"acceptable_rate": 0.5}, "Rates"),
        ({"soak_seconds": 0}, "at least a second"),
        ({"max_attempts": 0}, "at least one attempt"),
        ({"install_timeout_seconds": 0}, "timeout"),
        ({"max_in_flight": 0}, "in flight"),
        ({"wave_rule": "hope"}, "wave rule"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan, problem):
    with pytest.raises(errors.PlanRefusedError, match=problem):
        make_campaign(vehicles=1, **plan)

    assert not Campaign.objects.exists()


@pytest.mark.parametrize("foreign", ["release", "group", "fallback_release"])
def test_nothing_of_another_tenant_enters_a_campaign(foreign):
    other = make_tenant()
    release = make_versions(other, "9.0")
    what = {"release": release, "fallback_release": release, "group": make_group(other)}[foreign]

    with pytest.raises(errors.PlanRefusedError, match="own tenant"):
        make_campaign(vehicles=1, **{foreign: what})

    assert not Campaign.objects.exists()


def test_a_name_is_used_once_in_a_tenant():
    campaign = make_campaign(vehicles=1)

    with pytest.raises(errors.CampaignNameTakenError):
        make_campaign(tenant=campaign.tenant, old=campaign.fallback_release, release=campaign.release, vehicles=1)

    assert Campaign.objects.count() == 1


def test_a_release_with_an_unpublished_package_is_refused():
    tenant = make_tenant()
    release = make_versions(tenant, "2.0", state=PackageState.UPLOADING)

    with pytest.raises(errors.ReleaseNotPublishedError):
        make_campaign(tenant=tenant, release=release, vehicles=1)


def test_a_release_without_packages_is_refused():
    tenant = make_tenant()

    with pytest.raises(errors.ReleaseNotPublishedError):
        make_campaign(tenant=tenant, release=make_release(tenant), vehicles=1)


def test_a_campaign_needs_a_way_back_or_a_reason():
    with pytest.raises(errors.NoWayBackError, match="or gives the reason"):
        make_campaign(vehicles=1, fallback_release=None, no_way_back_reason=" ")

    assert make_campaign(vehicles=1, fallback_release=None, no_way_back_reason="The old one is unsafe.").pk


def test_a_fallback_that_vehicles_would_refuse_is_no_way_back():
    tenant = make_tenant()
    new = make_versions(tenant, "2.0", release_counter=1)

    with pytest.raises(errors.NoWayBackError, match="commits counter 1"):
        make_campaign(tenant=tenant, release=new, vehicles=1)

    assert not Campaign.objects.exists()


@pytest.mark.parametrize("group", ["empty", "wrong_hardware", "already_there"])
def test_a_campaign_that_fits_no_vehicle_is_not_submitted(group):
    tenant = make_tenant()
    new = make_versions(tenant, "2.0")
    vehicles = {
        "empty": list,
        "wrong_hardware": lambda: [make_vehicle(tenant, hardware=("radio",))],
        "already_there": lambda: make_fleet(tenant, 1, new),
    }[group]()
    campaign = make_campaign(tenant=tenant, release=new, group=make_group(tenant, *vehicles))

    with pytest.raises(errors.NoVehicleFitsError):
        operations.submit_campaign(campaign, by="alice", at=NOON)

    assert Campaign.objects.get().state == "draft"
    assert Decision.objects.count() == 1


def test_approval_looks_at_the_group_again():
    campaign = make_campaign(vehicles=1)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    install(Vehicle.objects.get(), campaign.release)

    with pytest.raises(errors.NoVehicleFitsError):
        operations.approve_campaign(campaign, by="bob", at=NOON)

    assert Campaign.objects.get().state == "in_review"


def store_metadata(campaign, *, days, repository="image", role="supplier", version=1):
    RoleMetadata.objects.create(
        tenant=campaign.tenant,
        repository=repository,
        role=role,
        profile="tuf-1.0",
        version=version,
        body=b"",
        sha256="",
        expires_at=at(days=days),
        created_at=NOON,
    )


@pytest.mark.parametrize(("days", "is_refused"), [(21, True), (22, False)])
def test_a_campaign_that_would_outlive_its_metadata_is_not_approved(days, is_refused):
    campaign = make_campaign(vehicles=1)
    store_metadata(campaign, days=1)
    store_metadata(campaign, days=days, version=2)
    operations.submit_campaign(campaign, by="alice", at=NOON)

    if is_refused:
        with pytest.raises(errors.MetadataEndsError, match=r"role supplier \(image\) ends on 2026-06-22"):
            operations.approve_campaign(campaign, by="bob", at=NOON)
        assert Campaign.objects.get().state == "in_review"
    else:
        operations.approve_campaign(campaign, by="bob", at=NOON)
        assert Campaign.objects.get().approved_by == "bob"


@pytest.mark.parametrize(
    ("repository", "role", "is_refused"),
    [
        ("image", "root", True),
        ("image", "targets", True),
        ("image", "timestamp", False),
        ("image", "other", False),
        ("director", "root", True),
        ("director", "targets", False),
    ],
)
def test_the_offline_roles_of_both_repositories_must_last(repository, role, is_refused):
    campaign = make_campaign(vehicles=1)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    # The other repository's role of the same name is a newer one.
    store_metadata(campaign, days=999, repository="image" if repository == "director" else "director", role=role)
    store_metadata(campaign, days=2, repository=repository, role=role)

    if is_refused:
        with pytest.raises(errors.MetadataEndsError, match=rf"role {role} \({repository}\)"):
            operations.approve_campaign(campaign, by="bob", at=NOON)
    else:
        operations.approve_campaign(campaign, by="bob", at=NOON)

    assert Campaign.objects.get().state == ("in_review" if is_refused else "approved")


def test_a_campaign_is_scheduled_only_for_when_its_metadata_lasts():
    campaign = make_approved(vehicles=1)
    store_metadata(campaign, days=60)

    with pytest.raises(errors.MetadataEndsError):
        operations.schedule_campaign(campaign, starts_at=at(days=39), by="alice", at=NOON)
    assert (Campaign.objects.get().state, Campaign.objects.get().starts_at) == ("approved", None)
    # A time that is past means now.
    with pytest.raises(errors.MetadataEndsError):
        operations.schedule_campaign(campaign, starts_at=NOON, by="alice", at=at(days=39))
    operations.schedule_campaign(campaign, starts_at=at(days=38), by="alice", at=NOON)

    assert Campaign.objects.get().state == "scheduled"


def test_a_start_looks_again_at_the_metadata():
    campaign = make_approved(vehicles=1)
    store_metadata(campaign, days=60)

    with pytest.raises(errors.MetadataEndsError):
        operations.start_campaign(campaign, by="alice", at=at(days=39))

    assert Campaign.objects.get().state == "approved"
    assert not Assignment.objects.exists()
    operations.start_campaign(Campaign.objects.get(), by="alice", at=at(days=38))


def test_a_start_looks_again_at_the_way_back():
    campaign = make_approved(vehicles=1)
    Package.objects.filter(version="1.0").update(state=PackageState.WITHDRAWN)

    with pytest.raises(errors.ReleaseNotPublishedError, match=r"not published is supplier/brake-1\.0"):
        operations.start_campaign(campaign, by="alice", at=NOON)

    assert Campaign.objects.get().state == "approved"
    assert not Assignment.objects.exists()


def test_a_rejected_campaign_is_a_draft_again_with_the_reason():
    campaign = make_campaign(vehicles=1)
    operations.submit_campaign(campaign, by="alice", at=NOON)

    with pytest.raises(errors.ReasonMissingError):
        operations.reject_campaign(campaign, by="bob", at=NOON, reason="  ")
    operations.reject_campaign(campaign, by="bob", at=NOON, reason="Too soon.")

    campaign.refresh_from_db()
    assert (campaign.state, campaign.reason) == ("draft", "Too soon.")


def test_a_draft_cannot_be_started():
    campaign = make_campaign(vehicles=1)

    with pytest.raises(InvalidTransitionError):
        operations.start_campaign(campaign, by="alice", at=NOON)

    assert not Assignment.objects.exists()


def test_the_start_freezes_every_vehicle_with_its_verdict_rank_stratum_and_configuration():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    (fits,) = make_fleet(tenant, 1, old)
    (done,) = make_fleet(tenant, 1, new)
    radio = make_vehicle(tenant, hardware=("radio",))
    blocked = make_vehicle(tenant, blocked_at=NOON)
    group = make_group(tenant, fits, done, radio, blocked)

    campaign = make_started(tenant=tenant, old=old, release=new, group=group)

    verdicts = {a.vehicle: (a.state, a.verdict) for a in in_turn(campaign)}
    assert verdicts == {
        fits: ("waiting", "fits"),
        done: ("excluded", "already_there"),
        radio: ("excluded", "wrong_hardware"),
        blocked: ("excluded", "blocked"),
    }
    frozen = campaign.assignments.get(vehicle=fits)
    assert frozen.stratum == "brake+gateway"
    assert [(hardware, target) for hardware, target, _ in frozen.configuration.ecus] == [
        ("brake", "supplier/brake-1.0"),
        ("gateway", "supplier/gateway-1.0"),
    ]
    assert campaign.waves.get().places == 1
    assert GateState.objects.get().planned_results == 1


def test_the_order_of_vehicles_is_random_and_the_same_for_the_same_names():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    vehicles = make_fleet(tenant, 12, old)
    ids = [str(vehicle) for vehicle in vehicles]
    orders = []
    for name in ("first", "second"):
        group = make_group(tenant, *vehicles)
        campaign = make_started(tenant=tenant, old=old, release=new, group=group, name=name)
        orders.append([str(a.vehicle) for a in in_turn(campaign)])

    assert sorted(orders[0]) == sorted(orders[1]) == ids
    assert len({tuple(ids), *map(tuple, orders)}) == 3


def test_each_kind_of_hardware_gets_a_test_of_its_own():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    vehicles = [*make_fleet(tenant, 3, old), *make_fleet(tenant, 2, old, hardware=("gateway",))]

    make_started(tenant=tenant, old=old, release=new, group=make_group(tenant, *vehicles))

    planned = dict(GateState.objects.values_list("stratum", "planned_results"))
    assert planned == {"": 5, "brake+gateway": 3, "gateway": 2}


def test_a_campaign_can_do_without_strata():
    tenant = make_tenant()
    old = make_versions(tenant)
    vehicles = [*make_fleet(tenant, 1, old), *make_fleet(tenant, 1, old, hardware=("gateway",))]

    make_started(tenant=tenant, old=old, group=make_group(tenant, *vehicles), is_stratified=False)

    assert GateState.objects.get().stratum == ""


def test_a_start_that_finds_no_vehicle_leaves_nothing_behind():
    campaign = make_approved(vehicles=1)
    install(Vehicle.objects.get(), campaign.release)

    with pytest.raises(errors.NoVehicleFitsError):
        operations.start_campaign(campaign, by="alice", at=NOON)

    assert Campaign.objects.get().state == "approved"
    assert not Assignment.objects.exists()


def test_of_two_operators_starting_a_campaign_only_one_succeeds():
    campaign = make_approved(vehicles=2)
    stale = Campaign.objects.get()
    operations.start_campaign(campaign, by="alice", at=NOON)

    with pytest.raises(StaleStateError):
        operations.start_campaign(stale, by="bob", at=NOON)

    assert Assignment.objects.count() == 2
    assert Decision.objects.get(kind="campaign.started").actor == "alice"


def test_a_scheduled_campaign_starts_when_it_is_due():
    campaign = make_approved(vehicles=1)
    operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)

    tick(campaign, at(minutes=59))
    assert campaign.state == "scheduled"
    tick(campaign, at(hours=1))

    assert (campaign.state, campaign.started_at) == ("running", at(hours=1))
    assert in_turn(campaign)[0].state == "offered"


def test_a_scheduled_campaign_that_cannot_start_goes_back_to_a_person():
    campaign = make_approved(vehicles=1)
    operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)
    Package.objects.filter(version="2.0").update(state=PackageState.WITHDRAWN)

    tick(campaign, at(hours=1))

    assert campaign.state == "approved"
    assert "not published is supplier/brake-2.0" in campaign.reason
    assert not Assignment.objects.exists()
    assert Decision.objects.filter(kind="campaign.not_started").count() == 1


def test_a_scheduled_campaign_that_slipped_through_the_stop_of_its_tenant_does_not_start_by_itself_afterwards():
    campaign = make_approved(vehicles=1)
    operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)
    Tenant.objects.update(stopped_at=NOON, stopped_reason="Recall.")

    tick(campaign, at(hours=1))
    operations.resume_tenant(Tenant.objects.get(), by="eve", at=at(hours=2), reason="False alarm.")
    tick(campaign, at(hours=2))

    assert campaign.state == "approved"
    assert "Everything of tenant" in campaign.reason


def test_nothing_is_scheduled_while_its_tenant_is_stopped():
    campaign = make_approved(vehicles=1)
    operations.stop_tenant(campaign.tenant, by="eve", at=NOON, reason="Recall.")

    with pytest.raises(errors.TenantStoppedError):
        operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)

    assert Campaign.objects.get().state == "approved"


def test_a_vehicle_whose_confirmed_software_lacks_what_the_release_needs_takes_no_part():
    tenant = make_tenant()
    new = make_versions(tenant, "2.0", hardware=("gateway",))
    ReleaseCondition.objects.create(release=new, kind="requires", package_name="brake", versions=["2.0"])
    vehicles = make_fleet(tenant, 2, make_versions(tenant))
    install(vehicles[0], make_versions(tenant, "2.0", hardware=("brake",), role="other"))
    campaign = make_started(
        tenant=tenant,
        release=new,
        old=make_versions(tenant, "0.9"),
        group=make_group(tenant, *vehicles),
    )

    assert {a.vehicle: a.verdict for a in in_turn(campaign)} == {
        vehicles[0]: "fits",
        vehicles[1]: "unmet_dependency",
    }
