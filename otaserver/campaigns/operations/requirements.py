"""What a plan says of the campaign's place among others, and of what follows when it goes wrong."""

from collections.abc import Sequence

from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.models import Campaign, CampaignRequirement
from otaserver.campaigns.rules import precedence
from otaserver.campaigns.rules.halts import halt_problem
from otaserver.campaigns.states import CampaignKind, CampaignPriority
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import ForeignSoftware


def problem(
    tenant: Tenant,
    *,
    priority: int,
    requires: Sequence[Campaign],
    halt_action: str,
    foreign_software: str,
    has_fallback: bool,
) -> str | None:
    """Return why a plan cannot have these, in a sentence with the value and the rule, or None."""
    if priority not in CampaignPriority.values:
        listed = ", ".join(f"{one.value} ({one.label.lower()})" for one in CampaignPriority)
        return f"The priority is one of {listed}; {priority!r} is not."
    if foreign_software and foreign_software not in ForeignSoftware.values:
        listed = ", ".join(ForeignSoftware.values)
        return f"Foreign software is met by {listed}, or as the tenant says; {foreign_software!r} is none of them."
    return _requires_problem(tenant, requires) or halt_problem(halt_action, has_fallback=has_fallback)


def _requires_problem(tenant: Tenant, requires: Sequence[Campaign]) -> str | None:
    if len(requires) > precedence.MAX_REQUIREMENTS:
        return f"A campaign requires at most {precedence.MAX_REQUIREMENTS} others, not {len(requires)}."
    for required in requires:
        if required.tenant_id != tenant.pk:
            return "A campaign requires campaigns of its own tenant only."
        if required.kind == CampaignKind.ROLLBACK:
            return f"{required} takes a release back; a campaign requires what brings one."
    return None


def store(campaign: Campaign, requires: Sequence[Campaign]) -> None:
    """Store what a campaign requires: campaigns that were drafted before it, so that no chain of them is a circle.

    Raises:
        PlanRefusedError: one of them is the campaign itself, or was drafted after it.
    """
    late = next((required for required in requires if required.pk >= campaign.pk), None)
    if late is not None:
        raise PlanRefusedError(f"{campaign} requires campaigns that were drafted before it; {late} was not.")
    wanted = {required.pk for required in requires}
    CampaignRequirement.objects.bulk_create(
        CampaignRequirement(campaign=campaign, required_id=required) for required in sorted(wanted)
    )
