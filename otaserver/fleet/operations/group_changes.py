from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from otaserver.audit import operations as audit
from otaserver.fleet import filters, rules
from otaserver.fleet.errors import (
    GroupDynamicError,
    GroupExistsError,
    GroupInUseError,
    GroupNameRefusedError,
    ReasonMissingError,
)
from otaserver.fleet.models import Group
from otaserver.fleet.states import GroupKind


@transaction.atomic
def change_group(group: Group, *, by: str, at: datetime, name: str | None = None, filter: str | None = None) -> None:
    """Give a group another name, or a dynamic one another filter; campaigns that have started keep their vehicles.

    Raises:
        GroupNameRefusedError, GroupExistsError: about its name.
        GroupDynamicError: a static group has no filter, and a dynamic one is nothing without.
        FilterRefusedError: the filter cannot be answered; its subclasses say why.
        GroupInUseError: filters of other groups name it.
    """
    changes = {
        field: value
        for field, value in (("name", name), ("filter", filter))
        if value is not None and value != getattr(group, field)
    }
    if not changes:
        return
    _refuse(group, changes)
    if "name" in changes:
        _refuse_named(group, "bear another name")
    before = {field: getattr(group, field) for field in changes}
    try:
        with transaction.atomic():
            Group.objects.filter(pk=group.pk).update(**changes)
    except IntegrityError as error:
        raise GroupExistsError(f"Tenant {group.tenant} has a group {name!r} already.", name=name) from error
    for field, value in changes.items():
        setattr(group, field, value)
    audit.record("group.changed", group, tenant=group.tenant, by=by, at=at, before=before, **changes)


@transaction.atomic
def delete_group(group: Group, *, reason: str, by: str, at: datetime) -> None:
    """Delete a group; its vehicles stay what they are.

    Raises:
        ReasonMissingError: no reason given.
        GroupInUseError: a campaign, a wave or a blackout is for it, filters of other groups name it, or it is a block
            list.
    """
    if not reason.strip():
        raise ReasonMissingError("Deleting a group needs a reason, in a sentence.")
    if group.blocks_updates_reason:
        raise GroupInUseError(f"Group {group} is a block list; lift it first.", name=group.name)
    _refuse_named(group, "go")
    audit.record("group.deleted", group, tenant=group.tenant, by=by, at=at, reason=reason.strip(), filter=group.filter)
    try:
        Group.objects.get(pk=group.pk).delete()
    except ProtectedError as error:
        raise GroupInUseError(
            f"Group {group} is what a campaign, a wave or a blackout is for.", name=group.name
        ) from error


def _refuse_named(group: Group, what: str) -> None:
    """Refuse what would leave other groups with a filter that nobody can answer: block lists and blackouts too."""
    dynamic = Group.objects.filter(tenant=group.tenant_id, kind=GroupKind.DYNAMIC, filter__contains="group")
    named_by = [each.name for each in dynamic.order_by("name") if group.name in filters.groups_named(each.filter)]
    if named_by:
        listed = ", ".join(named_by)
        raise GroupInUseError(
            f"Group {group} cannot {what}: filters name it, those of {listed}. Change these first.", name=group.name
        )


def _refuse(group: Group, changes: dict[str, str]) -> None:
    problem = rules.group_name_problem(changes.get("name", group.name))
    if problem:
        raise GroupNameRefusedError(problem, name=changes["name"])
    if "filter" in changes:
        if group.kind != GroupKind.DYNAMIC or not changes["filter"]:
            raise GroupDynamicError(f"Group {group} is {group.kind} and stays so.", name=group.name)
        filters.compile_filter(group.tenant, changes["filter"])
