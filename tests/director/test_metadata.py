import hashlib
import json
import threading
from datetime import timedelta

import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from firmware_store.states import Profile, Repository
from firmware_store.trust import queries as trust_queries
from otaserver.director import errors, operations, queries
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.director.operations.metadata import _store
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.director.orders import make_order
from tests.director.trust import make_trust
from tests.factories import NOON, make_package, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture
def trust():
    return make_trust(make_tenant())


@pytest.fixture
def car(trust):
    return make_vehicle(trust.tenant, hardware=("gateway", "gateway"))


def fetch(car, *, at=NOON, profile=Profile.TUF):
    return operations.metadata_for(Vehicle.objects.get(pk=car.pk), profile=profile, at=at)


def versions(metadata):
    return metadata.targets_version, metadata.snapshot_version, metadata.timestamp_version


def signed(body):
    return json.loads(bytes(body))["signed"]


def verify(metadata, tenant):
    """Verify all three roles against the Director's newest root, with python-tuf."""
    row = trust_queries.role_metadata(tenant, Repository.DIRECTOR, "root", Profile.TUF)
    root = Metadata[Root].from_bytes(bytes(row.body)).signed
    for role, kind in (("targets", Targets), ("snapshot", Snapshot), ("timestamp", Timestamp)):
        found = Metadata[kind].from_bytes(bytes(getattr(metadata, role)))
        root.verify_delegate(role, found.signed_bytes, found.signatures)


def direct(car, package, *, at=NOON, **fields):
    order = make_order(car, package, package, **fields)
    operations.direct({car.pk: order}, at=at)
    return order


def test_a_vehicle_without_an_order_gets_empty_targets_that_name_it(car, trust):
    metadata = fetch(car)

    verify(metadata, trust.tenant)
    assert signed(metadata.targets) == {
        "_type": "targets",
        "spec_version": "1.0.31",
        "version": 1,
        "expires": "2026-07-02T12:00:00Z",
        "vehicle_id": car.vehicle_id,
        "custom": {},
        "targets": {},
    }
    assert signed(metadata.snapshot)["vehicle_id"] == signed(metadata.timestamp)["vehicle_id"] == car.vehicle_id
    assert signed(metadata.snapshot)["meta"] == {"targets.json": {"version": 1}}
    snapshot = bytes(metadata.snapshot)
    assert signed(metadata.timestamp)["meta"] == {
        "snapshot.json": {
            "version": 1,
            "length": len(snapshot),
            "hashes": {"sha256": hashlib.sha256(snapshot).hexdigest()},
        }
    }
    assert signed(metadata.timestamp)["expires"] == "2026-06-02T12:00:00Z"
    assert metadata.attempt_id is None


def test_an_order_is_stated_once_per_target_with_all_its_ecus(car, trust):
    package = make_package(trust.tenant, release_counter=3)
    order = direct(car, package, notes={"en": "Quieter."})

    metadata = fetch(car)

    verify(metadata, trust.tenant)
    targets = signed(metadata.targets)
    assert list(targets["targets"]) == ["supplier/engine-1.0"]
    custom = targets["targets"]["supplier/engine-1.0"]["custom"]
    assert sorted(custom["ecuIdentifiers"]) == [f"{car.vehicle_id}-0", f"{car.vehicle_id}-1"]
    assert custom["releaseCounter"] == 3
    assert targets["custom"]["order"]["attempt"] == str(order.attempt_id)
    assert metadata.attempt_id == order.attempt_id


def test_the_aktualizr_profile_states_the_same_in_its_own_form(car, trust):
    order = direct(car, make_package(trust.tenant))

    metadata = fetch(car, profile=Profile.AKTUALIZR)

    envelope = json.loads(bytes(metadata.targets))
    assert envelope["signatures"][0]["method"] == "ed25519"
    assert envelope["signed"]["_type"] == "Targets"
    assert "spec_version" not in envelope["signed"]
    assert envelope["signed"]["custom"] == {"correlationId": f"urn:ota:attempt:{order.attempt_id}"}
    (name, target), (same_name, full) = (
        *envelope["signed"]["targets"].items(),
        *signed(fetch(car).targets)["targets"].items(),
    )
    assert (name, target["length"], target["hashes"]) == (
        same_name,
        full["length"],
        {"sha256": full["hashes"]["sha256"]},
    )
    assert target["custom"] == {part: full["custom"][part] for part in ("ecuIdentifiers", "targetFormat")}
    assert VehicleMetadata.objects.count() == 2


def test_what_is_served_is_canonical_and_ascii(car, trust):
    direct(car, make_package(trust.tenant), notes={"ja": "静かになりました"})

    metadata = fetch(car)

    for body in (metadata.targets, metadata.snapshot, metadata.timestamp):
        text = bytes(body).decode("ascii")
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_asking_again_signs_nothing_with_one_query(car, django_assert_num_queries):
    first = fetch(car)
    vehicle = Vehicle.objects.select_related("tenant").get(pk=car.pk)

    with django_assert_num_queries(1):
        again = operations.metadata_for(vehicle, profile=Profile.TUF, at=NOON + timedelta(hours=17))

    assert bytes(again.timestamp) == bytes(first.timestamp)
    assert again.signed_at == first.signed_at


def test_the_timestamp_alone_is_signed_anew_before_a_quarter_of_its_life_is_left(car, trust):
    first = fetch(car)

    again = fetch(car, at=NOON + timedelta(hours=18))

    verify(again, trust.tenant)
    assert versions(again) == (1, 1, 2)
    assert bytes(again.targets) == bytes(first.targets)
    assert bytes(again.snapshot) == bytes(first.snapshot)
    assert signed(again.timestamp)["expires"] == "2026-06-03T06:00:00Z"


