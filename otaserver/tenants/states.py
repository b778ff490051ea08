"""Who may do what: roles and permissions are data."""

from django.db.models import TextChoices


class Role(TextChoices):
    VIEWER = "viewer"
    RELEASE_ENGINEER = "release_engineer"
    CAMPAIGN_MANAGER = "campaign_manager"
    APPROVER = "approver"
    FLEET_MANAGER = "fleet_manager"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class Permission(TextChoices):
    VIEW = "view"
    PUBLISH = "publish"  # packages, releases, signed metadata of the Image repository
    MANAGE_FLEET = "manage_fleet"  # vehicles, groups, attributes, claim codes, credentials
    MANAGE_CAMPAIGNS = "manage_campaigns"  # draft, submit, start, pause, resume, cancel, roll back
    ORDER_NOW = "order_now"  # a release to one vehicle on a test bench, at once
    STOP = "stop"  # emergency stop; whoever can run campaigns or vehicles can stop them
    APPROVE = "approve"
    AUDIT = "audit"
    ADMINISTER = "administer"  # members, tokens, keys, tenant settings


_ALL = frozenset(Permission)
PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.RELEASE_ENGINEER: frozenset({Permission.VIEW, Permission.PUBLISH}),
    Role.CAMPAIGN_MANAGER: frozenset(
        {Permission.VIEW, Permission.MANAGE_CAMPAIGNS, Permission.ORDER_NOW, Permission.STOP}
    ),
    Role.APPROVER: frozenset({Permission.VIEW, Permission.APPROVE, Permission.STOP}),
    Role.FLEET_MANAGER: frozenset({Permission.VIEW, Permission.MANAGE_FLEET, Permission.STOP}),
    Role.AUDITOR: frozenset({Permission.VIEW, Permission.AUDIT}),
    Role.ADMINISTRATOR: _ALL,
}


class ForeignSoftware(TextChoices):
    """What is done where a vehicle proves software that no order put there (a workshop flash)."""

    ADOPT = "adopt"  # take it as the vehicle's state, and a campaign that wanted the same as settled
    FLAG = "flag"  # show it to an operator
    REDRIVE = "redrive"  # order our release again where an open campaign covers the vehicle; else flag
