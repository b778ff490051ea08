from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store.states import Profile, Repository
from firmware_store.trust import operations, queries
from otaserver import clock
from otaserver.errors import NotFoundError
from otaserver.operator_api.bodies import IF_MATCH, MetadataParser, expected_version
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.serializers.packages import OnlineKeys, SignedRoot, SignedTargets
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class OnlineKeyList(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=OnlineKeys)
    def get(self, request: Request) -> Response:
        keys = [
            {"repository": repository, "role": role, "public_key": public_key}
            for repository in Repository.values
            for role, public_key in queries.online_keys(self.caller.tenant, repository).items()
        ]
        return Response(OnlineKeys({"keys": keys}).data)


class TrustView(TenantView):
    parser_classes = [MetadataParser]
    compares_version = True

    @extend_schema(
        responses={(200, "application/json"): OpenApiTypes.BYTE},
        parameters=[OpenApiParameter("profile", str, enum=Profile.values), OpenApiParameter("version", int)],
        description="The signed metadata as stored; its version is the ETag.",
    )
    def get(self, request: Request, repository: str = Repository.IMAGE, role: str = "root") -> HttpResponse:
        profile = request.query_params.get("profile", Profile.TUF)
        if profile not in Profile.values:
            raise FieldsInvalidError(
                f"There is no profile {profile!r}.", fields={"profile": [f"One of {', '.join(Profile.values)}."]}
            )
        metadata = queries.role_metadata(
            self.caller.tenant,
            _repository(repository),
            role,
            Profile(profile),
            version=_version(request.query_params.get("version")),
        )
        headers = {"ETag": f'"{metadata.version}"', "Cache-Control": "no-store"}
        return HttpResponse(bytes(metadata.body), content_type="application/json", headers=headers)


class TrustRoot(TrustView):
    permissions = {"GET": Permission.VIEW, "PUT": Permission.ADMINISTER}

    @extend_schema(request=SignedRoot, responses={204: None})
    def put(self, request: Request, repository: str) -> HttpResponse:
        wanted = self.received(SignedRoot)
        operations.publish_root(
            self.caller.tenant,
            _repository(repository),
            wanted["metadata"],
            targets=wanted.get("targets"),
            by=self.caller.actor,
            at=clock.now(),
        )
        return HttpResponse(status=204)


class TrustRole(TrustView):
    """A release role's signed targets: published with packages, or renewed here."""

    permissions = {"GET": Permission.VIEW, "PUT": Permission.PUBLISH}

    @extend_schema(request=SignedTargets, responses={204: None}, parameters=[IF_MATCH])
    def put(self, request: Request, role: str, repository: str = Repository.IMAGE) -> HttpResponse:
        if repository != Repository.IMAGE or role in ("snapshot", "timestamp"):
            raise NotFoundError(
                f"{repository}/{role} is signed by the server itself.", repository=repository, role=role
            )
        wanted = self.received(SignedTargets)
        operations.publish_targets(
            self.caller.tenant,
            role,
            wanted["metadata"],
            resigned=wanted.get("resigned"),
            expected_version=expected_version(request),
            by=self.caller.actor,
            at=clock.now(),
        )
        return HttpResponse(status=204)


class TrustTopLevel(TrustRole):
    """The top-level targets say whose signature counts for which packages, so they are the administrator's."""

    permissions = {"GET": Permission.VIEW, "PUT": Permission.ADMINISTER}


def _repository(name: str) -> Repository:
    if name not in Repository.values:
        raise NotFoundError(f"There is no repository {name!r}, only {', '.join(Repository.values)}.", repository=name)
    return Repository(name)


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise FieldsInvalidError(f"{text!r} is not a version.", fields={"version": ["A whole number."]})
    return int(text)
