from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet

from otaserver.fleet import filters, naming, rules
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.errors import VehicleNotFoundError
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.models import Credential, Ecu, FleetAuthority, Group, Vehicle, VehicleQuerySet
from otaserver.fleet.naming_models import Spelling
from otaserver.fleet.protocol_models import DdiSettings
from otaserver.fleet.states import AuthenticationState, CredentialKind, GroupKind, Protocol
from otaserver.tenants.models import Tenant

PREVIEW_SIZE = 20
# Beyond this a preview stops counting: whoever tries a filter waits for it.
PREVIEW_CAP = 10_000
# In larger fleets than this ids are found by how they begin or end alone.
SEARCHED_THROUGH = 20_000


@dataclass(frozen=True)
class FilterPreview:
    """How many vehicles match a filter, and a few of them. Where it is not exact, there are at least so many."""

    count: int
    sample: tuple[str, ...]
    is_exact: bool = True


def vehicle_by_id(tenant: Tenant, vehicle_id: str) -> Vehicle:
    """Return the tenant's vehicle of that id, or raise VehicleNotFoundError."""
    vehicle = Vehicle.objects.of(tenant).select_related("tenant").filter(vehicle_id=vehicle_id[:100]).first()
    if vehicle is None:
        raise VehicleNotFoundError(f"There is no vehicle {vehicle_id[:100]!r}.", vehicle_id=vehicle_id[:100])
    return vehicle


def spellings_called(tenants: Collection[Tenant], text: str) -> list[QuerySet[Spelling]]:
    """Return the spellings of the tenants' vehicles whose ids begin, and those whose ids end, with a text, if any do.

    Of several words the first is meant so, and the others stand anywhere. Where neither finds one and the fleet is
    small (`SEARCHED_THROUGH`), one of all words anywhere is returned.
    """
    rows = Spelling.objects.filter(tenant__in=tenants)
    first, *others = text.split() or [""]
    for word in others:
        rows = rows.filter(forwards__contains=word.upper())
    either = (
        rows.filter(naming.id_begins(first)).order_by("forwards"),
        rows.filter(naming.id_ends(first)).order_by("backwards"),
    )
    found = [each for each in either if each.exists()]
    if found or not is_searched_through(tenants):
        return found or [rows.none()]
    return [rows.filter(forwards__contains=first.upper()).order_by("forwards")]


def is_searched_through(tenants: Collection[Tenant]) -> bool:
    """Return whether a word is looked for anywhere in these tenants' ids."""
    rows = Vehicle.objects.filter(tenant__in=tenants).order_by().values("pk")
    return rows[: SEARCHED_THROUGH + 1].count() <= SEARCHED_THROUGH


def vehicles_called(tenants: Collection[Tenant], text: str) -> VehicleQuerySet:
    """Return the vehicles of all `spellings_called`."""
    first, *others = (rows.order_by().values("pk") for rows in spellings_called(tenants, text))
    return Vehicle.objects.filter(pk__in=first.union(*others) if others else first)


def ecus_called(tenants: Collection[Tenant], text: str) -> QuerySet[Ecu]:
    """Return the ECUs of the tenants' vehicles whose serials begin with a text: as it is, in capital or small letters.

    In a small fleet (`SEARCHED_THROUGH`) those that have each word of it anywhere.
    """
    # Asked of each that is found: joined, the vehicles would be gone through first.
    rows = Ecu.objects.filter(Exists(Vehicle.objects.filter(pk=OuterRef("vehicle_id"), tenant__in=tenants)))
    if not is_searched_through(tenants):
        # A union: joined by OR, or beside the vehicles', the condition would not be looked for in its index.
        cases = sorted({text, text.upper(), text.lower()})
        first, *others = (Ecu.objects.filter(naming.begins("serial", each)).values("pk") for each in cases)
        return rows.filter(pk__in=first.union(*others))
    return rows.filter(*(Q(serial__icontains=word) for word in text.split()))


def vehicle_of_protocol(tenant: Tenant, vehicle_id: str, protocol: Protocol) -> Vehicle:
    """Return the tenant's enrolled vehicle of that id which speaks this protocol, or raise VehicleNotFoundError."""
    vehicle = vehicle_by_id(tenant, vehicle_id)
    if vehicle.enrolled_at is None or vehicle.protocol != protocol:
        raise VehicleNotFoundError(f"{vehicle} speaks no {protocol.label}.", vehicle_id=vehicle.vehicle_id)
    return vehicle


def ddi_settings(tenant: Tenant) -> DdiSettings:
    """Return how the tenant's DDI vehicles are read: as it settled, or by default."""
    return DdiSettings.objects.filter(tenant=tenant).first() or DdiSettings(tenant=tenant)


