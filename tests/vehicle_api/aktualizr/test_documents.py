"""Every document that aktualizr reads, as the server and the publisher make it, under the eyes of the strict reader."""

import base64
import json
from datetime import timedelta
from uuid import UUID

import pytest
from securesystemslib.signer import CryptoSigner

from firmware_store.states import Profile, Repository
from firmware_store.trust import operations as trust_operations
from firmware_store.trust.profiles import seal
from otaserver.director import documents
from otaserver.director import operations as director
from otaserver.director.orders import Order, OrderedPackage
from otaserver.fleet.models import Vehicle
from tests.director.orders import make_order
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony
from tests.vehicle_api.aktualizr import strict_reader
from tests.vehicle_api.aktualizr.simulated import RSA_KEYS, Ecu
from tests.vehicle_api.aktualizr.strict_reader import LARGE, SMALL, Rejected, canonical
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database

SIGNATURE = {"keyid", "method", "sig"}


@pytest.fixture
def client(yard, software):
    """A vehicle with two ECUs and an order for the first of them."""
    client = software.vehicle(secondary=True)
    vehicle = Vehicle.objects.get()
    order = make_order(vehicle, software.new)
    director.direct({vehicle.pk: order}, at=NOON)
    client.order = order
    return client


def document(client, path):
    """Fetch a document and return what is signed; the envelope has the client's form."""
    response = client.call("GET", path)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    envelope = json.loads(response.content)
    assert canonical(envelope) == response.content
    assert all(set(entry) == SIGNATURE for entry in envelope["signatures"])
    return envelope["signed"]


@pytest.mark.parametrize("repository", ["director", "repo"])
def test_a_root_describes_its_four_roles_with_keys_that_the_client_knows(client, repository):
    signed = document(client, f"{repository}/1.root.json")

    assert set(signed) == {"_type", "version", "expires", "consistent_snapshot", "keys", "roles"}
    assert (signed["_type"], signed["version"], signed["consistent_snapshot"]) == ("Root", 1, False)
    assert {(key["keytype"], *key) for key in signed["keys"].values()} == {("ED25519", "keytype", "keyval")}
    assert set(signed["roles"]) == {"root", "targets", "snapshot", "timestamp"}
    assert signed["roles"]["root"]["threshold"] == 2
    newest = client.fetch(f"{repository}/root.json")
    assert newest == client.fetch(f"{repository}/1.root.json")
    strict_reader.roles_of(strict_reader.read(newest, "Root", cap=SMALL))


def test_the_directors_targets_are_what_the_client_reads_and_no_more(client, software):
    signed = document(client, "director/targets.json")

    assert signed == {
        "_type": "Targets",
        "version": 1,
        "expires": "2026-07-02T12:00:00Z",
        "vehicle_id": "VIN1",
        "custom": {"correlationId": f"urn:ota:attempt:{client.order.attempt_id}"},
        "targets": {
            "supplier/gateway-2.0": {
                "length": software.new.length,
                "hashes": {"sha256": software.new.sha256},
                "custom": {"ecuIdentifiers": {"PRIM-VIN1": {"hardwareId": "gateway"}}, "targetFormat": "BINARY"},
            }
        },
    }


def test_without_an_order_the_targets_are_empty_and_signed_with_the_next_version(client):
    before = document(client, "director/targets.json")["version"]
    director.direct(dict.fromkeys(Vehicle.objects.values_list("pk", flat=True)), at=NOON)

    signed = document(client, "director/targets.json")

    assert (signed["version"], signed["targets"], signed["custom"]) == (before + 1, {}, {})


def test_the_directors_other_files_are_there_for_other_clients_of_this_form(client):
    snapshot = client.fetch("director/snapshot.json")
    entry = document(client, "director/timestamp.json")["meta"]["snapshot.json"]

    file = strict_reader.read(snapshot, "Snapshot", cap=SMALL)
    strict_reader._match_snapshot(file, entry)
    assert file.signed["meta"]["targets.json"]["version"] == document(client, "director/targets.json")["version"]


