"""Blackouts: declared and lifted by people; the fleet-wide one without an end is a freeze."""

from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.campaigns.errors import BlackoutLiftedError, BlackoutNameTakenError, BlackoutRefusedError
from otaserver.campaigns.models import Blackout
from otaserver.campaigns.operations import decisions, renewals
from otaserver.campaigns.queries import blackouts
from otaserver.campaigns.rules import plans
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant


@transaction.atomic
def declare_blackout(
    tenant: Tenant,
    *,
    name: str,
    reason: str,
    starts_at: datetime,
    ends_at: datetime | None = None,
    group: Group | None = None,
    by: str,
    at: datetime,
) -> Blackout:
    """Offer nothing to a tenant's vehicles, or a group's, for a time, and let them install nothing that is pending.

    Orders that stand at vehicles are made anew by the next tick, so that what was downloaded is not installed either:
    with the online permit from the vehicle's next contact on. An installation is never interrupted. Without `ends_at`
    it holds until it is lifted; it begins now where `starts_at` is past.

    Raises:
        ReasonMissingError: no reason is given.
        BlackoutRefusedError: it is over already, ends before it starts, has an impossible name or another's group.
        BlackoutNameTakenError: one of that name has not been lifted.
    """
    reason = decisions.require_reason(reason)
    starts_at = max(starts_at, at)
    problem = plans.name_problem(name, noun="blackout")
    if ends_at is not None and ends_at <= starts_at:
        problem = f"A blackout ends after it starts and after now; {ends_at:%Y-%m-%d %H:%M:%S} UTC does not."
    if group is not None and group.tenant_id != tenant.pk:
        problem = "A blackout is for a group of its own tenant."
    if problem is not None:
        raise BlackoutRefusedError(problem)
    blackout = Blackout(
        tenant=tenant,
        name=name,
        reason=reason,
        starts_at=starts_at,
        ends_at=ends_at,
        group=group,
        created_by=by,
        created_at=at,
    )
    try:
        with transaction.atomic():
            blackout.save(force_insert=True)
    except IntegrityError as error:
        raise BlackoutNameTakenError(f"There is a blackout {name!r} that is not lifted.", name=name) from error
    marked = renewals.mark(tenant, blackouts.members(blackout), at=at)
    audit.record(
        "blackout.declared",
        blackout,
        tenant=tenant,
        by=by,
        at=at,
        reason=reason,
        starts_at=starts_at.isoformat(),
        ends_at=ends_at and ends_at.isoformat(),
        group=group and group.name,
        orders=marked,
    )
    return blackout


@transaction.atomic
def lift_blackout(blackout: Blackout, *, reason: str, by: str, at: datetime) -> None:
    """End a blackout now, or call off one that is to come; orders that it held are made anew by the next tick.

    Raises:
        ReasonMissingError: no reason is given.
        BlackoutLiftedError: it was lifted already.
    """
    reason = decisions.require_reason(reason)
    standing = Blackout.objects.filter(pk=blackout.pk, lifted_at=None)
    if not standing.update(lifted_at=at, lifted_by=by, lifted_reason=reason):
        raise BlackoutLiftedError(f"Blackout {blackout} is lifted already.", name=blackout.name)
    blackout.lifted_at, blackout.lifted_by, blackout.lifted_reason = at, by, reason
    marked = renewals.mark(blackout.tenant, blackouts.members(blackout), at=at)
    audit.record("blackout.lifted", blackout, tenant=blackout.tenant, by=by, at=at, reason=reason, orders=marked)
