"""Signing one vehicle's Director metadata (targets of five packages, snapshot, timestamp), per CPU-second.

The baseline makes the same three files, byte for byte, from python-tuf's Metadata objects, and stores nothing. Nor does
ours where it only signs: the rows that it writes into are there before.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from firmware_store.models import Package
from firmware_store.states import Profile, Repository
from firmware_store.trust import signing
from otaserver.director import documents
from otaserver.director import operations as director
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.director.operations import metadata as metadata_operations
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.bench import measuring
from tests.director.orders import make_order
from tests.director.trust import make_trust
from tests.factories import NOON, make_package, make_tenant, make_vehicle

HARDWARE = ("gateway", "brake", "engine", "cluster", "camera")
VEHICLES = 100
ROUNDS = 5
SIGNED = "a full set signed"
STORED = "the same, read from and stored in the database"

Signers = metadata_operations.Signers
Extras = Mapping[str, dict[str, Any]]  # by role


def measure(pairs: int) -> list[measuring.Figure]:
    tenant = make_tenant("bench")
    make_trust(tenant)
    packages = [make_package(tenant, hardware, hardware_ids=(hardware,)) for hardware in HARDWARE]
    vehicles = [directed_vehicle(tenant, packages) for _ in range(VEHICLES)]
    directions = [vehicle.direction for vehicle in vehicles]
    signers = signing.online_signers(tenant, Repository.DIRECTOR, roles=metadata_operations.ROLES)
    extras = [extra_fields(direction, signers) for direction in directions]
    for direction, extra in zip(directions, extras, strict=True):
        check_equal(signed_set(direction, empty(direction), signers), tuf_set(direction, extra, signers))

    def ours() -> measuring.Rates:
        rows = [(direction, empty(direction)) for direction in directions]
        signed = per_cpu_second(lambda: [signed_set(direction, row, signers) for direction, row in rows], ROUNDS)
        VehicleMetadata.objects.all().delete()
        stored = per_cpu_second(
            lambda: [director.metadata_for(vehicle, profile=Profile.TUF, at=NOON) for vehicle in vehicles], 1
        )
        return {SIGNED: signed, STORED: stored}

    def bare() -> measuring.Rates:
        rate = per_cpu_second(
            lambda: [tuf_set(direction, extra, signers) for direction, extra in zip(directions, extras, strict=True)],
            ROUNDS,
        )
        return {SIGNED: rate, STORED: rate}

    return measuring.figures("metadata", ours=ours, bare=bare, pairs=pairs, goals={SIGNED: 2.0, STORED: None})


def directed_vehicle(tenant: Tenant, packages: list[Package]) -> Vehicle:
    vehicle = make_vehicle(tenant, hardware=HARDWARE)
    by_hardware = {package.hardware_ids[0]: package for package in packages}
    hardware = vehicle.ecus.order_by("-is_primary", "serial").values_list("hardware_id", flat=True)
    director.direct({vehicle.pk: make_order(vehicle, *[by_hardware[one] for one in hardware])}, at=NOON)
    return Vehicle.objects.select_related("tenant", "direction").get(pk=vehicle.pk)


def per_cpu_second(sign_all: Callable[[], object], rounds: int) -> float:
    started = time.process_time()
    for _ in range(rounds):
        sign_all()
    return rounds * VEHICLES / (time.process_time() - started)


def empty(direction: Direction) -> VehicleMetadata:
    return VehicleMetadata(
        vehicle=direction.vehicle,
        profile=Profile.TUF,
        attempt_id=direction.attempt_id,
        targets_version=0,
        snapshot_version=0,
        timestamp_version=0,
    )


def signed_set(direction: Direction, signed: VehicleMetadata, signers: Signers) -> tuple[bytes, bytes, bytes]:
    # What `metadata_for` itself does between reading and storing; a copy of it here could fall behind.
    metadata_operations._sign_targets(signed, direction.content, signers, NOON)
    metadata_operations._sign_timestamp(signed, signers, NOON)
    return signed.targets, signed.snapshot, signed.timestamp


def extra_fields(direction: Direction, signers: Signers) -> Extras:
    """Return what stands in each of the vehicle's files beside TUF's own fields, which python-tuf takes as it is."""
    files = [Metadata.from_bytes(body).signed for body in signed_set(direction, empty(direction), signers)]
    return {signed.type: signed.unrecognized_fields for signed in files}


def tuf_set(direction: Direction, extras: Extras, signers: Signers) -> tuple[bytes, bytes, bytes]:
    files = {
        name: TargetFile(entry["length"], entry["hashes"], name, {"custom": entry["custom"]})
        for name, entry in direction.content["targets"].items()
    }
    end, timestamp_end = NOON + documents.TARGETS_LIFETIME, NOON + documents.TIMESTAMP_LIFETIME
    targets = Targets(1, expires=end, targets=files, unrecognized_fields=extras["targets"])
    meta = {"targets.json": MetaFile(1)}
    snapshot = tuf_signed(
        Snapshot(1, expires=end, meta=meta, unrecognized_fields=extras["snapshot"]),
        signers,
    )
    meta_file = MetaFile.from_data(1, snapshot, ["sha256"])
    timestamp = Timestamp(1, expires=timestamp_end, snapshot_meta=meta_file, unrecognized_fields=extras["timestamp"])
    return tuf_signed(targets, signers), snapshot, tuf_signed(timestamp, signers)


def tuf_signed(signed: Targets | Snapshot | Timestamp, signers: Signers) -> bytes:
    envelope = Metadata(signed)
    envelope.sign(signers[signed.type].signer)
    return envelope.to_bytes(JSONSerializer(compact=True))


def check_equal(ours: tuple[bytes, bytes, bytes], bare: tuple[bytes, bytes, bytes]) -> None:
    """Raise unless both sides made the same bytes: Ed25519 signs the same body always alike."""
    if ours != bare:
        raise RuntimeError(f"The baseline signs something else: {bare} and not {ours}.")
