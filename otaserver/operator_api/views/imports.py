from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.states import ImportKind
from otaserver.operator_api.bodies import BytesParser, raw_body
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.serializers.imports import ImportOptions, ImportProblemSerializer, ImportSerializer
from otaserver.operator_api.views.base import NewestFirst, TenantView
from otaserver.tenants.states import Permission


class InOrder(NewestFirst):
    """Problems in the order of the lines, which is the one they were found in."""

    ordering = "pk"


class ImportView(TenantView):
    def imports(self) -> QuerySet[FleetImport]:
        return FleetImport.objects.filter(tenant=self.caller.tenant)


class ImportList(ImportView):
    """Takes a file in as it comes; a worker reads it, and tells here how far it is."""

    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}
    parser_classes = [BytesParser]
    is_one_transaction = False

    @extend_schema(
        responses=ImportSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("state", "kind")]
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.imports(), "state", "kind"), ImportSerializer)

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: ImportSerializer},
        parameters=[
            OpenApiParameter("filename", str),
            OpenApiParameter("kind", str, enum=ImportKind.values, required=True),
            OpenApiParameter("dry_run", bool, description="Write nothing: only tell what would be."),
        ],
    )
    def post(self, request: Request) -> Response:
        options = ImportOptions(data=request.query_params)
        if not options.is_valid():
            raise FieldsInvalidError("The address says too little of the file.", fields=dict(options.errors))
        wanted = options.validated_data
        row = operations.begin_import(
            self.caller.tenant,
            raw_body(request),
            filename=wanted["filename"],
            kind=wanted["kind"],
            is_dry_run=wanted["dry_run"],
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(ImportSerializer(row).data, status=201)


class ImportDetail(ImportView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=ImportSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(ImportSerializer(self.find(self.imports(), pk)).data)


class ImportProblems(ImportView):
    permissions = {"GET": Permission.VIEW}
    pagination_class = InOrder

    @extend_schema(responses=ImportProblemSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        return self.page_of(self.find(self.imports(), pk).problems.all(), ImportProblemSerializer)