def test_the_image_repository_in_unversioned_names(client, software):
    timestamp = document(client, "repo/timestamp.json")
    snapshot = document(client, "repo/snapshot.json")
    targets = document(client, "repo/targets.json")
    delegated = document(client, "repo/delegations/supplier.json")

    assert set(timestamp["meta"]["snapshot.json"]) == {"version", "length", "hashes"}
    assert snapshot["meta"] == {
        "targets.json": {"version": targets["version"]},
        "supplier.json": {"version": delegated["version"]},
        "chips.json": {"version": 1},
    }
    assert targets["targets"] == {}
    assert [set(role) for role in targets["delegations"]["roles"]] == [
        {"name", "keyids", "threshold", "paths", "terminating"}
    ] * 2
    entry = delegated["targets"]["supplier/gateway-2.0"]
    assert entry["custom"]["hardwareIds"] == ["gateway"]
    assert entry["custom"]["targetFormat"] == "BINARY"


def test_the_strict_reader_takes_all_of_it_in_the_order_of_the_client(client, software):
    (ordered,) = client.look(NOON)

    assert (ordered.name, ordered.sha256, ordered.path) == (
        "supplier/gateway-2.0",
        software.new.sha256,
        "targets/supplier/gateway-2.0",
    )


ABSENT = [
    "director/2.root.json",
    "director/0.root.json",
    "repo/2.root.json",
    "repo/1.targets.json",
    "repo/delegations/nobody.json",
    "repo/delegations/root.json",
    "repo/delegations/targets.json",
    "repo/delegations/%2e%2e%2froot.json",
    "repo/delegations/../root.json",
    "repo/targets/../../etc/passwd",
    "repo/targets/supplier/none-1.0",
    "repo/targets/gateway-2.0",
]


def test_what_is_not_there_is_404(client):
    assert {path: client.call("GET", path).status_code for path in ABSENT} == dict.fromkeys(ABSENT, 404)


def test_a_tenant_without_this_form_of_metadata_serves_none(yard):
    tenant = make_tenant("plain")
    Ceremony(tenant, used_profiles=[Profile.TUF]).establish()
    client = yard.vehicle()
    Vehicle.objects.update(tenant=tenant)
    client.tenant = "plain"

    check_problem(client.call("GET", "director/1.root.json"), 404, "metadata.not_found")
    check_problem(client.call("GET", "director/targets.json"), 404, "metadata.not_found")


def test_after_a_rotation_of_the_online_keys_the_client_goes_on(client, yard):
    client.look(NOON)
    trust_operations.create_online_keys(yard.tenant, at=NOON, rotate=True)
    for repository in Repository:
        yard.bench.publisher().trust.rotate_root(repository)

    (ordered,) = client.look(NOON)

    assert ordered.name == "supplier/gateway-2.0"
    assert client.director.root.version == client.images.root.version == 2


# The largest order that a vehicle can be given: as many ECUs as one can have, each with a package of its own, and every
# name as long as it may be.
def test_no_order_is_larger_than_the_client_reads():
    serials = ["\\" * 61 + f"{number:03}" for number in range(100)]
    packages = [
        OrderedPackage(
            ecu_serial=serial,
            hardware_id='"' * 64,
            target_name=f"{'r' * 40}/{'n' * 80}-{'v' * 57}{number:03}",
            name="n",
            version="v",
            length=2**53 - 1,
            sha256="f" * 64,
            sha512="f" * 128,
            hardware_ids=['"' * 64],
            release_counter=0,
        )
        for number, serial in enumerate(serials)
    ]
    order = Order(attempt_id=UUID(int=1), number=1, campaign="c" * 200, release="r" * 200, packages=packages)
    content = documents.order_content(order)
    body = documents.targets_body(
        Profile.AKTUALIZR, vehicle_id="V" * 64, version=2**31 - 1, expires_at=NOON, content=content
    )

    envelope = seal(body, Profile.AKTUALIZR, keyid="f" * 64, keytype="rsa", signature=bytes(512))

    assert len(json.loads(body)["targets"]) == 100
    assert len(envelope) <= SMALL


# With RSA keys the two canonical forms differ, by the line breaks in PEM.
def test_a_root_with_rsa_keys_is_signed_over_the_form_that_the_client_computes(db):
    tenant = make_tenant()
    ceremony = Ceremony(tenant)
    ceremony.keys["image root"] = [CryptoSigner.generate_rsa(size=2048)]
    trust_operations.create_online_keys(tenant, at=NOON)

    body = ceremony.root("image")[Profile.AKTUALIZR]

    root = strict_reader.read(body, "Root", cap=SMALL)
    strict_reader.verify(root, strict_reader.roles_of(root)["root"])
    assert b"BEGIN PUBLIC KEY-----\\n" in body


