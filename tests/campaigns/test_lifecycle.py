"""A vehicle that changes hands, or ends, in the middle of campaigns."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, ConsentRecord
from otaserver.campaigns.records import StandingConsent
from otaserver.director.models import Direction
from otaserver.fleet import operations as fleet
from otaserver.fleet import queries as fleet_queries
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.errors import (
    ClaimInvalidError,
    CredentialInvalidError,
    ReasonMissingError,
    VehicleDecommissionedError,
    VehicleNotDecommissionedError,
)
from otaserver.fleet.models import AttributeValue, Credential, Vehicle
from otaserver.fleet.operations import sessions
from otaserver.fleet.operations.keyless import KeylessEcu
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.states import Protocol
from tests.campaigns.campaign_factories import at, in_turn, make_running, make_started, report, states, succeed, tick
from tests.campaigns.test_consents import answer
from tests.factories import NOON, make_group, make_vehicle
from tests.fleet.enrolments import ADDRESS, enrol, make_ecu, make_request
from tests.vehicle_api.mender.devices import make_key, pem_of

pytestmark = pytest.mark.django_db
LATER = at(hours=1)


def decommission(vehicle, when=LATER):
    return operations.decommission_vehicle(vehicle, reason="Scrapped.", by="ann", at=when)


def sell(vehicle):
    return operations.record_sale(vehicle, reason="Sold.", by="ann", at=LATER)


@pytest.mark.parametrize("phase", [None, "downloading", "downloaded", "held"])
def test_an_order_that_is_not_being_installed_ends_with_the_vehicle_and_counts_neither_way(campaign, phase):
    (assignment,) = in_turn(campaign)
    if phase:
        report(assignment, phase)

    ended = decommission(assignment.vehicle)

    assert ended.assignments == 1
    assignment.refresh_from_db()
    assert (assignment.state, assignment.code, assignment.settled_at) == ("superseded", "decommissioned", LATER)
    assert Direction.objects.get().content is None
    assert Attempt.objects.get().closed_at == LATER
    for minutes in (70, 80, 600):
        tick(campaign, at(minutes=minutes))
    assert states(campaign) == ["superseded"]
    assert Attempt.objects.count() == 1


def test_what_waits_ends_too():
    campaign = make_started(vehicles=1)

    decommission(Vehicle.objects.get())
    tick(campaign, LATER)

    assert Attempt.objects.count() == 0
    assert set(campaign.assignments.values_list("state", flat=True)) <= {"superseded", "excluded"}


def test_a_withdrawal_that_nobody_will_confirm_is_done(campaign):
    (assignment,) = in_turn(campaign)
    operations.pause_campaign(campaign, by="eve", at=NOON)
    operations.stop_campaign(campaign, reason="Fire.", by="eve", at=NOON)
    assert states(campaign) == ["withdrawing"]

    decommission(assignment.vehicle)

    assert states(campaign) == ["withdrawn"]


def test_an_installation_is_left_to_its_end_and_counts(campaign):
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")

    assert decommission(assignment.vehicle).assignments == 0
    tick(campaign, at(days=30))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code) == ("failed", "silent")


def test_a_decommissioned_vehicle_can_prove_itself_no_more_and_is_in_no_group(campaign):
    vehicle = in_turn(campaign)[0].vehicle
    enrolment = enrol(vehicle.tenant, "VIN9")
    code = fleet.create_claim_code(vehicle.tenant, "VIN9", at=NOON)
    static = make_group(vehicle.tenant, enrolment.vehicle)
    dynamic = fleet.create_group(vehicle.tenant, name="all", filter='vehicle_id ~ "VIN9"', by="ann", at=NOON)

    ended = decommission(enrolment.vehicle)

    assert (ended.ended.credentials, ended.ended.claim_codes, ended.ended.groups) == (1, 1, 1)
    assert list(fleet_queries.vehicles_in(static)) == list(fleet_queries.vehicles_in(dynamic)) == []
    with pytest.raises(CredentialInvalidError):
        fleet.identify_token(vehicle.tenant, enrolment.token, at=LATER)
    with pytest.raises(ClaimInvalidError):
        fleet.enrol(vehicle.tenant, make_request(code, "VIN9"), address=ADDRESS, at=LATER)
    # Its records stay.
    assert enrolment.vehicle.ecus.count() == 1
    entry = Entry.objects.get(action="vehicle.decommissioned")
    assert (entry.details["reason"], entry.details["enrolled_at"]) == ("Scrapped.", NOON.isoformat())


def test_a_new_claim_code_does_not_bring_it_back_before_somebody_says_so(campaign):
    tenant = in_turn(campaign)[0].vehicle.tenant
    vehicle = enrol(tenant, "VIN9").vehicle
    decommission(vehicle)
    code = fleet.create_claim_code(tenant, "VIN9", at=LATER)

    with pytest.raises(VehicleDecommissionedError):
        fleet.enrol(tenant, make_request(code, "VIN9"), address=ADDRESS, at=LATER)
    assert Credential.objects.filter(revoked_at=None).count() == 0

    fleet.recommission_vehicle(vehicle, reason="A mistake.", by="ann", at=LATER)
    again = fleet.enrol(tenant, make_request(code, "VIN9"), address=ADDRESS, at=LATER)

    assert fleet.identify_token(tenant, again.token, at=LATER).vehicle == vehicle
    assert Vehicle.objects.get(vehicle_id="VIN9").enrolled_at == LATER
    with pytest.raises(VehicleNotDecommissionedError):
        fleet.recommission_vehicle(vehicle, reason="Again.", by="ann", at=LATER)


def test_nor_does_whoever_vouches_for_vehicles_without_keys(campaign):
    tenant = in_turn(campaign)[0].vehicle.tenant
    ecus = [KeylessEcu("E1", "gateway")]
    vehicle = fleet.declare_vehicle(tenant, "DDI1", protocol=Protocol.DDI, ecus=ecus, at=NOON)
    decommission(vehicle)

    with pytest.raises(VehicleDecommissionedError):
        fleet.declare_vehicle(tenant, "DDI1", protocol=Protocol.DDI, ecus=ecus, at=LATER)

    assert Vehicle.objects.get(vehicle_id="DDI1").enrolled_at is None


def test_a_vehicle_ends_once_and_for_a_reason(campaign):
    vehicle = in_turn(campaign)[0].vehicle

    with pytest.raises(ReasonMissingError):
        operations.decommission_vehicle(vehicle, reason=" ", by="ann", at=LATER)
    decommission(vehicle)
    with pytest.raises(VehicleDecommissionedError):
        decommission(vehicle)
    with pytest.raises(VehicleDecommissionedError):
        sell(vehicle)

    assert Entry.objects.filter(action="vehicle.decommissioned").count() == 1
    assert not Entry.objects.filter(action="vehicle.sold").exists()


def test_a_sale_ends_what_the_vehicle_had_of_its_owner_and_nothing_else(campaign):
    (assignment,) = in_turn(campaign)
    tenant, vehicle = campaign.tenant, assignment.vehicle
    for name, is_personal in (("owner", True), ("plant", False)):
        fleet.declare_attribute(tenant, name=name, type="text", by="ann", at=NOON)
        fleet.mark_personal(tenant, name=name, is_personal=is_personal, by="ann", at=NOON)
    fleet.set_attributes(vehicle, {"owner": "Bob", "plant": "Emden"}, at=NOON)
    for name in ("owner", "plant"):
        ReportedAttribute.objects.create(vehicle=vehicle, name=name, text="said", changed_at=NOON)
    fleet.give_token(vehicle, by="ann", at=NOON)
    old_code = fleet.create_claim_code(tenant, vehicle.vehicle_id, at=NOON)

    sale = sell(vehicle)

    assert (sale.ended.credentials, sale.ended.claim_codes, sale.ended.attributes) == (1, 1, 1)
    assert [value.text for value in AttributeValue.objects.filter(vehicle=vehicle)] == ["Emden"]
    assert [row.name for row in ReportedAttribute.objects.all()] == ["plant"]
    assert not Credential.objects.filter(revoked_at=None).exists()
    assert states(campaign) == ["offered"]
    with pytest.raises(ClaimInvalidError):
        request = make_request(old_code, vehicle.vehicle_id)
        fleet.enrol(tenant, request, address=ADDRESS, at=LATER)
    ecu = make_ecu("P-NEW")
    again = fleet.enrol(tenant, make_request(sale.claim_code, vehicle.vehicle_id, ecu), address=ADDRESS, at=LATER)
    assert again.vehicle == vehicle
    # What was cleared is not kept in the record of it either.
    assert "Bob" not in str(Entry.objects.get(action="vehicle.sold").details)


def test_the_next_owner_is_not_bound_by_what_the_last_one_answered():
    campaign = make_started(vehicles=1, consent="ask")
    # Its client neither holds an order nor asks: the server keeps it back.
    Vehicle.objects.update(protocol=Protocol.AKTUALIZR)
    tick(campaign, NOON)
    (assignment,) = campaign.assignments.all()
    operations.record_consent_on_behalf(assignment, answer(), recorded_by="portal", at=NOON)

    assert sell(assignment.vehicle).consents == 1
    tick(campaign, LATER)

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code) == ("waiting", "withheld_consent")
    assert ConsentRecord.objects.get().ended_at == LATER
    operations.record_consent_on_behalf(assignment, answer(), recorded_by="portal", at=LATER)
    tick(campaign, at(hours=2))
    assert Assignment.objects.get().state == "offered"


@pytest.mark.parametrize("end", [sell, decommission])
def test_what_was_agreed_to_or_allowed_for_orders_and_keys_to_come_ends_too(end):
    vehicle = make_vehicle()
    operations.give_standing_consent(vehicle, at=NOON)
    fleet.permit_provisioning(vehicle, reason="New disk.", by="ann", at=NOON)
    device = fleet.ExpectedDevice({"vin": vehicle.vehicle_id}, pem_of(make_key()))
    fleet.preauthorise(vehicle.tenant, [device], by="ann", at=NOON)
    session = sessions.begin_session(vehicle, at=NOON)

    end(vehicle)

    with pytest.raises(CredentialInvalidError):
        fleet.identify_session(session, at=LATER)
    for model in (StandingConsent, ProvisioningPermit, AuthenticationSet):
        assert not model.objects.exists()


def test_a_sale_leaves_what_ran_and_what_was_counted(campaign):
    succeed(in_turn(campaign)[0])

    sell(in_turn(campaign)[0].vehicle)

    assert states(campaign) == ["soaking"]


def test_an_announced_ecu_gets_the_order_of_the_one_that_went():
    campaign = make_running(vehicles=1)
    vehicle = in_turn(campaign)[0].vehicle
    gate, brake = vehicle.ecus.order_by("-is_primary")
    fleet.announce_ecu_swap(vehicle, old_serial=brake.serial, reason="Crash.", by="ann", at=NOON)
    # The factories' ECUs have keys that nobody holds.
    new = make_ecu("BRAKE-2", "brake", is_primary=False)
    key = make_ecu(gate.serial, gate.hardware_id, is_primary=True)
    fleet.announce_ecu_swap(vehicle, old_serial=gate.serial, reason="Its key.", by="ann", at=NOON)
    assert fleet.declare_ecus(vehicle, (key, new), claim_code=None, address=ADDRESS, at=LATER) is True
    tick(campaign, at(hours=1, minutes=1))

    assert states(campaign) == ["offered"]
    assert set(Attempt.objects.get(closed_at=None).packages) == {gate.serial, "BRAKE-2"}
