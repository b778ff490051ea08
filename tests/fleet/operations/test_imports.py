"""Fleets that arrive in files: what becomes of the lines, and that repeating changes nothing."""

import io
import json
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport, FleetImportProblem
from otaserver.fleet.errors import ImportRefusedError
from otaserver.fleet.models import AttributeValue, ClaimCode, Credential, Ecu, Group, Membership, Vehicle
from otaserver.fleet.operations import imports
from otaserver.fleet.states import ImportState
from tests.factories import NOON, make_group, make_tenant, make_vehicle
from tests.fleet.enrolments import ADDRESS, make_request

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)
CODE = "ABCDE-FGHJK-MNPQR-STVWX"
KEY = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "0" * 64}}


@pytest.fixture
def tenant():
    tenant = make_tenant("acme")
    operations.declare_attribute(tenant, name="colour", type="text", by="alice", at=NOON)
    return tenant


def vehicle(number, **fields):
    values = {
        "vehicle_id": f"VIN{number}",
        "protocol": "ddi",
        "ecus": [{"serial": f"s{number}", "hardware_id": "gateway"}],
        "token": f"token-{number:08}",
        "attributes": {"colour": "red"},
        "groups": ["north"],
    }
    return values | fields


def run(tenant, *lines, is_dry_run=False, at=NOON, kind="jsonl"):
    data = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines).encode()
    row = operations.begin_import(
        tenant, io.BytesIO(data), filename=f"x.{kind}", kind=kind, is_dry_run=is_dry_run, by="alice", at=at
    )
    return operations.run_import(row.pk, now=lambda: at)


def changes(row):
    return {name: count for name, count in row.counts.items() if count and name not in ("lines", "refused")}


def problems(row):
    return [(each.line, each.code) for each in row.problems.order_by("line")]


def everything():
    models = (Vehicle, Ecu, Credential, ClaimCode, AttributeValue, Group, Membership)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_vehicles_arrive_with_all_that_their_lines_say(tenant):
    row = run(tenant, vehicle(1, time_zone="Europe/Berlin"), vehicle(2))

    assert (row.state, row.counts["lines"], row.counts["refused"], problems(row)) == (ImportState.FINISHED, 2, 0, [])
    assert changes(row) == {
        "vehicles_created": 2,
        "ecus_changed": 2,
        "tokens_given": 2,
        "attributes_set": 2,
        "memberships": 2,
        "groups_created": 1,
    }
    first = Vehicle.objects.get(vehicle_id="VIN1")
    assert (first.time_zone, first.protocol, first.enrolled_at) == ("Europe/Berlin", "ddi", NOON)
    assert first.configuration.ecus == [["gateway", "", ""]]
    assert list(first.ecus.values_list("serial", "hardware_id", "is_primary", "keyid")) == [("s1", "gateway", True, "")]
    assert operations.identify_pre_shared(tenant, "VIN1", "token-00000001", at=NOON).vehicle == first
    assert list(first.attribute_values.values_list("text", flat=True)) == ["red"]
    assert [each.group.name for each in first.memberships.all()] == ["north"]


