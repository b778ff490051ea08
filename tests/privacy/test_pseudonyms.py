import json
import uuid

import pytest
from django.apps import apps
from django.db import connection

from otaserver.audit import operations as audit
from otaserver.audit import queries as audits
from otaserver.audit.models import Entry
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    Campaign,
    ConsentRecord,
    Decision,
    LogTail,
    Report,
    SoftwareChange,
    WorkshopCase,
)
from otaserver.director.models import InstalledImage, Manifest
from otaserver.events.models import Event
from otaserver.fleet.models import Attribute, AttributeValue, ClaimCode, Group, Vehicle
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.watch_models import SeenRequest
from otaserver.privacy import operations, queries
from otaserver.privacy.errors import ReasonMissingError, VehicleInServiceError
from otaserver.privacy.holdings import HOLDINGS
from otaserver.privacy.operations.pseudonyms import DELETED, REWRITTEN
from otaserver.tenants import kept_answers
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db

VIN = "WVWZZZ1JZXW000001"


def fill(vehicle):
    """Something of everything that may name a vehicle."""
    tenant = vehicle.tenant
    serial = vehicle.ecus.get().serial
    release = make_release(tenant, make_package(tenant))
    campaign = Campaign.objects.create(
        tenant=tenant, name="c", release=release, group=make_group(tenant, vehicle), created_by="x", created_at=NOON
    )
    assignment = Assignment.objects.create(campaign=campaign, vehicle=vehicle, rank=1, message=f"{VIN} failed.")
    attempt = Attempt.objects.create(
        assignment=assignment, vehicle=vehicle, number=1, opened_at=NOON, packages={serial: 7}
    )
    Report.objects.create(
        attempt=attempt, report_id="1", ecu_serial=serial, phase="installing", message=f"on {serial}", received_at=NOON
    )
    LogTail.objects.create(attempt=attempt, text=f"host {VIN}", received_at=NOON)
    ConsentRecord.objects.create(
        assignment=assignment,
        attempt=attempt,
        record_id="1",
        decision="yes",
        by="Erika Mustermann",
        language="de",
        text_sha256="0" * 64,
        is_text_known=True,
        received_at=NOON,
        recorded_by=f"vehicle:{VIN}",
    )
    audit.record("consent.recorded", assignment, tenant=tenant, by="ann", at=NOON, owner="Erika Mustermann")
    Decision.objects.create(
        campaign=campaign, at=NOON, kind="x", actor="engine", sentence=f"{VIN} is left.", inputs={"vehicles": [VIN]}
    )
    manifest = Manifest.objects.create(
        vehicle=vehicle, received_at=NOON, sha256="0" * 64, body=VIN.encode(), is_accepted=True
    )
    InstalledImage.objects.create(
        vehicle=vehicle, ecu_serial=serial, manifest=manifest, target_name="a", sha256="b", length=1, since=NOON
    )
    SoftwareChange.objects.create(
        vehicle=vehicle, ecu_serial=serial, to_target="b", to_sha256="c", at=NOON, cause="first"
    )
    WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason=f"{VIN} is silent.", opened_at=NOON)
    attribute = Attribute.objects.create(tenant=tenant, name="owner", type="text")
    AttributeValue.objects.create(vehicle=vehicle, attribute=attribute, text="Erika Mustermann", changed_at=NOON)
    ReportedAttribute.objects.create(vehicle=vehicle, name="vin", text=VIN, changed_at=NOON)
    SeenRequest.objects.create(
        tenant=tenant, vehicle=vehicle, address="::1", at=NOON, method="GET", path=f"/x/{VIN}", identity="x", status=200
    )
    SeenRequest.objects.create(
        tenant=tenant,
        address="::1",
        at=NOON,
        method="GET",
        path=f"/acme/controller/v1/{VIN}",
        identity="x",
        status=401,
        reason=f"There is no vehicle {VIN!r}.",
    )
    ClaimCode.objects.create(tenant=tenant, vehicle_id=VIN, sha256="0" * 64, created_at=NOON, expires_at=NOON)
    row = kept_answers.begin(tenant, "a", "k", request_sha256="0" * 64, at=NOON)
    answer = kept_answers.Answer(201, "application/json", json.dumps({"vehicle_id": VIN}).encode())
    kept_answers.keep(row, answer, request_sha256="0" * 64, is_secret=False)
    Event.objects.create(
        tenant=tenant,
        sequence=1,
        public_id=uuid.uuid4(),
        type="vehicle.blocked",
        subject=f"vehicle/{VIN}",
        at=NOON,
        data={"details": {"reason": f"{VIN}, {serial}"}},
    )
    audit.record("vehicle.blocked", vehicle, tenant=tenant, by="x", at=NOON, reason=f"{VIN}, {serial}")
    audit.record("claim_codes.issued", "2 vehicles", tenant=tenant, by="x", at=NOON, vehicle_ids=[VIN, f"{VIN}2"])


