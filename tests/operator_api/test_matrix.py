"""Every address that takes somebody's id and every role, with the id of another tenant: it is not there.

Addresses are found in the API's own list; where one takes an id that `things_of` does not know, the test says so. What
each role may do in its own tenant is tests/operator_api/test_access.py.
"""

import uuid

import pytest

from firmware_store.direct_models import DirectUpload
from firmware_store.models import VerificationKey
from otaserver.audit.models import Entry
from otaserver.campaigns.forecast_models import CampaignForecast
from otaserver.campaigns.models import Assignment, Blackout, Campaign, Wave, WorkshopCase
from otaserver.events.models import Delivery, Endpoint, Event
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.operator_api import urls
from otaserver.operator_api.views.base import TenantView
from otaserver.people import operations as people
from otaserver.tenants.states import PERMISSIONS, Role
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle
from tests.operator_api.conftest import make_caller
from tests.operator_api.test_tenancy import REQUESTS
from tests.people.people_factories import ROOT, make_member

pytestmark = pytest.mark.any_database

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Names that each tenant gives for itself: there is nothing of another tenant behind them.
OWN_NAMES = ("trust/", "attributes/")
CELLS = [
    (method, str(pattern.pattern))
    for pattern in urls.urlpatterns
    for method in METHODS
    if "<" in str(pattern.pattern)
    and not str(pattern.pattern).startswith(OWN_NAMES)
    and issubclass(pattern.callback.view_class, TenantView)
    and hasattr(pattern.callback.view_class, method.lower())
]
PERMISSIONS_NEEDED = {
    (method, str(pattern.pattern)): pattern.callback.view_class.permissions[method]
    for pattern in urls.urlpatterns
    for method in METHODS
    if (method, str(pattern.pattern)) in CELLS
}


def things_of(tenant):
    """One of everything of a tenant, by the beginning of the addresses that take its id."""
    vehicle, package = make_vehicle(tenant, "VIN1"), make_package(tenant)
    release, group = make_release(tenant, package, version="1"), make_group(tenant, vehicle)
    made = {"tenant": tenant, "created_at": NOON}
    campaign = Campaign.objects.create(**made, name="first", release=release, group=group, created_by="test")
    member = make_member(tenant, "victim")
    endpoint = Endpoint.objects.create(**made, url="https://example.com/", salt="0", created_by="test")
    event = Event.objects.create(
        tenant=tenant, sequence=1, public_id=uuid.uuid4(), type="campaign.started", subject="x", at=NOON, data={}
    )
    CampaignForecast.objects.create(campaign=campaign, revision=1, made_at=NOON, basis="group", starts_at=NOON)
    # Its parts are one object already: the bucket need not be asked.
    DirectUpload.objects.create(
        package=package, state="verifying", name="x", upload_id="x", part_bytes=1, etag="x", created_at=NOON
    )
    by_address = {
        "vehicles": vehicle,
        "packages": package,
        "releases": release,
        "groups": group,
        "campaigns": campaign,
        "waves": Wave.objects.create(campaign=campaign, number=1, percent=100, state="undecided"),
        "assignments": Assignment.objects.create(campaign=campaign, vehicle=vehicle, rank=1),
        "blackouts": Blackout.objects.create(**made, name="freeze", reason="x", starts_at=NOON, created_by="test"),
        "workshop-cases": WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason="x", opened_at=NOON),
        "devices": AuthenticationSet.objects.create(**made, identity={}, identity_sha256="a", key_sha256="b"),
        "tenant-tokens": TenantToken.objects.create(**made, name="a", sha256="b"),
        "gateway-tokens": GatewayToken.objects.create(**made, name="line", sha256="0" * 64),
        "verification-keys": VerificationKey.objects.create(**made, name="a", format="swu", pem="x", created_by="test"),
        "imports": FleetImport.objects.create(**made, kind="csv", filename="a", length=1, created_by="test"),
        "members": member,
        "invitations": people.invite(tenant, role=Role.VIEWER, by=ROOT, at=NOON)[0],
        "tokens": people.issue_service_token(tenant, name="x", role=Role.VIEWER, by=ROOT, at=NOON)[0],
        "me/tokens": people.issue_personal_token(
            member, name="x", by=ROOT, at=NOON, expires_at=NOON.replace(year=2027)
        )[0],
        "provisioning-credentials": ProvisioningCredential.objects.create(
            **made, name="a", fingerprint="a", expires_at=NOON.replace(year=2027), created_by="test"
        ),
        "webhooks": endpoint,
        "webhook-deliveries": Delivery.objects.create(endpoint=endpoint, event=event, due_at=NOON, created_at=NOON),
        "fleet-authorities": RetiredAuthority.objects.create(**made, certificate_pem="x", retired_at=NOON),
    }
    return {address: row.pk for address, row in by_address.items()} | {"vehicles": "VIN1", "mail-readers": "victim"}


