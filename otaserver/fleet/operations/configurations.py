"""Keeping each vehicle's configuration right: in the transaction that changes its ECUs, or in bulk after an import."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import QuerySet

from otaserver.fleet.models import Configuration, Ecu, Vehicle
from otaserver.tenants.models import Tenant

_CHUNK = 2000
EcuRow = tuple[str, str, str]


def configuration_of(tenant: int, ecus: Iterable[Ecu]) -> int | None:
    """Return the row's id of the configuration that a vehicle of these ECUs has; None: it has none.

    For whoever has changed all of a vehicle's ECUs, or read the others too, and writes its row anyway.
    """
    rows = sorted((ecu.hardware_id, ecu.installed_target, ecu.installed_sha256) for ecu in ecus)
    return _configurations(tenant, [rows])[_digest(rows)] if rows else None


@transaction.atomic
def refresh_configuration(vehicle: Vehicle) -> None:
    """Write down what one vehicle's ECUs are and run now. For the transaction that has changed them."""
    vehicle.configuration_id = _refresh(vehicle.tenant_id, [vehicle.pk]).get(vehicle.pk)


def refresh_configurations(vehicles: QuerySet[Vehicle]) -> int:
    """Write down what these vehicles' ECUs are and run now, and return how many vehicles that were.

    For imports, which write ECUs in bulk; a chunk at a time, each a transaction of its own. Repeating changes nothing.
    """
    done = last = 0
    while True:
        with transaction.atomic():
            rows = vehicles.filter(pk__gt=last).order_by("pk")
            # Locked, so that no manifest is accepted between reading the ECUs and writing what they run.
            locked = rows.select_for_update(of=("self",), no_key=True).values_list("pk", "tenant_id")
            chunk = list(locked[:_CHUNK])
            if not chunk:
                return done
            by_tenant: dict[int, list[int]] = defaultdict(list)
            for pk, tenant in chunk:
                by_tenant[tenant].append(pk)
            for tenant, members in by_tenant.items():
                _refresh(tenant, members)
        done, last = done + len(chunk), chunk[-1][0]


def _refresh(tenant: int, vehicles: Collection[int]) -> dict[int, int]:
    found: dict[int, list[EcuRow]] = defaultdict(list)
    rows = Ecu.objects.filter(vehicle__in=vehicles)
    for vehicle, *ecu in rows.values_list("vehicle_id", "hardware_id", "installed_target", "installed_sha256"):
        found[vehicle].append((ecu[0], ecu[1], ecu[2]))
    ecus = {vehicle: sorted(of_one) for vehicle, of_one in found.items()}
    ids = _configurations(tenant, ecus.values())
    chosen = {vehicle: ids[_digest(of_one)] for vehicle, of_one in ecus.items()}
    members: dict[int | None, list[int]] = defaultdict(list)
    for vehicle in vehicles:
        members[chosen.get(vehicle)].append(vehicle)
    for configuration, alike in members.items():
        Vehicle.objects.filter(pk__in=alike).update(configuration=configuration)
    return chosen


def _configurations(tenant: int, wanted: Iterable[list[EcuRow]]) -> dict[str, int]:
    by_digest = {_digest(ecus): ecus for ecus in wanted}
    rows = Configuration.objects.filter(tenant=tenant, sha256__in=by_digest)
    known = dict(rows.values_list("sha256", "pk"))
    new = sorted(by_digest.keys() - known.keys())
    if not new:
        return known
    # Of two that meet a new configuration at once, both go on with the row of the first.
    made = Configuration.objects.bulk_create(
        [Configuration(tenant=Tenant(pk=tenant), sha256=digest, ecus=by_digest[digest]) for digest in new],
        update_conflicts=True,
        unique_fields=["tenant", "sha256"],
        # Whatever it names is the same already; no key, so that no vehicle that is given this row has to wait.
        update_fields=["ecus"],
    )
    return known | {row.sha256: row.pk for row in made}


def _digest(ecus: list[EcuRow]) -> str:
    return hashlib.sha256(json.dumps(ecus, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()