def test_no_token_and_no_code_is_kept_as_it_came(tenant, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        run(tenant, vehicle(1), {"vehicle_id": "VIN2", "claim_code": CODE})

    assert "token-0000" not in repr(everything())
    assert "ABCDE" not in repr(everything())
    assert default_storage.listdir("imports")[1] == []


def test_the_same_file_again_changes_nothing_and_says_so(tenant):
    lines = [vehicle(1), vehicle(2), {"vehicle_id": "VIN3", "claim_code": CODE, "ecus": [
        {"serial": "s3", "hardware_id": "gateway", "public_key": KEY}]}]  # fmt: skip
    run(tenant, *lines)
    before = everything()

    again = run(tenant, *lines, at=LATER)

    assert (again.counts["lines"], changes(again), problems(again)) == (3, {}, [])
    assert everything() == before


def test_a_dry_run_tells_the_same_and_writes_nothing(tenant):
    lines = [vehicle(number) for number in range(5)] + [vehicle(9, protocol="smoke")]
    before, entries = everything(), Entry.objects.count()

    dry = run(tenant, *lines, is_dry_run=True)

    assert everything() == before
    assert Entry.objects.count() == entries
    assert dry.counts == run(tenant, *lines).counts
    assert problems(dry) == [(6, "vehicle.protocol_unknown")]


def test_a_dry_run_of_several_batches_counts_a_new_group_once(tenant, monkeypatch):
    monkeypatch.setattr(imports, "BATCH_LINES", 2)

    dry = run(tenant, *[vehicle(number) for number in range(5)], is_dry_run=True)

    assert changes(dry)["groups_created"] == 1
    assert changes(dry)["vehicles_created"] == 5


def test_lines_with_mistakes_are_left_out_and_the_others_taken(tenant):
    row = run(
        tenant, vehicle(1), "no json", vehicle(2, attributes={"size": 1}), "", vehicle(3, token="short"), vehicle(4)
    )

    assert problems(row) == [(2, "line.malformed"), (3, "attribute.unknown"), (5, "shared_token.refused")]
    assert (row.counts["lines"], row.counts["refused"]) == (5, 3)
    assert set(Vehicle.objects.values_list("vehicle_id", flat=True)) == {"VIN1", "VIN4"}


def test_what_comes_twice_in_a_file_is_named_across_batches(tenant, monkeypatch):
    monkeypatch.setattr(imports, "BATCH_LINES", 1)
    again = {"serial": "s1", "hardware_id": "gateway"}

    row = run(
        tenant,
        vehicle(1),
        vehicle(1, token="token-other"),
        vehicle(3, ecus=[again]),
        {"vehicle_id": "VIN4", "claim_code": CODE},
        {"vehicle_id": "VIN5", "claim_code": CODE.lower().replace("-", "")},
    )

    assert problems(row) == [(2, "vehicle.repeated"), (3, "ecu.repeated"), (5, "claim.repeated")]
    assert [each.rule for each in FleetImportProblem.objects.order_by("line")] == [
        "Line 1 names it already.",
        "Line 1 names it already.",
        "Line 4 names it already.",
    ]
    assert not Vehicle.objects.filter(vehicle_id__in=["VIN3", "VIN5"]).exists()


def test_what_is_another_vehicle_s_is_not_taken(tenant):
    run(tenant, vehicle(1), {"vehicle_id": "VIN2", "claim_code": CODE})
    make_group(tenant, name="still")
    operations.create_group(tenant, name="red ones", filter='vehicle_id ~ "VIN"', by="alice", at=NOON)
    before = everything()

    row = run(
        tenant,
        vehicle(3, ecus=[{"serial": "s1", "hardware_id": "gateway"}]),
        {"vehicle_id": "VIN4", "claim_code": CODE},
        vehicle(5, groups=["red ones"]),
    )

    assert problems(row) == [(1, "ecu.serial_taken"), (2, "claim.taken"), (3, "group.dynamic")]
    assert everything() == before


def test_nothing_crosses_a_tenant(tenant):
    other = make_tenant("other")
    make_vehicle(other, "VIN1")
    before = list(Vehicle.objects.filter(tenant=other).values())

    row = run(tenant, vehicle(1))

    assert problems(row) == []
    assert list(Vehicle.objects.filter(tenant=other).values()) == before
    assert Vehicle.objects.filter(vehicle_id="VIN1").count() == 2


def test_a_line_changes_what_it_says_and_leaves_the_rest(tenant):
    run(tenant, vehicle(1, ecus=[{"serial": "a", "hardware_id": "x"}, {"serial": "b", "hardware_id": "y"}]))
    Ecu.objects.filter(serial="a").update(installed_target="supplier/x-1", is_asserted=True)

    row = run(
        tenant,
        vehicle(
            1,
            ecus=[{"serial": "c", "hardware_id": "y"}, {"serial": "a", "hardware_id": "x"}],
            token="another-token",
            groups=["south"],
            attributes={"colour": None},
            time_zone="Asia/Tokyo",
        ),
        at=LATER,
    )

    assert changes(row) == {
        "vehicles_changed": 1,
        "ecus_changed": 2,
        "tokens_given": 1,
        "attributes_set": 1,
        "memberships": 1,
        "groups_created": 1,
    }
    found = Vehicle.objects.get()
    ecus = list(found.ecus.order_by("serial").values_list("serial", "is_primary", "installed_target"))
    assert ecus == [("a", False, "supplier/x-1"), ("c", True, "")]
    assert sorted(each.group.name for each in found.memberships.all()) == ["north", "south"]
    # As enrolled anew: an order for the ECU that is gone is taken back.
    assert (found.enrolled_at, found.is_manifest_wanted) == (LATER, True)
    assert operations.identify_pre_shared(tenant, "VIN1", "another-token", at=LATER).vehicle == found
    assert Credential.objects.filter(revoked_at=None).count() == 1


def test_a_token_that_was_the_vehicle_s_once_is_its_token_again(tenant):
    for token in ("first-token", "second-token", "first-token"):
        run(tenant, vehicle(1, token=token))

    assert operations.identify_pre_shared(tenant, "VIN1", "first-token", at=NOON).vehicle.vehicle_id == "VIN1"
    assert Credential.objects.filter(revoked_at=None).count() == 1


def test_an_imported_claim_code_enrols_its_vehicle_and_the_file_may_come_again(tenant):
    asked = make_request(CODE)
    ecus = [{"serial": ecu.serial, "hardware_id": ecu.hardware_id} for ecu in asked.ecus]
    line = {"vehicle_id": "VIN1", "claim_code": CODE, "ecus": ecus}
    run(tenant, line)
    assert Vehicle.objects.get().enrolled_at is None

    operations.enrol(tenant, asked, address=ADDRESS, at=NOON)
    before = everything()

    assert (changes(run(tenant, line)), everything()) == ({}, before)


def test_an_enrolled_vehicle_s_protocol_and_keys_are_its_own(tenant):
    make_vehicle(tenant, "VIN1")
    before = everything()

    row = run(tenant, vehicle(1), {"vehicle_id": "VIN1", "ecus": [{"serial": "new", "hardware_id": "gateway"}]})
    again = run(tenant, {"vehicle_id": "VIN1", "ecus": [{"serial": "new", "hardware_id": "gateway"}]})

    assert problems(row)[0] == (1, "vehicle.other_protocol")
    assert problems(again) == [(1, "vehicle.enrolled")]
    assert everything() == before


def test_a_decommissioned_vehicle_stays_what_it_is(tenant):
    run(tenant, vehicle(1))
    operations.mark_decommissioned(Vehicle.objects.get(), at=NOON)
    before = everything()

    row = run(tenant, vehicle(1), vehicle(1, protocol="uptane", token=None, claim_code=CODE), at=LATER)

    assert problems(row) == [(1, "vehicle.decommissioned"), (2, "vehicle.repeated")]
    assert everything() == before


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("ecu.key_refused", {"ecus": [{"serial": "a", "hardware_id": "x", "public_key": {"keytype": "x"}}]}),
        ("ecu.key_refused", {"protocol": "ddi", "ecus": [{"serial": "a", "hardware_id": "x", "public_key": KEY}]}),
        ("ecu.refused", {"ecus": [{"serial": n, "hardware_id": n, "public_key": KEY} for n in "ab"]}),
    ],
)
def test_keys_that_prove_nothing_are_refused(tenant, code, line):
    assert problems(run(tenant, {"vehicle_id": "VIN1"} | line)) == [(1, code)]
    assert not Vehicle.objects.exists()


