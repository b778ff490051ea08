from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from firmware_store.trust import operations as trust
from otaserver.audit import operations as audit
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Attribute
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant


@transaction.atomic
def open_tenant(
    name: str, *, title: str, has_public_targets: bool, by: str, at: datetime, required_approvals: int = 1
) -> Tenant:
    """Create a tenant with all that is its server's part: online keys, and the CA of its vehicles' certificates.

    Raises:
        ApprovalsRefusedError: so many people cannot be required.
        TenantNameRefusedError: the name has other characters or is reserved.
        TenantExistsError: there is one already.
    """
    tenant = tenants.create_tenant(name, title=title, at=at, required_approvals=required_approvals)
    Tenant.objects.filter(pk=tenant.pk).update(has_public_targets=has_public_targets)
    trust.create_online_keys(tenant, at=at)
    fleet.create_fleet_authority(tenant, at=at)
    audit.record(
        "tenant.created",
        tenant,
        tenant=tenant,
        by=by,
        at=at,
        has_public_targets=has_public_targets,
        required_approvals=required_approvals,
    )
    return tenant


@transaction.atomic
def issue_claim_codes(
    tenant: Tenant, vehicle_ids: Sequence[str], *, valid_for: timedelta, by: str, at: datetime
) -> dict[str, str]:
    """Issue claim codes for vehicles, all or none, and record for whom; return them by vehicle id.

    Raises:
        VehicleIdRefusedError: no vehicle can have one of these ids.
    """
    codes = fleet.create_claim_codes(tenant, vehicle_ids, at=at, valid_for=valid_for)
    audit.record(
        "claim_codes.issued",
        f"{len(codes)} vehicles",
        tenant=tenant,
        by=by,
        at=at,
        vehicle_ids=sorted(codes),
        valid_seconds=int(valid_for.total_seconds()),
    )
    return codes


@transaction.atomic
def declare_attribute(tenant: Tenant, wanted: Mapping[str, Any], *, by: str, at: datetime) -> Attribute:
    """Declare an attribute, and whether it is personal, as `fleet.declare_attribute` and `fleet.mark_personal` do."""
    made = fleet.declare_attribute(
        tenant, name=wanted["name"], type=wanted["type"], description=wanted["description"], by=by, at=at
    )
    if wanted["is_personal"]:
        return fleet.mark_personal(tenant, name=made.name, is_personal=True, by=by, at=at)
    return made
