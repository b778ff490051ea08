"""Plans that somebody has begun: kept from step to step, until they are sent, thrown away, or too old.

They are one person's own notes, of which nothing follows: no audit entry is made of them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction

from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.models import Campaign
from otaserver.tenants.models import Tenant, User

Given = Mapping[str, Sequence[str]]


@transaction.atomic
def keep_step(tenant: Tenant, person: User, step: str, given: Given, *, at: datetime) -> PlanDraft:
    """Keep what a person gave in one step of their plan for a tenant, instead of what they gave there before."""
    draft, _ = PlanDraft.objects.get_or_create(tenant=tenant, person=person, defaults={"changed_at": at})
    # In another window the same person may be giving another step.
    locked = PlanDraft.objects.select_for_update(of=("self",)).get(pk=draft.pk)
    locked.steps = {**locked.steps, step: {name: list(values) for name, values in given.items()}}
    locked.campaign_revision, locked.changed_at = None, at
    locked.save(update_fields=["steps", "campaign_revision", "changed_at"])
    return locked


def link_campaign(draft: PlanDraft, campaign: Campaign, *, at: datetime) -> None:
    """Keep which drafted campaign a plan has become: it follows what is changed in the steps.

    From `at` on it is reviewed, and so a forecast of it is due.
    """
    draft.campaign, draft.campaign_revision, draft.changed_at = campaign, campaign.revision, at
    draft.save(update_fields=["campaign", "campaign_revision", "changed_at"])


def note_review(draft: PlanDraft, *, at: datetime) -> None:
    """Keep that somebody looks at a plan now, so that a forecast of it is due; the plan stays what it is."""
    PlanDraft.objects.filter(pk=draft.pk).update(changed_at=at)


def drop_plan(tenant: Tenant, person: User) -> bool:
    """Throw a person's plan for a tenant away; return whether there was one. A campaign drafted from it stays."""
    deleted, _ = PlanDraft.objects.filter(tenant=tenant, person=person).delete()
    return bool(deleted)