def test_a_file_makes_so_many_groups_and_no_more(tenant, monkeypatch):
    monkeypatch.setattr("otaserver.fleet.operations.arrival_batches.MAX_NEW_GROUPS", 2)

    row = run(tenant, *[vehicle(number, groups=[f"group {number}"]) for number in range(3)])

    assert problems(row) == [(3, "group.too_many")]


def test_the_import_stands_in_the_audit_record_once(tenant):
    row = run(tenant, vehicle(1))

    entry = Entry.objects.get(action="fleet.imported")
    assert (entry.actor, entry.details["sha256"], entry.details["vehicles_created"]) == ("alice", row.sha256, 1)


def test_a_finished_file_is_not_run_again(tenant):
    row = run(tenant, vehicle(1))

    assert operations.run_import(row.pk, now=lambda: LATER) is None
    assert operations.due_imports(at=LATER) == []


def test_a_run_that_died_is_taken_up_again_after_a_while(tenant):
    data = json.dumps(vehicle(1)).encode()
    row = operations.begin_import(
        tenant, io.BytesIO(data), filename="x.jsonl", kind="jsonl", is_dry_run=False, by="alice", at=NOON
    )
    FleetImport.objects.update(state=ImportState.RUNNING, seen_at=NOON)
    FleetImportProblem.objects.create(fleet_import=row, line=1, code="x", rule="x")

    assert operations.due_imports(at=NOON + imports.STALE - timedelta(seconds=1)) == []
    assert operations.run_import(row.pk, now=lambda: NOON) is None
    assert operations.due_imports(at=NOON + imports.STALE) == [row.pk]
    done = operations.run_import(row.pk, now=lambda: NOON + imports.STALE)

    assert (done.state, problems(done), Vehicle.objects.count()) == (ImportState.FINISHED, [], 1)