@pytest.fixture
def vehicle():
    made = make_vehicle(make_tenant(), VIN, decommissioned_at=None)
    fill(made)
    Vehicle.objects.filter(pk=made.pk).update(enrolled_at=None, decommissioned_at=NOON)
    return Vehicle.objects.get(pk=made.pk)


def pseudonymise(vehicle, reason="The owner asked for it."):
    return operations.pseudonymise_vehicle(vehicle, reason=reason, by="ann", at=NOON)


def whole_database():
    """Every value of every row, as one text."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                for row in cursor.fetchall()
                for value in row
            ]
    return "\n".join(found)


def test_afterwards_the_vehicle_is_named_nowhere(vehicle):
    serial = vehicle.ecus.get().serial
    assert whole_database().count(VIN) > 15

    made = pseudonymise(vehicle, reason=f"{VIN}: the owner asked for it.")

    left = whole_database()
    assert left.replace(f"{VIN}2", "").count(VIN) == 0
    assert (serial in left, "Mustermann" in left) == (False, False)
    assert Vehicle.objects.get(pk=vehicle.pk).vehicle_id == made.vehicle_id == vehicle.vehicle_id


def test_the_audit_record_still_holds_and_tells_of_it(vehicle):
    made = pseudonymise(vehicle)

    found = audits.verification(vehicle.tenant)
    assert (found.is_whole, found.erased, made.entries) == (True, 3, 3)
    last = Entry.objects.latest("number")
    assert (last.action, last.details) == ("vehicle.pseudonymised", {"reason": "The owner asked for it.", "entries": 3})


def test_its_part_in_campaigns_stays(vehicle):
    made = pseudonymise(vehicle)

    assert Report.objects.get().ecu_serial == vehicle.ecus.get().serial == f"{made.vehicle_id}-1"
    assert Attempt.objects.get().packages == {f"{made.vehicle_id}-1": 7}
    assert Decision.objects.get().inputs == {"vehicles": [made.vehicle_id]}
    assert (Assignment.objects.count(), ConsentRecord.objects.get().by) == (1, "erased")


def test_another_vehicle_whose_id_begins_alike_is_left(vehicle):
    make_vehicle(vehicle.tenant, f"{VIN}2")

    pseudonymise(vehicle)

    assert Vehicle.objects.filter(vehicle_id=f"{VIN}2").exists()
    assert f"{VIN}2" in str(Entry.objects.get(action="claim_codes.issued").details)


@pytest.mark.parametrize("reason", ["", " "])
def test_without_a_reason_nothing_is_erased(vehicle, reason):
    with pytest.raises(ReasonMissingError):
        pseudonymise(vehicle, reason)

    assert Vehicle.objects.get(pk=vehicle.pk).vehicle_id == VIN


def test_a_vehicle_in_service_is_not_erased(vehicle):
    Vehicle.objects.update(decommissioned_at=None)

    with pytest.raises(VehicleInServiceError):
        pseudonymise(vehicle)

    assert (Manifest.objects.count(), Entry.objects.count()) == (1, 3)


def test_all_that_is_held_of_it_is_told_and_no_secret(vehicle):
    rows = list(queries.held_of(vehicle))

    kinds = {row["kind"] for row in rows}
    assert kinds >= {"vehicle", "ecu", "manifest", "report", "logtail", "consentrecord", "claimcode", "entry"}
    assert [
        row for row in rows if row["kind"] in ("credential", "claimcode") and {"sha256", "fingerprint"} & set(row)
    ] == []
    assert json.dumps(rows).count(VIN) > 10


def test_what_is_held_of_several_is_told_where_it_names_this_one(vehicle):
    tenant = vehicle.tenant
    make_group(tenant, name=f"Just {VIN}")
    make_group(tenant, name=f"Just {VIN}2")
    Decision.objects.create(
        campaign=Campaign.objects.get(), at=NOON, kind="x", actor="engine", sentence="All are left."
    )

    rows = [row for row in queries.held_of(vehicle) if row["kind"] in ("group", "event", "decision", "seenrequest")]

    assert [row.get("name") for row in rows if row["kind"] == "group"] == [f"Just {VIN}"]
    assert [row["inputs"] for row in rows if row["kind"] == "decision"] == [{"vehicles": [VIN]}]
    assert [row["subject"] for row in rows if row["kind"] == "event"] == [f"vehicle/{VIN}"]
    assert [row["path"] for row in rows if row["kind"] == "seenrequest"] == [f"/x/{VIN}", f"/acme/controller/v1/{VIN}"]


def test_every_model_that_leads_to_a_vehicle_is_held_and_settled():
    """Whoever adds a model must say what becomes of it."""
    leading, todo = set(), [Vehicle]
    while todo:
        for relation in todo.pop()._meta.get_fields(include_hidden=True):
            if relation.auto_created and not relation.concrete and relation.related_model not in leading:
                leading.add(relation.related_model)
                todo.append(relation.related_model)

    assert leading == set(HOLDINGS)
    named = {
        model
        for model in HOLDINGS
        for field in model._meta.get_fields()
        if field.concrete and field.get_internal_type() in ("TextField", "JSONField", "BinaryField")
    }
    # An attempt's serials are keys: see `test_its_part_in_campaigns_stays`.
    assert named - set(DELETED) - set(REWRITTEN) == {Attempt}


@pytest.fixture
def confusing():
    """A vehicle whose id begins another's, and whose computers are called like what the server says."""
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, "VIN7", decommissioned_at=None)
    make_vehicle(tenant, "VIN7-b")
    hardware = vehicle.ecus.get().hardware_id
    for serial in ("campaign", "sentence", "1", "vehicle"):
        vehicle.ecus.create(serial=serial, hardware_id=hardware)
    Vehicle.objects.filter(pk=vehicle.pk).update(enrolled_at=None, decommissioned_at=NOON)
    return Vehicle.objects.get(pk=vehicle.pk)


