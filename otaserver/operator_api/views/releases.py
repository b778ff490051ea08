from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store import operations
from firmware_store.errors import PackageNotFoundError
from firmware_store.health import Signal
from firmware_store.models import Package, Release
from firmware_store.rules import Condition
from firmware_store.states import ConditionKind
from otaserver import clock
from otaserver.operator_api.serializers.packages import ReleaseDeclaration, ReleaseSerializer
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class ReleaseView(TenantView):
    def releases(self) -> QuerySet[Release]:
        rows = Release.objects.filter(tenant=self.caller.tenant)
        return rows.prefetch_related("items__package", "conditions", "signals")


class ReleaseList(ReleaseView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.PUBLISH}

    @extend_schema(
        responses=ReleaseSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("name", "version")]
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.releases(), "name", "version"), ReleaseSerializer)

    @extend_schema(request=ReleaseDeclaration, responses={201: ReleaseSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(ReleaseDeclaration)
        stone = wanted["stepping_stone"]
        release = operations.create_release(
            self.caller.tenant,
            name=wanted["name"],
            version=wanted["version"],
            packages=self._packages(wanted["packages"]),
            conditions=[
                Condition(ConditionKind(one["kind"]), one["package_name"], tuple(one["versions"]))
                for one in wanted["conditions"]
            ],
            signals=[Signal(**one) for one in wanted["signals"]],
            halt_codes=wanted["halt_codes"],
            notes=wanted["notes"],
            stepping_stone=None if stone is None else self.find(self.releases(), stone),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(ReleaseSerializer(self.find(self.releases(), release.pk)).data, status=201)

    def _packages(self, items: list[dict[str, Any]]) -> list[tuple[Package, int]]:
        ids = {item["package"] for item in items}
        found = {row.pk: row for row in Package.objects.filter(tenant=self.caller.tenant, pk__in=ids)}
        missing = sorted(ids - set(found))
        if missing:
            raise PackageNotFoundError(f"There is no package {missing[0]}.", id=missing[0])
        return [(found[item["package"]], item["position"]) for item in items]


class ReleaseDetail(ReleaseView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=ReleaseSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(ReleaseSerializer(self.find(self.releases(), pk)).data)