def test_a_file_that_is_gone_ends_the_import(tenant):
    row = operations.begin_import(
        tenant, io.BytesIO(b"{}"), filename="x.jsonl", kind="jsonl", is_dry_run=False, by="alice", at=NOON
    )
    default_storage.delete(row.stored_as)

    done = operations.run_import(row.pk, now=lambda: NOON)

    assert (done.state, done.failed_reason) == (ImportState.FAILED, "The file is gone.")


def test_so_many_problems_are_kept_and_all_are_counted(tenant, monkeypatch):
    monkeypatch.setattr(imports, "MAX_PROBLEMS", 3)
    monkeypatch.setattr(imports, "BATCH_LINES", 2)

    row = run(tenant, *["no json"] * 7)

    assert (row.counts["refused"], [line for line, _ in problems(row)]) == (7, [1, 2, 3])


@pytest.mark.parametrize(
    ("data", "fields"), [(b"", {}), (b"x", {"kind": "xlsx"}), (b"x", {"filename": ""}), (b"x", {"filename": "\n"})]
)
def test_a_file_that_nobody_could_read_is_refused(tenant, data, fields):
    values = {"filename": "x.csv", "kind": "csv"} | fields

    with pytest.raises(ImportRefusedError):
        operations.begin_import(tenant, io.BytesIO(data), is_dry_run=False, by="alice", at=NOON, **values)

    assert not FleetImport.objects.exists()


def test_batches_take_a_constant_number_of_queries(tenant, django_assert_max_num_queries):
    for count in (1, 50):
        with django_assert_max_num_queries(60):
            run(tenant, *[vehicle(100 * count + number) for number in range(count)])


def test_a_file_that_a_crash_has_left_is_removed_after_a_day_and_one_that_waits_is_not(tenant):
    kept = operations.begin_import(
        tenant, io.BytesIO(b"{}"), filename="x.jsonl", kind="jsonl", is_dry_run=False, by="alice", at=NOON
    )
    ended = operations.begin_import(
        tenant, io.BytesIO(b"{}"), filename="x.jsonl", kind="jsonl", is_dry_run=False, by="alice", at=NOON
    )
    FleetImport.objects.filter(pk=ended.pk).update(state=ImportState.FINISHED, finished_at=NOON)
    default_storage.save("imports/nobody", io.BytesIO(b"{}"))
    written = default_storage.get_modified_time("imports/nobody")

    removed = [operations.remove_left_files(now=written + timedelta(hours=hours)) for hours in (23, 25, 26)]

    assert removed == [0, 2, 0]
    assert default_storage.listdir("imports")[1] == [kept.stored_as.removeprefix("imports/")]


def test_where_no_file_ever_came_none_is_left():
    assert operations.remove_left_files(now=NOON) == 0