def test_a26_the_timestamp_says_when_it_was_signed_for_vehicles_without_a_clock(car, trust):
    assert signed(fetch(car).timestamp)["signed_at"] == "2026-06-01T12:00:00Z"
    assert signed(fetch(car, at=NOON + timedelta(hours=18)).timestamp)["signed_at"] == "2026-06-02T06:00:00Z"


def test_targets_are_signed_anew_before_a_quarter_of_their_life_is_left(car, trust):
    fetch(car)

    again = fetch(car, at=NOON + timedelta(days=31) * 0.75)

    verify(again, trust.tenant)
    assert versions(again) == (2, 2, 2)
    assert signed(again.targets)["expires"] > "2026-07-20"


def test_a_new_order_and_its_withdrawal_each_raise_every_version(car, trust):
    fetch(car)
    direct(car, make_package(trust.tenant))
    ordered = fetch(car)
    operations.direct({car.pk: None}, at=NOON)

    withdrawn = fetch(car)

    assert (versions(ordered), versions(withdrawn)) == ((2, 2, 2), (3, 3, 3))
    assert signed(withdrawn.targets)["targets"] == {}
    assert withdrawn.attempt_id is None


def test_a_blocked_vehicle_is_told_nothing_until_it_is_unblocked(car, trust):
    order = direct(car, make_package(trust.tenant))
    fetch(car)
    Vehicle.objects.filter(pk=car.pk).update(blocked_at=NOON)

    blocked = fetch(car)
    Vehicle.objects.filter(pk=car.pk).update(blocked_at=None)
    unblocked = fetch(car)

    assert (signed(blocked.targets)["targets"], blocked.attempt_id) == ({}, None)
    assert (versions(unblocked), unblocked.attempt_id) == ((3, 3, 3), order.attempt_id)


def test_a_stopped_tenants_vehicles_are_told_nothing_and_those_without_orders_are_not_signed_anew(car, trust):
    idle = make_vehicle(trust.tenant)
    direct(car, make_package(trust.tenant))
    fetch(car), fetch(idle)

    Tenant.objects.update(stopped_at=NOON)

    assert signed(fetch(car).targets)["targets"] == {}
    assert versions(fetch(idle)) == (1, 1, 1)


def test_a_rotated_root_with_new_online_keys_leads_to_fresh_signatures(car, trust):
    before = fetch(car)
    trust.rotate(Repository.DIRECTOR, at=NOON)

    after = fetch(car)

    verify(after, trust.tenant)
    keyids = [json.loads(bytes(metadata.timestamp))["signatures"][0]["keyid"] for metadata in (before, after)]
    assert keyids[0] != keyids[1]
    assert (versions(after), after.root_version) == ((2, 2, 2), 2)


def test_without_a_root_nothing_is_signed():
    car = make_vehicle()

    with pytest.raises(errors.MetadataVersionNotFoundError):
        fetch(car)

    assert not VehicleMetadata.objects.exists()


def test_a_vehicle_between_timestamp_and_targets_finds_what_its_timestamp_promised(car, trust):
    first = fetch(car)
    direct(car, make_package(trust.tenant))

    assert queries.stored_body(car, profile=Profile.TUF, role="targets", version=1) == bytes(first.targets)
    assert queries.stored_body(car, profile=Profile.TUF, role="snapshot", version=1) == bytes(first.snapshot)
    with pytest.raises(errors.MetadataVersionNotFoundError):
        queries.stored_body(car, profile=Profile.TUF, role="targets", version=2)


# A30: races on the server.
def test_a30_workers_asked_at_once_for_the_first_time_sign_one_body(at_once, car):
    results = at_once(*[lambda: fetch(car)] * 6)

    assert {versions(result) for result in results} == {(1, 1, 1)}
    assert len({(bytes(result.targets), bytes(result.timestamp)) for result in results}) == 1


def test_a30_one_version_has_one_body_while_orders_change_under_many_workers(at_once, car, trust):
    package = make_package(trust.tenant)
    orders = [make_order(car, package, package, number=number) for number in range(1, 9)]
    seen, lock = [], threading.Lock()

    def poll(offset):
        for step in range(8):
            # Each worker's clock is a little off, so that two signatures of one version would differ.
            found = fetch(car, at=NOON + timedelta(hours=6 * step, seconds=offset))
            with lock:
                seen.append((versions(found), bytes(found.targets), bytes(found.snapshot), bytes(found.timestamp)))

    def change():
        for order in orders:
            operations.direct({car.pk: order}, at=NOON)

    results = at_once(change, *[lambda offset=offset: poll(offset) for offset in range(4)])

    assert results == [None] * 5
    for position in (0, 1, 2):
        bodies = {}
        for found in seen:
            bodies.setdefault(found[0][position], set()).add(found[1 + position])
        assert all(len(variants) == 1 for variants in bodies.values())
    last = fetch(car, at=NOON + timedelta(hours=48))
    assert signed(last.targets)["custom"]["order"]["number"] == 8
    assert Direction.objects.get().revision == 8


def test_a30_a_worker_that_signed_over_an_old_version_changes_nothing(car, trust):
    stale = fetch(car)
    direct(car, make_package(trust.tenant))
    current = fetch(car)
    stale.timestamp_version += 1

    with pytest.raises(errors.SignedMeanwhileError):
        _store(stale, 1)

    assert bytes(VehicleMetadata.objects.get().timestamp) == bytes(current.timestamp)
