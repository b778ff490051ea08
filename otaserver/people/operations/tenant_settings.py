"""Changing what holds for a whole tenant."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.tenants import operations as tenants
from otaserver.tenants import rules
from otaserver.tenants.errors import ReasonMissingError
from otaserver.tenants.models import Tenant

# Who has to agree to a campaign: lowering it needs a reason.
_PEOPLE = frozenset({"required_approvals", "rollbacks_need_approval"})


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
