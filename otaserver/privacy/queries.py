from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import JSONField, Q, QuerySet, TextField
from django.db.models.functions import Cast

from otaserver.audit.models import Entry
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.models import ClaimCode, Vehicle
from otaserver.privacy import words
from otaserver.privacy.holdings import HOLDINGS, NOTES, TEXTS
from otaserver.privacy.rules import KINDS
from otaserver.tenants.models import Tenant

_PAGE = 500
# What lets somebody in is nobody's to read, not even as a hash.
_SECRETS = frozenset({"sha256", "fingerprint"})
_HASHED_SECRETS = frozenset({"credential", "claimcode"})


def held_of(vehicle: Vehicle) -> Iterator[dict[str, Any]]:
    """Yield all that is held of one vehicle, row by row, with `kind` and the row's own fields; audit entries last.

    Read page by page: the whole of it is never in memory, and no transaction stays open.
    """
    yield from _rows(Vehicle.objects.filter(pk=vehicle.pk))
    for model, path in HOLDINGS.items():
        yield from _rows(model._default_manager.filter(**{path: vehicle}))
    yield from _rows(ClaimCode.objects.filter(tenant=vehicle.tenant, vehicle_id=vehicle.vehicle_id))
    unclaimed = AuthenticationSet.objects.filter(tenant=vehicle.tenant, vehicle=None)
    yield from _rows(unclaimed.filter(claimed_vehicle_id=vehicle.vehicle_id))
    yield from _named_elsewhere(vehicle)
    yield from _entries_about(vehicle)


def ids_with(vehicle: Vehicle) -> list[str]:
    """Return the ids of the tenant's other vehicles in which this one's id stands."""
    others = Vehicle.objects.filter(tenant=vehicle.tenant_id, vehicle_id__contains=vehicle.vehicle_id)
    return list(others.exclude(pk=vehicle.pk).values_list("vehicle_id", flat=True))


def naming(rows: QuerySet[Any], fields: tuple[str, ...], name: str) -> QuerySet[Any]:
    """Return the rows in one of whose fields the name stands, perhaps within another word."""
    wanted = Q()
    for field in fields:
        if isinstance(rows.model._meta.get_field(field), JSONField):
            rows = rows.annotate(**{f"said_{field}": Cast(field, TextField())})
            wanted |= Q(**{f"said_{field}__contains": name})
        else:
            wanted |= Q(**{f"{field}__contains": name})
    return rows.filter(wanted)


def _named_elsewhere(vehicle: Vehicle) -> Iterator[dict[str, Any]]:
    """Yield what is not the vehicle's own and names it: which row, and the fields that may."""
    others = ids_with(vehicle)
    for model, (path, fields) in {**TEXTS, **NOTES}.items():
        rows = model._default_manager.filter(**{path: vehicle.tenant_id})
        own = "pk" if model is Vehicle else HOLDINGS.get(model)
        rows = naming(rows if own is None else rows.exclude(**{own: vehicle.pk}), fields, vehicle.vehicle_id)
        for row in rows.iterator(_PAGE):
            said = {name: getattr(row, name) for name in fields}
            if words.stands_in(vehicle.vehicle_id, list(said.values()), others=others):
                moment = {"at": row.at.isoformat()} if hasattr(row, "at") else {}
                yield {"kind": model._meta.model_name, "id": row.pk, **moment, **said}


def _entries_about(vehicle: Vehicle) -> Iterator[dict[str, Any]]:
    """Yield the audit entries in which the vehicle's id stands as a whole word: others' ids may hold it."""
    rows = Entry.objects.filter(tenant=vehicle.tenant_id).annotate(said=Cast("details", TextField()))
    others = ids_with(vehicle)
    for entry in _rows(rows.filter(Q(subject__contains=vehicle.vehicle_id) | Q(said__contains=vehicle.vehicle_id))):
        del entry["said"]
        if words.stands_in(vehicle.vehicle_id, [entry["subject"], entry["details"]], others=others):
            yield entry


def retention_days(tenant: Tenant) -> dict[str, int]:
    """Return for how many days the tenant keeps each kind of record."""
    own = dict(tenant.retention_rules.values_list("kind", "days"))
    return {name: own.get(name, kind.days) for name, kind in KINDS.items()}


def _rows(rows: QuerySet[Any]) -> Iterator[dict[str, Any]]:
    kind = str(rows.model._meta.model_name)
    hidden = _SECRETS if kind in _HASHED_SECRETS else frozenset()
    last: Any = None
    ordered = rows.order_by("pk").values()
    while page := list((ordered if last is None else ordered.filter(pk__gt=last))[:_PAGE]):
        for row in page:
            yield {"kind": kind} | {name: _plain(value) for name, value in row.items() if name not in hidden}
        last = page[-1][rows.model._meta.pk.attname]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        # Signed metadata and manifests are JSON in ASCII.
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value
