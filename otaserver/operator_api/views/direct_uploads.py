from datetime import timedelta

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store import operations
from firmware_store.direct_models import DirectUpload
from firmware_store.operations.direct_uploads import ADDRESS_SECONDS
from otaserver import clock
from otaserver.operator_api.serializers.direct_uploads import DirectUploadSerializer, PartAddresses, PartsWanted
from otaserver.operator_api.serializers.packages import ReceivedPackageSerializer
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.views.packages import PackageView
from otaserver.tenants.states import Permission


class DirectUploadView(PackageView):
    permissions = {"GET": Permission.PUBLISH, "POST": Permission.PUBLISH}
    # The bucket is spoken to meanwhile.
    is_one_transaction = False

    def upload(self, pk: int) -> DirectUpload:
        return operations.direct_upload_of(self.find(self.packages(), pk))

    def told(self, upload: DirectUpload, *, status: int = 200) -> Response:
        context = {"parts": operations.received_parts(upload)}
        return Response(DirectUploadSerializer(upload, context=context).data, status=status)


class DirectUploadDetail(DirectUploadView):
    @extend_schema(responses=DirectUploadSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return self.told(self.upload(pk))

    @extend_schema(
        request=NoFields,
        responses={201: DirectUploadSerializer},
        description="Open the bucket for the package's bytes; repeated, it tells what has arrived.",
    )
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        upload = operations.begin_direct_upload(self.find(self.packages(), pk), at=clock.now())
        return self.told(upload, status=201)


class DirectUploadAddresses(DirectUploadView):
    shows_secret = True

    @extend_schema(request=PartsWanted, responses=PartAddresses)
    def post(self, request: Request, pk: int) -> Response:
        at = clock.now()
        addresses = operations.part_addresses(self.upload(pk), self.received(PartsWanted)["parts"], at=at)
        given = {"addresses": addresses, "expires_at": at + timedelta(seconds=ADDRESS_SECONDS)}
        return Response(PartAddresses(given).data)


class DirectUploadComplete(DirectUploadView):
    @extend_schema(
        request=NoFields,
        responses={202: ReceivedPackageSerializer},
        description="All parts are here. They are read again, and then the package has them: `received` says when.",
    )
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.complete_direct_upload(self.upload(pk), at=clock.now())
        return self.shown(self.find(self.packages(), pk), status=202)


class DirectUploadAbort(DirectUploadView):
    @extend_schema(request=NoFields, responses=ReceivedPackageSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.abort_direct_upload(self.upload(pk))
        return self.shown(self.find(self.packages(), pk))
