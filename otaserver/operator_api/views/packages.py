from collections.abc import Callable
from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store import operations
from firmware_store.models import Package
from otaserver import clock
from otaserver.operator_api.bodies import (
    IF_MATCH,
    BytesParser,
    MetadataParser,
    expected_version,
    raw_body,
    upload_offset,
)
from otaserver.operator_api.serializers.packages import (
    PackageDeclaration,
    PackageSerializer,
    ReceivedPackageSerializer,
    SignedMetadata,
)
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission

OFFSET_HEADER = OpenApiParameter(
    "Upload-Offset", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, OpenApiParameter.HEADER, required=True
)


class PackageView(TenantView):
    def packages(self) -> QuerySet[Package]:
        return Package.objects.filter(tenant=self.caller.tenant)

    def shown(self, package: Package, *, status: int = 200) -> Response:
        received = operations.received_bytes(package)
        context = {"received": received, "direct_upload": operations.standing_of(package, received=received)}
        return Response(ReceivedPackageSerializer(package, context=context).data, status=status)


class PackageList(PackageView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.PUBLISH}

    @extend_schema(
        responses=PackageSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("target_name", "state", "role", "name")],
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.packages(), "target_name", "state", "role", "name"), PackageSerializer)

    @extend_schema(request=PackageDeclaration, responses={201: ReceivedPackageSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(PackageDeclaration)
        package = operations.begin_package(self.caller.tenant, **wanted, by=self.caller.actor, at=clock.now())
        return self.shown(package, status=201)


class PackageDetail(PackageView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=ReceivedPackageSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return self.shown(self.find(self.packages(), pk))


class PackageContent(PackageView):
    """The bytes on their way in: HEAD tells how many are here, PATCH appends to them."""

    permissions = {"GET": Permission.PUBLISH, "PATCH": Permission.PUBLISH}
    parser_classes = [BytesParser]
    # By Upload-Offset.
    compares_version = True

    @extend_schema(responses={204: None}, description="The header Upload-Offset says how many bytes have arrived.")
    def get(self, request: Request, pk: int) -> HttpResponse:
        return _at_offset(operations.received_bytes(self.find(self.packages(), pk)))

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={204: None},
        parameters=[OFFSET_HEADER],
        description="Append bytes at Upload-Offset. A broken connection loses nothing that has arrived.",
    )
    def patch(self, request: Request, pk: int) -> HttpResponse:
        package = self.find(self.packages(), pk)
        offset = upload_offset(request)
        return _at_offset(operations.append_bytes(package, raw_body(request), offset=offset, at=clock.now()))


class PackageChange(PackageView):
    """Applies `operation` with the role's next metadata and answers with the package as it then is."""

    permissions = {"POST": Permission.PUBLISH}
    parser_classes = [MetadataParser]
    is_one_transaction = False
    compares_version = True
    operation: ClassVar[Callable[..., None]]

    @extend_schema(request=SignedMetadata, responses=ReceivedPackageSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, pk: int) -> Response:
        package = self.find(self.packages(), pk)
        type(self).operation(
            package,
            metadata=self.received(SignedMetadata)["metadata"],
            expected_version=expected_version(request),
            by=self.caller.actor,
            at=clock.now(),
        )
        return self.shown(self.find(self.packages(), pk))


class PackagePublish(PackageChange):
    operation = staticmethod(operations.publish_package)


class PackageWithdraw(PackageChange):
    operation = staticmethod(operations.withdraw_package)


def _at_offset(offset: int) -> HttpResponse:
    return HttpResponse(status=204, headers={"Upload-Offset": str(offset), "Cache-Control": "no-store"})
