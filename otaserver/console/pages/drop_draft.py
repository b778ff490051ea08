"""A begun plan, thrown away."""

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from otaserver.campaigns import operations
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.states import CampaignState
from otaserver.console.pages.base import Page
from otaserver.tenants.states import Permission


class DropDraft(Page):
    permission = Permission.MANAGE_CAMPAIGNS

    def post(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        draft = PlanDraft.objects.filter(tenant=tenant, person=self.person).select_related("campaign").first()
        operations.drop_plan(tenant, self.person)
        if draft is not None and draft.campaign is not None and draft.campaign.state == CampaignState.DRAFT:
            # It has a name, which no other campaign gets, and others may have changed it.
            said = _("The draft campaign %(campaign)s stays. Cancel it there if nobody needs it.")
            messages.info(request, said % {"campaign": draft.campaign})
        return redirect(self.address(tenant, "new_campaign", "what"))