# What the strict reader is worth: everything that the client rejects, it rejects.
def changed(body, change):
    envelope = json.loads(body)
    change(envelope)
    return canonical(envelope)


CHANGES = {
    "type": lambda e: e["signed"].update(_type="targets"),
    "fraction": lambda e: e["signed"].update(expires="2030-01-01T00:00:00.5Z"),
    "offset": lambda e: e["signed"].update(expires="2030-01-01T00:00:00+00:00"),
    "version": lambda e: e["signed"].update(version="1"),
    "large version": lambda e: e["signed"].update(version=2**31),
    "content": lambda e: e["signed"].update(targets={}),
    "no method": lambda e: e["signatures"][0].pop("method"),
    "method": lambda e: e["signatures"][0].update(method="rsassa-pss"),
    "hex": lambda e: e["signatures"][0].update(sig=base64.b64decode(e["signatures"][0]["sig"]).hex() + "!"),
    "key": lambda e: e["signatures"][0].update(keyid="0" * 64),
    "unsigned": lambda e: e.update(signatures=[]),
}


def test_the_strict_reader_rejects_other_targets(client):
    roles = client.director.update_root(NOON)
    body = client.fetch("director/targets.json")

    for change in CHANGES.values():
        spoilt = changed(body, change)
        served = strict_reader.Repository(lambda path, spoilt=spoilt: spoilt)
        with pytest.raises(Rejected):
            served.take("targets", "Targets", roles["targets"], cap=SMALL, now=NOON)


SPOILT = [
    lambda body: json.dumps(json.loads(body), indent=1).encode(),
    lambda body: body + b" ",
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body.replace(b'"version"', b'"version":1,"version"', 1),
    lambda body: body.replace(b"VIN1", "VÍN1".encode()),
    lambda body: body + b" " * SMALL,
    lambda body: None,
]


def test_the_strict_reader_takes_canonical_bytes_alone(client):
    body = client.fetch("director/targets.json")

    for spoil in SPOILT:
        with pytest.raises(Rejected):
            strict_reader.read(spoil(body), "Targets", cap=SMALL)
    assert strict_reader.read(body, "Targets", cap=SMALL).version == 1


def test_the_strict_reader_notices_what_does_not_belong_together(client):
    client.look(NOON)
    real = client.images.fetch
    other = changed(real("snapshot.json"), lambda e: e["signatures"][0].update(keyid="0" * 64))
    old_root = client.director.root

    for name, body in (("snapshot.json", other), ("delegations/supplier.json", None), ("targets.json", None)):
        spoilt = strict_reader.Repository(lambda path, name=name, body=body: body if path == name else real(path))
        with pytest.raises(Rejected):
            strict_reader.read_image(spoilt, client.look(NOON), NOON)
    with pytest.raises(Rejected):
        strict_reader.read_director(client.director, {"PRIM-VIN1": "other"}, NOON)
    with pytest.raises(Rejected):
        strict_reader.read_director(client.director, {}, NOON)
    with pytest.raises(Rejected):
        client.look(NOON + timedelta(days=400))
    assert client.director.root == old_root


def test_the_strict_reader_rejects_a_root_with_a_key_of_another_kind(client):
    body = client.fetch("repo/1.root.json")
    spoilt = changed(body, lambda e: next(iter(e["signed"]["keys"].values())).update(keytype="ECDSA"))

    with pytest.raises(Rejected):
        strict_reader.roles_of(strict_reader.read(spoilt, "Root", cap=LARGE))


# What it sends, in the words of the document.
def test_ecus_register_in_its_form_with_both_kinds_of_keys(yard):
    client = yard.vehicle(registered=False)
    client.ecus.append(Ecu("SEC-1", "brake", RSA_KEYS[0]))

    first = client.register()
    second = client.register()

    assert (first.status_code, second.status_code) == (201, 200)
    rows = Vehicle.objects.get().ecus.order_by("serial").values_list("serial", "is_primary", "public_key__keytype")
    assert list(rows) == [("PRIM-VIN1", True, "ed25519"), ("SEC-1", False, "rsa")]
    assert client.send_manifest().json() == {"findings": []}


def test_a_primary_with_an_rsa_key_is_heard_too(yard):
    client = yard.vehicle(registered=False)
    client.ecus = [Ecu("PRIM-VIN1", "gateway", RSA_KEYS[0])]
    client.register()

    assert [client.send_manifest().json(), client.send_manifest().json()] == [{"findings": []}] * 2
