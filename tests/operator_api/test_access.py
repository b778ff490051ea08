from datetime import timedelta

import pytest
from django.test import Client
from django.urls import get_resolver

from otaserver.operator_api import urls
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import ServiceToken
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.factories import NOON

pytestmark = pytest.mark.any_database

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NEEDS = {
    ("GET", "me"): Permission.VIEW,
    ("GET", "me/tokens"): Permission.VIEW,
    ("POST", "me/tokens"): Permission.VIEW,
    ("POST", "me/tokens/1/revoke"): Permission.VIEW,
    ("GET", "members"): Permission.VIEW,
    ("GET", "members/1"): Permission.VIEW,
    ("PATCH", "members/1"): Permission.ADMINISTER,
    ("POST", "members/1/remove"): Permission.ADMINISTER,
    ("GET", "members/1/tokens"): Permission.AUDIT,
    ("POST", "members/1/tokens/revoke"): Permission.ADMINISTER,
    ("GET", "invitations"): Permission.ADMINISTER,
    ("POST", "invitations"): Permission.ADMINISTER,
    ("POST", "invitations/1/revoke"): Permission.ADMINISTER,
    ("GET", "tokens"): Permission.AUDIT,
    ("POST", "tokens"): Permission.ADMINISTER,
    ("POST", "tokens/1/revoke"): Permission.ADMINISTER,
    ("GET", "tenant"): Permission.VIEW,
    ("PATCH", "tenant"): Permission.ADMINISTER,
    ("POST", "tenant/stop"): Permission.STOP,
    ("POST", "tenant/resume"): Permission.MANAGE_CAMPAIGNS,
    ("GET", "tenant/retention"): Permission.VIEW,
    ("PATCH", "tenant/retention"): Permission.ADMINISTER,
    ("GET", "tenant/storage"): Permission.VIEW,
    ("GET", "trust/ages"): Permission.VIEW,
    ("GET", "audit/verification"): Permission.AUDIT,
    ("GET", "vehicles/VIN1/record"): Permission.ADMINISTER,
    ("POST", "vehicles/VIN1/pseudonymise"): Permission.ADMINISTER,
    ("PATCH", "groups/1"): Permission.MANAGE_FLEET,
    ("DELETE", "groups/1"): Permission.MANAGE_FLEET,
    ("GET", "tenant/ddi"): Permission.VIEW,
    ("PATCH", "tenant/ddi"): Permission.ADMINISTER,
    ("POST", "ddi/vehicles"): Permission.MANAGE_FLEET,
    ("GET", "gateway-tokens"): Permission.VIEW,
    ("POST", "gateway-tokens"): Permission.ADMINISTER,
    ("POST", "gateway-tokens/1/revoke"): Permission.ADMINISTER,
    ("POST", "vehicles/VIN1/target-token"): Permission.MANAGE_FLEET,
    ("GET", "audit"): Permission.AUDIT,
    ("GET", "packages"): Permission.VIEW,
    ("POST", "packages"): Permission.PUBLISH,
    ("GET", "packages/1"): Permission.VIEW,
    ("GET", "packages/1/direct-upload"): Permission.PUBLISH,
    ("POST", "packages/1/direct-upload"): Permission.PUBLISH,
    ("POST", "packages/1/direct-upload/addresses"): Permission.PUBLISH,
    ("POST", "packages/1/direct-upload/complete"): Permission.PUBLISH,
    ("POST", "packages/1/direct-upload/abort"): Permission.PUBLISH,
    ("GET", "packages/1/content"): Permission.PUBLISH,
    ("PATCH", "packages/1/content"): Permission.PUBLISH,
    ("POST", "packages/1/publish"): Permission.PUBLISH,
    ("POST", "packages/1/withdraw"): Permission.PUBLISH,
    ("GET", "verification-keys"): Permission.VIEW,
    ("POST", "verification-keys"): Permission.ADMINISTER,
    ("POST", "verification-keys/1/retire"): Permission.ADMINISTER,
    ("GET", "trust/online-keys"): Permission.VIEW,
    ("GET", "trust/image/root"): Permission.VIEW,
    ("PUT", "trust/image/root"): Permission.ADMINISTER,
    ("GET", "trust/image/targets"): Permission.VIEW,
    ("PUT", "trust/image/targets"): Permission.ADMINISTER,
    ("GET", "trust/image/supplier"): Permission.VIEW,
    ("PUT", "trust/image/supplier"): Permission.PUBLISH,
    ("GET", "releases"): Permission.VIEW,
    ("POST", "releases"): Permission.PUBLISH,
    ("GET", "releases/1"): Permission.VIEW,
    ("GET", "vehicles"): Permission.VIEW,
    ("GET", "vehicles/VIN1"): Permission.VIEW,
    ("GET", "vehicles/VIN1/explanation"): Permission.VIEW,
    ("POST", "vehicles/VIN1/test-bench"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/order"): Permission.ORDER_NOW,
    ("GET", "devices"): Permission.VIEW,
    ("POST", "devices"): Permission.MANAGE_FLEET,
    ("GET", "devices/1"): Permission.VIEW,
    ("POST", "devices/1/accept"): Permission.MANAGE_FLEET,
    ("POST", "devices/1/reject"): Permission.MANAGE_FLEET,
    ("GET", "tenant-tokens"): Permission.VIEW,
    ("POST", "tenant-tokens"): Permission.ADMINISTER,
    ("POST", "tenant-tokens/1/revoke"): Permission.ADMINISTER,
    ("GET", "groups"): Permission.VIEW,
    ("POST", "groups"): Permission.MANAGE_FLEET,
    ("POST", "groups/preview"): Permission.VIEW,
    ("GET", "groups/1"): Permission.VIEW,
    ("GET", "groups/1/vehicles"): Permission.VIEW,
    ("POST", "groups/1/vehicles"): Permission.MANAGE_FLEET,
    ("POST", "groups/1/vehicles/remove"): Permission.MANAGE_FLEET,
    ("POST", "groups/1/block-list"): Permission.MANAGE_FLEET,
    ("POST", "groups/1/block-list/lift"): Permission.MANAGE_FLEET,
    ("GET", "imports"): Permission.VIEW,
    ("POST", "imports"): Permission.MANAGE_FLEET,
    ("GET", "imports/1"): Permission.VIEW,
    ("GET", "imports/1/problems"): Permission.VIEW,
    ("POST", "claim-codes"): Permission.MANAGE_FLEET,
    ("GET", "provisioning-credentials"): Permission.VIEW,
    ("POST", "provisioning-credentials"): Permission.MANAGE_FLEET,
    ("POST", "provisioning-credentials/1/revoke"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/provisioning"): Permission.MANAGE_FLEET,
    ("GET", "campaigns"): Permission.VIEW,
    ("POST", "campaigns"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/suggest"): Permission.VIEW,
    ("GET", "campaigns/1"): Permission.VIEW,
    ("PATCH", "campaigns/1"): Permission.MANAGE_CAMPAIGNS,
    ("GET", "campaigns/1/forecast"): Permission.VIEW,
    ("POST", "campaigns/1/forecast"): Permission.VIEW,
    ("GET", "campaigns/1/waves"): Permission.VIEW,
    ("GET", "campaigns/1/assignments"): Permission.VIEW,
    ("GET", "campaigns/1/decisions"): Permission.VIEW,
    ("GET", "campaigns/1/replay"): Permission.VIEW,
    ("POST", "campaigns/1/submit"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/approve"): Permission.APPROVE,
    ("POST", "campaigns/1/reject"): Permission.APPROVE,
    ("POST", "campaigns/1/schedule"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/start"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/pause"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/resume"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/retry"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/cancel"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/close"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "campaigns/1/stop"): Permission.STOP,
    ("POST", "campaigns/1/rollback"): Permission.MANAGE_CAMPAIGNS,
    ("GET", "failure-codes"): Permission.VIEW,
    ("GET", "workshop-cases"): Permission.VIEW,
    ("POST", "workshop-cases/1/close"): Permission.MANAGE_FLEET,
    ("GET", "software-changes"): Permission.VIEW,
    ("POST", "waves/1/decide"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "assignments/1/consents"): Permission.MANAGE_CAMPAIGNS,
    ("GET", "blackouts"): Permission.VIEW,
    ("POST", "blackouts"): Permission.STOP,
    ("GET", "blackouts/1"): Permission.VIEW,
    ("POST", "blackouts/1/lift"): Permission.MANAGE_CAMPAIGNS,
    ("POST", "vehicles/VIN1/time-zone"): Permission.MANAGE_FLEET,
    ("GET", "vehicles/VIN1/credentials"): Permission.VIEW,
    ("POST", "vehicles/VIN1/credentials/revoke"): Permission.MANAGE_FLEET,
    ("GET", "vehicles/VIN1/ecu-swaps"): Permission.VIEW,
    ("POST", "vehicles/VIN1/ecu-swaps"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/sale"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/decommission"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/recommission"): Permission.MANAGE_FLEET,
    ("POST", "vehicles/VIN1/watch"): Permission.MANAGE_FLEET,
    ("GET", "vehicles/VIN1/requests"): Permission.VIEW,
    ("GET", "watched-addresses"): Permission.VIEW,
    ("POST", "watched-addresses"): Permission.MANAGE_FLEET,
    ("GET", "refused-requests"): Permission.VIEW,
    ("GET", "credentials/expiring"): Permission.VIEW,
    ("GET", "fleet-authorities"): Permission.VIEW,
    ("POST", "fleet-authorities/rotate"): Permission.ADMINISTER,
    ("POST", "fleet-authorities/1/end"): Permission.ADMINISTER,
    ("GET", "attributes"): Permission.VIEW,
    ("POST", "attributes"): Permission.MANAGE_FLEET,
    ("GET", "attributes/owner"): Permission.VIEW,
    ("PATCH", "attributes/owner"): Permission.MANAGE_FLEET,
    ("GET", "event-types"): Permission.VIEW,
    ("GET", "events"): Permission.VIEW,
    ("GET", "webhooks"): Permission.ADMINISTER,
    ("POST", "webhooks"): Permission.ADMINISTER,
    ("GET", "webhooks/1"): Permission.ADMINISTER,
    ("PATCH", "webhooks/1"): Permission.ADMINISTER,
    ("POST", "webhooks/1/pause"): Permission.ADMINISTER,
    ("POST", "webhooks/1/resume"): Permission.ADMINISTER,
    ("POST", "webhooks/1/remove"): Permission.ADMINISTER,
    ("POST", "webhooks/1/rotate-secret"): Permission.ADMINISTER,
    ("POST", "webhooks/1/test"): Permission.ADMINISTER,
    ("POST", "webhooks/1/replay"): Permission.ADMINISTER,
    ("GET", "webhooks/1/deliveries"): Permission.ADMINISTER,
    ("GET", "webhook-deliveries/1"): Permission.ADMINISTER,
    ("POST", "webhook-deliveries/1/replay"): Permission.ADMINISTER,
    ("GET", "mail-settings"): Permission.ADMINISTER,
    ("PUT", "mail-settings"): Permission.ADMINISTER,
    ("GET", "mail-readers"): Permission.ADMINISTER,
    ("GET", "mail-readers/someone"): Permission.ADMINISTER,
    ("PUT", "mail-readers/someone"): Permission.ADMINISTER,
}
PATHS = sorted({path for _, path in NEEDS})


def content_type(path):
    return "application/octet-stream" if path.endswith("/content") else "application/json"


def handled_methods(path):
    view = get_resolver().resolve(f"/api/v1/{path}").func.view_class
    return [method for method in METHODS if hasattr(view, method.lower())]


def test_every_address_and_method_stands_in_the_table():
    views = [pattern for pattern in urls.urlpatterns if issubclass(pattern.callback.view_class, TenantView)]
    served = {(method, path) for path in PATHS for method in handled_methods(path)}

    assert served == set(NEEDS)
    assert len({pattern.callback.view_class for pattern in views}) == len(
        {get_resolver().resolve(f"/api/v1/{path}").func.view_class for path in PATHS}
    )


@pytest.mark.parametrize("role", Role.values)
def test_each_role_may_do_what_its_permissions_say_and_nothing_else(as_role, role):
    caller = as_role(role)

    for (method, path), needed in NEEDS.items():
        response = caller(method, f"/{path}", content_type=content_type(path))

        is_forbidden = response.status_code == 403
        assert is_forbidden == (needed not in PERMISSIONS[role]), (method, path, response.content)
        if is_forbidden:
            assert response.json()["code"] == "permission.missing"
            assert response.json()["permission"] == needed


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_nobody_is_answered_without_a_token(db, method, path):
    response = Client().generic(method, f"/api/v1/{path}", content_type=content_type(path))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "token.invalid"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic b3RhOm90YQ==", "Bearer ota_guess", "ota_guess"])
def test_a_credential_that_is_none_is_refused(db, header):
    response = Client().get("/api/v1/me", headers={"Authorization": header})

    assert (response.status_code, response.json()["code"]) == (401, "token.invalid")


def test_a_revoked_token_is_refused_at_once(caller):
    assert caller.get("/me").status_code == 200
    tenants.revoke_service_token(ServiceToken.objects.get(), at=NOON)

    assert caller.get("/me").status_code == 401


def test_an_expired_token_is_refused(tenant, caller):
    ServiceToken.objects.update(expires_at=NOON - timedelta(seconds=1))

    assert caller.get("/me").status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_an_address_does_not_have_is_a_405_problem(caller, path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        if method not in handled_methods(path):
            response = caller(method, f"/{path}")

            assert response.status_code == 405, (method, path)
            assert response.json()["code"] == "request.method"


def test_me_tells_who_one_is(caller):
    assert caller.get("/me").json() == {
        "tenant": "acme",
        "token": "a administrator",
        "person": None,
        "role": "administrator",
        "permissions": sorted(Permission.values),
        "expires_at": None,
    }


@pytest.mark.parametrize("path", ["/nothing", "/packages/", "/packages/x", "/campaigns/1/explode", ""])
def test_an_address_that_there_is_not_is_a_404_problem(caller, path):
    response = caller.get(path)

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "resource.not_found"
