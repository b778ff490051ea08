"""What went wrong and who sees to it: the failure catalogue, the workshop list, software from elsewhere."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.models import SoftwareChange, WorkshopCase
from otaserver.campaigns.rules import failures
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.serializers.incidents import (
    ClosingNote,
    FailureSerializer,
    SoftwareChangeSerializer,
    WorkshopCaseSerializer,
)
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class FailureCodeList(TenantView):
    """The whole catalogue at once: it is the same for everybody and changes with the server's version alone."""

    permissions = {"GET": Permission.VIEW}
    pagination_class = None

    @extend_schema(responses=FailureSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(FailureSerializer(list(failures.CATALOGUE.values()), many=True).data)


class WorkshopView(TenantView):
    def cases(self) -> QuerySet[WorkshopCase]:
        rows = WorkshopCase.objects.filter(vehicle__tenant=self.caller.tenant)
        return rows.select_related("vehicle__tenant", "assignment__campaign")


class WorkshopCaseList(WorkshopView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=WorkshopCaseSerializer(many=True),
        parameters=[
            OpenApiParameter("code", str),
            OpenApiParameter("vehicle", str),
            OpenApiParameter("open", bool, description="only those that nobody has closed (true) or only others"),
        ],
    )
    def get(self, request: Request) -> Response:
        rows = self.only(self.cases(), "code", vehicle="vehicle__vehicle_id")
        wanted = self.parameter("open")
        if wanted not in (None, "true", "false"):
            raise FieldsInvalidError(
                f"open is {wanted[:20]!r}; it is true or false.", fields={"open": ["True or false."]}
            )
        if wanted is not None:
            rows = rows.filter(closed_at__isnull=wanted == "true")
        return self.page_of(rows, WorkshopCaseSerializer)


class WorkshopCaseClose(WorkshopView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=ClosingNote, responses=WorkshopCaseSerializer)
    def post(self, request: Request, pk: int) -> Response:
        case = self.find(self.cases(), pk)
        note = self.received(ClosingNote)["note"]
        operations.close_case(case, note=note, by=self.caller.actor, at=clock.now())
        return Response(WorkshopCaseSerializer(self.find(self.cases(), pk)).data)


class SoftwareChangeList(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=SoftwareChangeSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("cause", "policy", "vehicle")],
    )
    def get(self, request: Request) -> Response:
        rows = SoftwareChange.objects.filter(vehicle__tenant=self.caller.tenant).select_related("vehicle", "campaign")
        wanted = self.only(rows, "cause", "policy", vehicle="vehicle__vehicle_id")
        return self.page_of(wanted, SoftwareChangeSerializer)
