import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import errors, operations, queries
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.fleet import errors as fleet_errors
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import SOAK, at, fail, install, make_running, make_versions, succeed, tick
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


class Bench:
    """One car on a test bench, on 1.0, and 2.0 to order."""

    def __init__(self, **fields):
        self.tenant = make_tenant()
        self.old, self.new = make_versions(self.tenant), make_versions(self.tenant, "2.0")
        self.car = make_vehicle(self.tenant, hardware=("gateway", "brake"), **{"is_test_bench": True} | fields)
        install(self.car, self.old)

    def order(self, release=None, reason="Brake test."):
        return operations.order_now(self.car, release=release or self.new, reason=reason, by="eva", at=NOON)


def test_a_release_is_ordered_for_one_car_at_once_in_one_audited_action():
    bench = Bench()

    campaign = bench.order()

    assert (campaign.kind, campaign.state, campaign.group) == ("direct", "running", None)
    order = queries.order_for(bench.car)
    assert (order.release, sorted(package.target_name for package in order.packages)) == (
        "car 2.0",
        ["supplier/brake-2.0", "supplier/gateway-2.0"],
    )
    entry = Entry.objects.get(action="campaign.ordered_now")
    assert (entry.actor, entry.details["sentence"]) == ("eva", f"Ordered car 2.0 for {bench.car} now: Brake test.")


@pytest.mark.parametrize("end", [succeed, fail])
def test_it_ends_by_itself_however_it_ends(end):
    bench = Bench()
    campaign = bench.order()

    end(Assignment.objects.get())
    tick(campaign, NOON + SOAK)
    tick(campaign, NOON + SOAK)

    assert campaign.state == "completed"


def test_one_that_never_answers_ends_too():
    bench = Bench()
    campaign = bench.order()

    tick(campaign, at(days=30))
    tick(campaign, at(days=30))

    assert (campaign.state, Assignment.objects.get().state) == ("completed", "lapsed")


def refused(bench, error, **order):
    with pytest.raises(error):
        bench.order(**order)
    assert not Campaign.objects.filter(kind="direct").exists()
    assert not Entry.objects.filter(action="campaign.ordered_now").exists()


def test_a_car_that_is_on_no_bench_is_refused():
    refused(Bench(is_test_bench=False), errors.NotTestBenchError)


def test_a_reason_is_needed():
    refused(Bench(), errors.ReasonMissingError, reason=" ")


def test_a_release_of_another_tenant_is_refused():
    refused(Bench(), errors.PlanRefusedError, release=make_versions(make_tenant(), "9.0"))


def test_what_does_not_fit_is_refused():
    bench = Bench()

    refused(bench, errors.NoVehicleFitsError, release=bench.old)


def test_a_stop_of_the_tenant_holds_here_too():
    bench = Bench()
    operations.stop_tenant(bench.tenant, by="eve", at=NOON, reason="Theft.")

    refused(bench, errors.TenantStoppedError)


def test_a_car_with_an_order_is_refused_a_second():
    bench = Bench()
    group = make_group(bench.tenant, bench.car)
    make_running(tenant=bench.tenant, old=bench.old, release=bench.new, group=group)

    refused(bench, errors.VehicleBusyError, release=make_versions(bench.tenant, "3.0"))


def test_under_a_freeze_it_is_refused_with_the_freeze():
    bench = Bench()
    operations.declare_blackout(
        bench.tenant, name="summit", reason="Closed roads.", starts_at=NOON, by="eva", at=NOON, ends_at=at(days=1)
    )

    with pytest.raises(errors.VehicleHeldUpError) as found:
        bench.order()

    assert found.value.message == (
        f"Vehicle {bench.car} gets no order now: The vehicle's turn has come, but blackout summit is in force until "
        "2026-06-02 12:00 UTC: Closed roads."
    )
    assert found.value.details["reason"] == "blackout.in_force"
    refused(bench, errors.VehicleHeldUpError)


def test_a_car_that_a_roll_back_brings_back_first_is_refused():
    bench = Bench()
    first = make_running(
        tenant=bench.tenant, old=bench.old, release=bench.new, group=make_group(bench.tenant, bench.car)
    )
    succeed(first.assignments.get())
    operations.stop_campaign(first, by="eva", at=NOON, reason="Bad.")
    back = operations.create_rollback(first, release=bench.old, name="back", by="eva", at=NOON)
    operations.submit_campaign(back, by="eva", at=NOON)
    operations.approve_campaign(back, by="eva", at=NOON)
    operations.start_campaign(back, by="eva", at=NOON)
    first.assignments.update(state="succeeded")
    # Before a tick has offered it anything.
    back.waves.update(state="open")
    back.assignments.update(wave=back.waves.get())

    with pytest.raises(errors.VehicleBusyError, match="until it is done with back: one order at a time"):
        bench.order(release=make_versions(bench.tenant, "3.0"))


def test_an_emergency_stop_withdraws_it():
    bench = Bench()
    campaign = bench.order()

    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Smoke.")

    assert queries.order_for(bench.car) is None


def test_a_car_is_marked_with_a_reason_and_audited():
    bench = Bench(is_test_bench=False)
    with pytest.raises(fleet_errors.ReasonMissingError):
        fleet.mark_test_bench(bench.car, is_test_bench=True, reason="", by="eva", at=NOON)
    assert Vehicle.objects.get().is_test_bench is False

    fleet.mark_test_bench(bench.car, is_test_bench=True, reason="Hall 3.", by="eva", at=NOON)
    fleet.mark_test_bench(bench.car, is_test_bench=False, reason="Sold.", by="eva", at=NOON)

    assert Vehicle.objects.get().is_test_bench is False
    actions = list(Entry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["vehicle.test_bench_marked", "vehicle.test_bench_unmarked"]
