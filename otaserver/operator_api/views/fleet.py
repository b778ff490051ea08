from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.queries import explain_vehicle
from otaserver.fleet import operations, queries
from otaserver.fleet.errors import VehicleNotFoundError
from otaserver.fleet.models import Group, Vehicle
from otaserver.operator_api.operations import issue_claim_codes
from otaserver.operator_api.serializers.fleet import (
    ClaimCodeRequest,
    ClaimCodes,
    ExplanationSerializer,
    FilterDeclaration,
    GroupChanges,
    GroupDeclaration,
    GroupSerializer,
    MembershipChange,
    PreviewSerializer,
    TestBenchMark,
    VehicleIds,
    VehicleSerializer,
)
from otaserver.operator_api.serializers.reasons import Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission

# A DELETE has no body that every proxy would let through (RFC 9110, 9.3.5).
REASON = OpenApiParameter("reason", {"type": "string", "minLength": 1, "maxLength": 2000}, required=True)


class FleetView(TenantView):
    def chosen(self, vehicle_ids: list[str]) -> list[Vehicle]:
        """Return the tenant's vehicles of these ids, all of them."""
        found = {
            vehicle.vehicle_id: vehicle
            for vehicle in Vehicle.objects.of(self.caller.tenant).filter(vehicle_id__in=vehicle_ids)
        }
        missing = sorted(set(vehicle_ids) - set(found))
        if missing:
            raise VehicleNotFoundError(
                f"There is no vehicle {missing[0]!r} ({len(missing)} unknown in all).", vehicle_ids=missing[:100]
            )
        return list(found.values())

    def groups(self) -> QuerySet[Group]:
        return Group.objects.filter(tenant=self.caller.tenant)


class VehicleList(FleetView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=VehicleSerializer(many=True),
        parameters=[OpenApiParameter("filter", str, description="the filter language of dynamic groups")],
    )
    def get(self, request: Request) -> Response:
        text = self.parameter("filter") or ""
        tenant = self.caller.tenant
        vehicles = queries.vehicles_matching(tenant, text) if text else Vehicle.objects.of(tenant)
        return self.page_of(vehicles.prefetch_related("ecus"), VehicleSerializer)


class VehicleDetail(FleetView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=VehicleSerializer)
    def get(self, request: Request, vehicle_id: str) -> Response:
        return Response(VehicleSerializer(queries.vehicle_by_id(self.caller.tenant, vehicle_id)).data)


class VehicleExplanation(FleetView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=ExplanationSerializer)
    def get(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        return Response(ExplanationSerializer(explain_vehicle(vehicle, at=clock.now())).data)


class VehicleTestBench(FleetView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=TestBenchMark, responses=VehicleSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        wanted = self.received(TestBenchMark)
        operations.mark_test_bench(vehicle, **wanted, by=self.caller.actor, at=clock.now())
        return Response(VehicleSerializer(vehicle).data)


class GroupList(FleetView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(
        responses=GroupSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("name", "kind")]
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.groups(), "name", "kind"), GroupSerializer)

    @extend_schema(request=GroupDeclaration, responses={201: GroupSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(GroupDeclaration)
        group = operations.create_group(
            self.caller.tenant,
            name=wanted["name"],
            filter=wanted["filter"],
            vehicles=self.chosen(wanted["vehicles"]),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(GroupSerializer(group).data, status=201)


class GroupPreview(FleetView):
    permissions = {"POST": Permission.VIEW}

    @extend_schema(request=FilterDeclaration, responses=PreviewSerializer)
    def post(self, request: Request) -> Response:
        found = queries.preview(self.caller.tenant, self.received(FilterDeclaration)["filter"])
        return Response(PreviewSerializer(found).data)


class GroupDetail(FleetView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.MANAGE_FLEET, "DELETE": Permission.MANAGE_FLEET}

    @extend_schema(responses=GroupSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(GroupSerializer(self.find(self.groups(), pk)).data)

    @extend_schema(request=GroupChanges, responses=GroupSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups().select_related("tenant"), pk)
        campaigns.change_group(group, **self.received(GroupChanges), by=self.caller.actor, at=clock.now())
        return Response(GroupSerializer(group).data)

    @extend_schema(responses={204: None}, parameters=[REASON])
    def delete(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups().select_related("tenant"), pk)
        reason = self.request.query_params.get("reason", "")
        operations.delete_group(group, reason=reason[:2000].replace("\0", ""), by=self.caller.actor, at=clock.now())
        return Response(status=204)


class GroupBlockList(FleetView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=GroupSerializer)
    def post(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups().select_related("tenant"), pk)
        operations.make_block_list(group, **self.received(Reason), by=self.caller.actor, at=clock.now())
        return Response(GroupSerializer(group).data)


class GroupBlockListEnd(FleetView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=GroupSerializer)
    def post(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups().select_related("tenant"), pk)
        operations.lift_block_list(group, **self.received(Reason), by=self.caller.actor, at=clock.now())
        return Response(GroupSerializer(group).data)


class GroupVehicles(FleetView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(responses=VehicleSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        vehicles: QuerySet[Any] = queries.vehicles_in(self.find(self.groups(), pk))
        return self.page_of(vehicles.prefetch_related("ecus"), VehicleSerializer)

    @extend_schema(request=VehicleIds, responses=MembershipChange)
    def post(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups(), pk)
        vehicles = self.chosen(self.received(VehicleIds)["vehicles"])
        added = operations.add_to_group(group, vehicles, by=self.caller.actor, at=clock.now())
        return Response({"changed": added})


class GroupVehiclesRemoval(FleetView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=VehicleIds, responses=MembershipChange)
    def post(self, request: Request, pk: int) -> Response:
        group = self.find(self.groups(), pk)
        vehicles = self.chosen(self.received(VehicleIds)["vehicles"])
        removed = operations.remove_from_group(group, vehicles, by=self.caller.actor, at=clock.now())
        return Response({"changed": removed})


class ClaimCodeList(FleetView):
    permissions = {"POST": Permission.MANAGE_FLEET}
    shows_secret = True

    @extend_schema(request=ClaimCodeRequest, responses={201: ClaimCodes})
    def post(self, request: Request) -> Response:
        wanted = self.received(ClaimCodeRequest)
        at, valid_for = clock.now(), timedelta(hours=wanted["valid_hours"])
        codes = issue_claim_codes(
            self.caller.tenant, wanted["vehicle_ids"], valid_for=valid_for, by=self.caller.actor, at=at
        )
        listed = [{"vehicle_id": vehicle_id, "claim_code": code} for vehicle_id, code in codes.items()]
        return Response(ClaimCodes({"claim_codes": listed, "expires_at": at + valid_for}).data, status=201)