def body_of(method, route):
    """A body that is well-formed, so that nothing but the id is left to refuse."""
    beginning, ending = route.split("<")[0].strip("/"), route.rpartition(">")[2]
    for other, path, body in REQUESTS:
        if (other, path.split("{")[0].replace("/VIN1", "").strip("/").split("/")[0]) == (method, beginning) and (
            path.rpartition("}")[2] or path.partition("VIN1")[2]
        ) == ending:
            return body
    return BODIES.get((method, route), {})


REASON = {"reason": "because"}
BODIES = {
    ("PATCH", "members/<int:pk>"): {"role": "viewer"},
    ("POST", "fleet-authorities/<int:pk>/end"): REASON,
    ("POST", "webhooks/<int:pk>/pause"): REASON,
    ("POST", "webhooks/<int:pk>/replay"): {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
    ("PUT", "mail-readers/<str:username>"): {"kinds": []},
    ("POST", "vehicles/<str:vehicle_id>/provisioning"): REASON | {"valid_hours": 1},
    ("POST", "vehicles/<str:vehicle_id>/sale"): REASON,
    ("POST", "vehicles/<str:vehicle_id>/ecu-swaps"): REASON | {"old_serial": "a"},
    ("POST", "vehicles/<str:vehicle_id>/decommission"): REASON,
    ("POST", "vehicles/<str:vehicle_id>/recommission"): REASON,
    ("POST", "vehicles/<str:vehicle_id>/credentials/revoke"): REASON,
    ("POST", "vehicles/<str:vehicle_id>/watch"): {"minutes": 5},
}


def filled(route, things):
    beginning = route.split("<")[0].strip("/")
    return f"/{beginning}/{things[beginning]}{route.rpartition('>')[2]}"


@pytest.mark.parametrize("role", Role.values)
def test_what_is_another_tenants_is_not_there_whatever_ones_role(tenant, role):
    things = things_of(make_tenant("other"))
    caller = make_caller(tenant, role)
    entries, wrong = Entry.objects.count(), {}

    for method, route in CELLS:
        body = body_of(method, route)
        headers = {"Upload-Offset": "0"}
        if isinstance(body, bytes):
            headers["content_type"] = "application/octet-stream"
        answer = caller(method, filled(route, things), body, **headers)
        if answer.status_code == 428:
            # A version is wanted before anything is looked for.
            answer = caller(method, filled(route, things), body, **headers, **{"If-Match": '"1"'})
        is_let_in = PERMISSIONS_NEEDED[method, route] in PERMISSIONS[role]
        if answer.status_code != (404 if is_let_in else 403):
            wrong[method, route] = answer.status_code, answer.content

    assert wrong == {}
    assert Entry.objects.count() == entries


def test_the_same_ids_are_there_for_their_own_tenant(tenant):
    """That the matrix above asks for what there is, and would see it."""
    things = things_of(tenant)
    caller = make_caller(tenant, Role.ADMINISTRATOR)

    missing = [
        route for method, route in CELLS if method == "GET" and caller.get(filled(route, things)).status_code == 404
    ]

    assert missing == []


def test_every_address_with_an_id_is_in_the_matrix():
    assert len(CELLS) > 60
    assert {route.split("<")[0].strip("/") for _, route in CELLS} >= {"vehicles", "campaigns", "members", "tokens"}
