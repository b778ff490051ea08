from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.events import operations
from otaserver.events.models import Delivery, Endpoint, Event
from otaserver.events.rules.types import TYPES
from otaserver.events.states import EndpointState
from otaserver.operator_api.serializers.events import (
    DeliverySerializer,
    EndpointChange,
    EndpointDeclaration,
    EndpointSerializer,
    EndpointWithSecretSerializer,
    EventSerializer,
    EventTypeSerializer,
    ReplayedSpanSerializer,
    Span,
)
from otaserver.operator_api.serializers.reasons import NoFields, Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class EventTypeList(TenantView):
    permissions = {"GET": Permission.VIEW}
    pagination_class = None

    @extend_schema(responses=EventTypeSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(EventTypeSerializer(TYPES.values(), many=True).data)


class EventList(TenantView):
    """What has happened, as events; the ids of vehicles are in those that have to be named."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=EventSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("type", "subject")]
    )
    def get(self, request: Request) -> Response:
        rows = Event.objects.filter(tenant=self.caller.tenant).select_related("tenant")
        return self.page_of(self.only(rows, "type", "subject"), EventSerializer)


class EndpointView(TenantView):
    def endpoint(self, pk: int) -> Endpoint:
        return self.find(self.endpoints(), pk)

    def endpoints(self) -> QuerySet[Endpoint]:
        rows = Endpoint.objects.filter(tenant=self.caller.tenant).select_related("tenant")
        return rows.exclude(state=EndpointState.REMOVED)

    def answer(self, endpoint: Endpoint, **more: Any) -> Response:
        return Response({**EndpointSerializer(endpoint).data, **more})


class WebhookList(EndpointView):
    permissions = {"GET": Permission.ADMINISTER, "POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(responses=EndpointSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.endpoints(), EndpointSerializer)

    @extend_schema(request=EndpointDeclaration, responses={201: EndpointWithSecretSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(EndpointDeclaration)
        made, secret = operations.create_endpoint(self.caller.tenant, **wanted, by=self.caller.actor, at=clock.now())
        return Response({**EndpointSerializer(made).data, "secret": secret}, status=201)


class WebhookDetail(EndpointView):
    permissions = {"GET": Permission.ADMINISTER, "PATCH": Permission.ADMINISTER}

    @extend_schema(responses=EndpointSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.endpoint(pk))

    @extend_schema(request=EndpointChange, responses=EndpointSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        operations.change_endpoint(endpoint, **self.received(EndpointChange), by=self.caller.actor, at=clock.now())
        return self.answer(endpoint)


class WebhookPause(EndpointView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=Reason, responses=EndpointSerializer)
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        reason = self.received(Reason)["reason"]
        operations.pause_endpoint(endpoint, reason=reason[:500], by=self.caller.actor, at=clock.now())
        return self.answer(endpoint)


class WebhookResume(EndpointView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=EndpointSerializer)
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        self.received(NoFields)
        operations.resume_endpoint(endpoint, by=self.caller.actor, at=clock.now())
        return self.answer(endpoint)


class WebhookRemove(EndpointView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=EndpointSerializer)
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        self.received(NoFields)
        operations.remove_endpoint(endpoint, by=self.caller.actor, at=clock.now())
        return self.answer(endpoint)


class WebhookSecret(EndpointView):
    """A new secret; for a day the old one signs as well."""

    permissions = {"POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(request=NoFields, responses=EndpointWithSecretSerializer)
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        self.received(NoFields)
        secret = operations.rotate_secret(endpoint, by=self.caller.actor, at=clock.now())
        return self.answer(endpoint, secret=secret)


class DeliveryView(EndpointView):
    def deliveries(self) -> QuerySet[Delivery]:
        rows = Delivery.objects.filter(endpoint__tenant=self.caller.tenant)
        return rows.select_related("event", "endpoint__tenant").prefetch_related("log")


class WebhookTest(DeliveryView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses={201: DeliverySerializer})
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        self.received(NoFields)
        made = operations.send_test(endpoint, by=self.caller.actor, at=clock.now())
        return Response(DeliverySerializer(made).data, status=201)


class WebhookReplay(EndpointView):
    """Deliver again what happened in a time span."""

    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=Span, responses={201: ReplayedSpanSerializer})
    def post(self, request: Request, pk: int) -> Response:
        endpoint = self.endpoint(pk)
        span = self.received(Span)
        count = operations.replay_span(endpoint, **span, by=self.caller.actor, at=clock.now())
        return Response({"events": count}, status=201)


class WebhookDeliveries(DeliveryView):
    permissions = {"GET": Permission.ADMINISTER}

    @extend_schema(responses=DeliverySerializer(many=True), parameters=[OpenApiParameter("state", str)])
    def get(self, request: Request, pk: int) -> Response:
        rows = self.deliveries().filter(endpoint=self.endpoint(pk))
        return self.page_of(self.only(rows, "state"), DeliverySerializer)


class DeliveryDetail(DeliveryView):
    permissions = {"GET": Permission.ADMINISTER}

    @extend_schema(responses=DeliverySerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(DeliverySerializer(self.find(self.deliveries(), pk)).data)


class DeliveryReplay(DeliveryView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses={201: DeliverySerializer})
    def post(self, request: Request, pk: int) -> Response:
        delivery = self.find(self.deliveries(), pk)
        self.received(NoFields)
        made = operations.replay_delivery(delivery, by=self.caller.actor, at=clock.now())
        return Response(DeliverySerializer(made).data, status=201)
