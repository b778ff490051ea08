"""What can be done to a campaign: one view an action, since each has its own permission and body."""

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from otaserver import clock
from otaserver.campaigns import operations, queries
from otaserver.campaigns.states import CampaignKind
from otaserver.operator_api.serializers.campaigns import CampaignDetailSerializer
from otaserver.operator_api.serializers.people import Approve
from otaserver.operator_api.serializers.reasons import NoFields, OptionalReason, Reason, Schedule
from otaserver.operator_api.views.campaigns import CampaignView
from otaserver.tenants.errors import PermissionMissingError
from otaserver.tenants.states import Permission

Operation = Callable[..., Any]


class CampaignAction(CampaignView):
    """Applies `operation` with the body's fields and answers with the campaign as it then is."""

    operation: ClassVar[Operation]
    fields: ClassVar[type[Serializer[Any]]]

    def post(self, request: Request, pk: int) -> Response:
        campaign = self.find(self.campaigns(), pk)
        type(self).operation(campaign, **self.received(self.fields), by=self.caller.actor, at=clock.now())
        return self.shown(pk)


class CampaignApproval(CampaignAction):
    """Lets whoever manages campaigns approve what needs nobody else: a roll-back, where the tenant has it so."""

    def check_permissions(self, request: Request) -> None:
        try:
            super().check_permissions(request)
        except PermissionMissingError:
            if not self._needs_nobody_else():
                raise

    def _needs_nobody_else(self) -> bool:
        if Permission.MANAGE_CAMPAIGNS not in self.caller.permissions:
            return False
        rollback = self.campaigns().filter(pk=self.kwargs["pk"], kind=CampaignKind.ROLLBACK).first()
        return rollback is not None and queries.required_approvals(rollback) == 0


def _action_view(
    operation: Operation,
    permission: Permission,
    fields: type[Serializer[Any]],
    base: type[CampaignAction] = CampaignAction,
) -> type[CampaignAction]:
    name = "".join(part.capitalize() for part in operation.__name__.split("_"))
    members = {"operation": staticmethod(operation), "fields": fields, "permissions": {"POST": permission}}
    summary = (operation.__doc__ or "").partition("\n\n")[0]
    described = extend_schema(request=fields, responses=CampaignDetailSerializer, description=summary)
    return described(type(name, (base,), members))


CAMPAIGN_ACTIONS = {
    "submit": _action_view(operations.submit_campaign, Permission.MANAGE_CAMPAIGNS, NoFields),
    "approve": _action_view(operations.approve_campaign, Permission.APPROVE, Approve, CampaignApproval),
    "reject": _action_view(operations.reject_campaign, Permission.APPROVE, Reason),
    "schedule": _action_view(operations.schedule_campaign, Permission.MANAGE_CAMPAIGNS, Schedule),
    "start": _action_view(operations.start_campaign, Permission.MANAGE_CAMPAIGNS, NoFields),
    "pause": _action_view(operations.pause_campaign, Permission.MANAGE_CAMPAIGNS, OptionalReason),
    "resume": _action_view(operations.resume_campaign, Permission.MANAGE_CAMPAIGNS, OptionalReason),
    "retry": _action_view(operations.retry_waiting, Permission.MANAGE_CAMPAIGNS, OptionalReason),
    "cancel": _action_view(operations.cancel_campaign, Permission.MANAGE_CAMPAIGNS, OptionalReason),
    "close": _action_view(operations.close_campaign, Permission.MANAGE_CAMPAIGNS, Reason),
    "stop": _action_view(operations.stop_campaign, Permission.STOP, Reason),
}
