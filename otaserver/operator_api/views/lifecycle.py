"""From a vehicle's first credential to its end: renewal, replaced ECUs, sale, decommission; and the fleet's CAs."""

from datetime import timedelta

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.campaigns import operations as campaigns
from otaserver.errors import NotFoundError
from otaserver.fleet import operations, queries
from otaserver.fleet.lifecycle_models import EcuSwap, RetiredAuthority
from otaserver.fleet.models import Attribute, FleetAuthority, Vehicle
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.operations import declare_attribute
from otaserver.operator_api.serializers.fleet import VehicleSerializer
from otaserver.operator_api.serializers.lifecycle import (
    AttributeDeclaration,
    AttributeMark,
    AttributeSerializer,
    AuthoritiesSerializer,
    AuthorityEnd,
    CredentialSerializer,
    DecommissionSerializer,
    EcuSwapDeclaration,
    EcuSwapSerializer,
    EndedAuthority,
    ExpiringSerializer,
    RevocationSerializer,
    SaleDeclaration,
    SaleSerializer,
)
from otaserver.operator_api.serializers.reasons import Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission

LONGEST_LOOK_AHEAD_DAYS = 3650


class LifecycleView(TenantView):
    def vehicle(self, vehicle_id: str) -> Vehicle:
        return queries.vehicle_by_id(self.caller.tenant, vehicle_id)


class VehicleCredentials(LifecycleView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=CredentialSerializer(many=True))
    def get(self, request: Request, vehicle_id: str) -> Response:
        return self.page_of(queries.credentials_of(self.vehicle(vehicle_id)), CredentialSerializer)


class VehicleCredentialsEnd(LifecycleView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=RevocationSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        reason = self.received(Reason)["reason"]
        vehicle = self.vehicle(vehicle_id)
        count = operations.revoke_credentials(vehicle, reason=reason, by=self.caller.actor, at=clock.now())
        return Response({"revoked": count})


class ExpiringVehicles(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=ExpiringSerializer(many=True),
        parameters=[OpenApiParameter("days", int, description="whose last credential ends within so many; 30")],
    )
    def get(self, request: Request) -> Response:
        given = self.parameter("days")
        text = "30" if given is None else given
        if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) > LONGEST_LOOK_AHEAD_DAYS:
            raise FieldsInvalidError(f"days is {text[:20]!r}; it is 0 to {LONGEST_LOOK_AHEAD_DAYS}.", field="days")
        found = queries.expiring_vehicles(self.caller.tenant, within=timedelta(days=int(text)), at=clock.now())
        return self.page_of(found, ExpiringSerializer)


class VehicleEcuSwaps(LifecycleView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(responses=EcuSwapSerializer(many=True))
    def get(self, request: Request, vehicle_id: str) -> Response:
        return self.page_of(EcuSwap.objects.filter(vehicle=self.vehicle(vehicle_id)), EcuSwapSerializer)

    @extend_schema(request=EcuSwapDeclaration, responses={201: EcuSwapSerializer})
    def post(self, request: Request, vehicle_id: str) -> Response:
        wanted = self.received(EcuSwapDeclaration)
        valid_for = timedelta(hours=wanted.pop("valid_hours"))
        swap = operations.announce_ecu_swap(
            self.vehicle(vehicle_id), **wanted, valid_for=valid_for, by=self.caller.actor, at=clock.now()
        )
        return Response(EcuSwapSerializer(swap).data, status=201)


class VehicleSale(LifecycleView):
    permissions = {"POST": Permission.MANAGE_FLEET}
    shows_secret = True

    @extend_schema(request=SaleDeclaration, responses={201: SaleSerializer})
    def post(self, request: Request, vehicle_id: str) -> Response:
        wanted = self.received(SaleDeclaration)
        sale = campaigns.record_sale(
            self.vehicle(vehicle_id),
            reason=wanted["reason"],
            valid_for=timedelta(hours=wanted["valid_hours"]),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(SaleSerializer(sale).data, status=201)


class VehicleDecommission(LifecycleView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=DecommissionSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        reason = self.received(Reason)["reason"]
        vehicle = self.vehicle(vehicle_id)
        ended = campaigns.decommission_vehicle(vehicle, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(DecommissionSerializer(ended).data)


class VehicleRecommission(LifecycleView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=VehicleSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        reason = self.received(Reason)["reason"]
        vehicle = self.vehicle(vehicle_id)
        operations.recommission_vehicle(vehicle, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(VehicleSerializer(vehicle).data)


class AuthorityView(TenantView):
    def answer(self) -> Response:
        at, tenant = clock.now(), self.caller.tenant
        retired = list(RetiredAuthority.objects.filter(tenant=tenant).order_by("-retired_at"))
        for authority in retired:
            authority.certificates = queries.certificates_of(authority, at=at).count()  # type: ignore[attr-defined]
        issuing = FleetAuthority.objects.filter(tenant=tenant).first()
        return Response(AuthoritiesSerializer({"issuing": issuing, "retired": retired}).data)


class FleetAuthorities(AuthorityView):
    """All at once: a tenant has few."""

    permissions = {"GET": Permission.VIEW}
    pagination_class = None

    @extend_schema(responses=AuthoritiesSerializer)
    def get(self, request: Request) -> Response:
        return self.answer()


class FleetAuthorityRotation(AuthorityView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=Reason, responses={201: AuthoritiesSerializer})
    def post(self, request: Request) -> Response:
        reason = self.received(Reason)["reason"]
        operations.rotate_fleet_authority(self.caller.tenant, reason=reason, by=self.caller.actor, at=clock.now())
        response = self.answer()
        response.status_code = 201
        return response


class FleetAuthorityEnd(TenantView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=AuthorityEnd, responses=EndedAuthority)
    def post(self, request: Request, pk: int) -> Response:
        rows = RetiredAuthority.objects.filter(tenant=self.caller.tenant).select_related("tenant")
        count = operations.end_retired_authority(
            self.find(rows, pk), **self.received(AuthorityEnd), by=self.caller.actor, at=clock.now()
        )
        return Response({"certificates": count})


class AttributeList(TenantView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(responses=AttributeSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(Attribute.objects.filter(tenant=self.caller.tenant), AttributeSerializer)

    @extend_schema(request=AttributeDeclaration, responses={201: AttributeSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(AttributeDeclaration)
        made = declare_attribute(self.caller.tenant, wanted, by=self.caller.actor, at=clock.now())
        return Response(AttributeSerializer(made).data, status=201)


class AttributeDetail(TenantView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.MANAGE_FLEET}

    @extend_schema(responses=AttributeSerializer)
    def get(self, request: Request, name: str) -> Response:
        found = Attribute.objects.filter(tenant=self.caller.tenant, name=name).first()
        if found is None:
            raise NotFoundError(f"No attribute {name!a:.100} is declared.", name=name[:100])
        return Response(AttributeSerializer(found).data)

    @extend_schema(request=AttributeMark, responses=AttributeSerializer)
    def patch(self, request: Request, name: str) -> Response:
        wanted = self.received(AttributeMark)
        marked = operations.mark_personal(self.caller.tenant, name=name, **wanted, by=self.caller.actor, at=clock.now())
        return Response(AttributeSerializer(marked).data)
