from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from firmware_store.trust import operations as trust
from otaserver.audit import operations as audit
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Attribute
from otaserver.tenants import operations as tenants
from otaserver.tenants import rules
from otaserver.tenants.errors import ReasonMissingError
from otaserver.tenants.models import Tenant

# Who has to agree to a campaign: lowering it needs a reason.
_PEOPLE = frozenset({"required_approvals", "rollbacks_need_approval"})


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
def change_tenant_settings(
    tenant: Tenant, changes: Mapping[str, Any], *, by: str, at: datetime, reason: str = ""
) -> Tenant:
    """Change a tenant's settings, and record what was changed; who approves campaigns, with what was before.

    Raises:
        ApprovalsRefusedError: so many people cannot be required.
        ReasonMissingError: fewer people would have to agree than before, and no reason is given.
    """
    if not changes:
        return tenant
    locked = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    details = dict(changes)
    if _PEOPLE & changes.keys():
        details["before"] = _people(locked, changes, reason.strip())
    if reason.strip():
        details["reason"] = reason.strip()
    Tenant.objects.filter(pk=tenant.pk).update(**changes)
    audit.record("tenant.changed", tenant, tenant=tenant, by=by, at=at, **details)
    return Tenant.objects.get(pk=tenant.pk)


def _people(tenant: Tenant, changes: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return who had to agree before, if what is changed of it may be."""
    required = changes.get("required_approvals", tenant.required_approvals)
    tenants.refuse_approvals(required)
    rollbacks = changes.get("rollbacks_need_approval", tenant.rollbacks_need_approval)
    before = (tenant.required_approvals, tenant.rollbacks_need_approval)
    if rules.is_lowered(before=before, after=(required, rollbacks)) and not reason:
        raise ReasonMissingError("Fewer people would have to agree than before; this needs a reason, in a sentence.")
    return {name: getattr(tenant, name) for name in sorted(_PEOPLE & changes.keys())}


@transaction.atomic
def declare_attribute(tenant: Tenant, wanted: Mapping[str, Any], *, by: str, at: datetime) -> Attribute:
    """Declare an attribute, and whether it is personal, as `fleet.declare_attribute` and `fleet.mark_personal` do."""
    made = fleet.declare_attribute(
        tenant, name=wanted["name"], type=wanted["type"], description=wanted["description"], by=by, at=at
    )
    if wanted["is_personal"]:
        return fleet.mark_personal(tenant, name=made.name, is_personal=True, by=by, at=at)
    return made