def event(tenant, sequence, data, subject="campaign/1"):
    return Event.objects.create(
        tenant=tenant, sequence=sequence, public_id=uuid.uuid4(), type="x", subject=subject, at=NOON, data=data
    )


def test_what_is_about_others_stays_as_it_is_with_its_proof(confusing):
    tenant, said = confusing.tenant, {"sentence": "campaign 1 of VIN7-b", "wave": 1, "kind": "campaign"}
    audit.record("campaign.started", "campaign:1 autumn", tenant=tenant, by="x", at=NOON, **said)
    about_all = event(tenant, 1, {"object": {"kind": "campaign", "id": 1, "name": "1"}, **said})
    mixed = audit.record(
        "claim_codes.issued", "1", tenant=tenant, by="x", at=NOON, vehicle_ids=["VIN7", "VIN7-b", "1"], sentence="a"
    )
    before = Entry.objects.order_by("number").values()[0]

    made = pseudonymise(confusing)

    assert Entry.objects.order_by("number").values()[0] == before
    assert Event.objects.get(pk=about_all.pk).data == about_all.data
    mixed.refresh_from_db()
    assert mixed.details == {"vehicle_ids": [made.vehicle_id, "VIN7-b", "1"], "sentence": "a"}
    assert (audits.verification(tenant).is_whole, made.entries) == (True, 1)


def test_serials_are_replaced_in_what_is_about_their_vehicle(confusing):
    tenant = confusing.tenant
    audit.record("vehicle.blocked", confusing, tenant=tenant, by="x", at=NOON, sentence="campaign fails", wave=1)
    own = event(tenant, 1, {"object": {"kind": "vehicle", "id": confusing.pk, "name": "VIN7"}, "details": {"ecu": "1"}})

    serials = sorted(confusing.ecus.values_list("serial", flat=True))

    made = pseudonymise(confusing)

    names = {serial: f"{made.vehicle_id}-{number}" for number, serial in enumerate(serials, 1)}
    entry = Entry.objects.get(action="vehicle.blocked")
    assert entry.subject == f"vehicle:{confusing.pk} {made.vehicle_id}"
    assert entry.details == {"sentence": f"{names['campaign']} fails", "wave": 1}
    own.refresh_from_db()
    assert own.data["object"] == {"kind": "vehicle", "id": confusing.pk, "name": made.vehicle_id}
    assert own.data["details"] == {"ecu": names["1"]}


def test_the_export_of_a_vehicle_names_no_entry_about_one_whose_id_begins_alike(confusing):
    tenant = confusing.tenant
    audit.record("vehicle.blocked", Vehicle.objects.get(vehicle_id="VIN7-b"), tenant=tenant, by="x", at=NOON, reason="")
    audit.record("vehicle.blocked", confusing, tenant=tenant, by="x", at=NOON, reason="stolen")

    entries = [row["number"] for row in queries.held_of(confusing) if row["kind"] == "entry"]

    assert entries == [2]


def test_texts_of_the_tenants_own_name_it_no_more(confusing):
    tenant = confusing.tenant
    group = Group.objects.create(
        tenant=tenant,
        name="Just VIN7",
        kind="dynamic",
        filter='vehicle_id == "VIN7" or vehicle_id == "VIN7-b"',
        created_at=NOON,
    )

    made = pseudonymise(confusing)

    group.refresh_from_db()
    assert group.name == f"Just {made.vehicle_id}"
    assert group.filter == f'vehicle_id == "{made.vehicle_id}" or vehicle_id == "VIN7-b"'


def test_an_answer_that_is_kept_for_anothers_request_stays(confusing):
    row = kept_answers.begin(confusing.tenant, "a", "k", request_sha256="0" * 64, at=NOON)
    answer = kept_answers.Answer(201, "application/json", json.dumps({"vehicle_id": "VIN7-b"}).encode())
    kept_answers.keep(row, answer, request_sha256="0" * 64, is_secret=False)

    pseudonymise(confusing)

    assert type(row).objects.get().status == 201