def vehicles_matching(tenant: Tenant, filter: str) -> VehicleQuerySet:
    """Return the tenant's vehicles that match the filter at the moment the queryset runs.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    return Vehicle.objects.of(tenant).filter(filters.compile_filter(tenant, filter), decommissioned_at=None)


def vehicles_in(group: Group) -> VehicleQuerySet:
    """Return the vehicles of a group: those put into it, or those that match its filter now."""
    if group.kind == GroupKind.DYNAMIC:
        return vehicles_matching(group.tenant, group.filter)
    return Vehicle.objects.of(group.tenant).filter(memberships__group=group)


def groups_with(vehicle: Vehicle, groups: Collection[Group]) -> dict[int, bool | None]:
    """Return which of these groups of its tenant a vehicle is in, by their ids, in four queries however many there are.

    None: the group's filter cannot be answered any more.
    """
    by_hand = set(vehicle.memberships.filter(group__in=groups).values_list("group_id", flat=True))
    met = filters.filters_met(vehicle, {each.pk: each.filter for each in groups if each.kind == GroupKind.DYNAMIC})
    return {each.pk: met.get(each.pk, each.pk in by_hand) for each in groups}


def preview(tenant: Tenant, filter: str) -> FilterPreview:
    """Return how many vehicles match the filter now, up to `PREVIEW_CAP`, and the first few of those by vehicle id.

    One query without an order: ordered, the database would walk all vehicles in it where few match.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    matching = vehicles_matching(tenant, filter).order_by().values_list("vehicle_id", flat=True)
    found = list(matching[: PREVIEW_CAP + 1])
    counted = found[:PREVIEW_CAP]
    return FilterPreview(len(counted), tuple(sorted(counted)[:PREVIEW_SIZE]), is_exact=counted == found)


def authority_certificates(*, at: datetime) -> str:
    """Return the certificates (PEM, one after another) of every tenant's CAs that vehicles' certificates are of."""
    issuing = FleetAuthority.objects.values_list("tenant", "certificate_pem")
    retired = RetiredAuthority.objects.filter(ended_at=None).order_by("pk").values_list("tenant", "certificate_pem")
    rows = sorted([*issuing, *retired], key=lambda row: row[0])
    return "".join(f"{pem.rstrip()}\n" for _, pem in rows)


def certificates_of(authority: RetiredAuthority, *, at: datetime) -> QuerySet[Credential]:
    """Return the certificates of a retired CA that are still good."""
    return Credential.objects.filter(
        vehicle__tenant=authority.tenant_id,
        kind=CredentialKind.CERTIFICATE,
        created_at__gte=authority.created_at,
        # One that was being issued while the CA was replaced is counted here, to be on the safe side.
        created_at__lt=authority.retired_at + timedelta(minutes=1),
        revoked_at=None,
        expires_at__gt=at,
    )


def credentials_of(vehicle: Vehicle) -> QuerySet[Credential]:
    """Return a vehicle's credentials, the newest first."""
    return Credential.objects.filter(vehicle=vehicle).order_by("-generation", "kind")


def first_credential_end(*, at: datetime) -> Min:
    """Return, for a query over vehicles, when the first of a vehicle's live credentials ends; null: it has none."""
    live = Q(credentials__revoked_at=None, credentials__expires_at__gt=at)
    return Min("credentials__expires_at", filter=live)


def is_certificate_of_another(vehicle: Vehicle, serial: str) -> bool:
    """Return whether this is the serial number of a certificate of the tenant's own CA that is another vehicle's."""
    rows = Credential.objects.filter(kind=CredentialKind.CERTIFICATE, fingerprint=rules.plain_serial(serial))
    return rows.filter(vehicle__tenant=vehicle.tenant_id).exclude(vehicle=vehicle).exists()


def is_certificate_revoked(tenant: Tenant, serial: str) -> bool:
    """Return whether this is the serial number of a certificate of the tenant's own CA that was revoked."""
    rows = Credential.objects.filter(kind=CredentialKind.CERTIFICATE, fingerprint=rules.plain_serial(serial))
    return rows.filter(vehicle__tenant=tenant, revoked_at__isnull=False).exists()


def expiring_vehicles(tenant: Tenant, *, within: timedelta, at: datetime) -> VehicleQuerySet:
    """Return the enrolled vehicles whose last credential ends within that time, or has ended, the most urgent first.

    Those that call renew themselves long before: these have been silent.
    """
    live = Q(credentials__revoked_at=None) & ~Q(credentials__kind=CredentialKind.PRE_SHARED)
    ends = Max("credentials__expires_at", filter=live)
    rows = Vehicle.objects.of(tenant).filter(enrolled_at__isnull=False).annotate(credentials_end_at=ends)
    return rows.filter(credentials_end_at__lt=at + within).order_by("credentials_end_at", "pk")


def authentication_sets(tenant: Tenant) -> QuerySet[AuthenticationSet]:
    """Return who asked, or may ask, to be let in as one of the tenant's devices.

    `is_key_change` says that the vehicle of this identity has another key that is accepted.
    """
    accepted = AuthenticationSet.objects.filter(
        tenant=OuterRef("tenant"),
        state=AuthenticationState.ACCEPTED,
        vehicle__vehicle_id=OuterRef("claimed_vehicle_id"),
    )
    others = Exists(accepted.exclude(key_sha256=OuterRef("key_sha256")))
    rows = AuthenticationSet.objects.filter(tenant=tenant).select_related("tenant", "vehicle")
    return rows.annotate(is_key_change=others)


def installed_by_hardware(tenant: Tenant, sha256: str) -> list[tuple[str, int, int]]:
    """Return on how many of the tenant's ECUs a file of this digest runs, by hardware id, and how many only say so."""
    rows = Ecu.objects.filter(vehicle__tenant=tenant, installed_sha256=sha256).order_by("hardware_id")
    counted = rows.values_list("hardware_id").annotate(
        ecus=Count("pk"), asserted=Count("pk", filter=Q(is_asserted=True))
    )
    return list(counted)
