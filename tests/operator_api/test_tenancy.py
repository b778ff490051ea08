"""Nothing crosses a tenant: another's object is not there, whatever one does with it."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns.models import Assignment, Blackout, Campaign, SoftwareChange, Wave, WorkshopCase
from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from otaserver.fleet.models import Group
from otaserver.fleet.protocol_models import GatewayToken
from tests.factories import NOON, make_group, make_package, make_release, make_vehicle


@pytest.fixture
def foreign(tenant):
    """One of everything, of the tenant that the stranger is not of."""
    vehicle = make_vehicle(tenant, "VIN1")
    package = make_package(tenant)
    release = make_release(tenant, package, version="1")
    group = make_group(tenant, vehicle)
    campaign = Campaign.objects.create(
        tenant=tenant, name="first", release=release, group=group, created_by="test", created_at=NOON
    )
    wave = Wave.objects.create(campaign=campaign, number=1, percent=100, state="undecided")
    assignment = Assignment.objects.create(campaign=campaign, vehicle=vehicle, rank=1)
    blackout = Blackout.objects.create(
        tenant=tenant, name="freeze", reason="x", starts_at=NOON, created_by="test", created_at=NOON
    )
    case = WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason="Silent.", opened_at=NOON)
    SoftwareChange.objects.create(vehicle=vehicle, ecu_serial="a", to_target="b", to_sha256="c", at=NOON, cause="first")
    device = AuthenticationSet.objects.create(
        tenant=tenant, identity={"vin": "VIN1"}, identity_sha256="a", key_sha256="b", created_at=NOON
    )
    token = TenantToken.objects.create(tenant=tenant, name="a", sha256="b", created_at=NOON)
    gateway = GatewayToken.objects.create(tenant=tenant, name="line", sha256="0" * 64, created_at=NOON)
    return {
        "gateway": gateway.pk,
        "case": case.pk,
        "device": device.pk,
        "token": token.pk,
        "package": package.pk,
        "release": release.pk,
        "group": group.pk,
        "campaign": campaign.pk,
        "wave": wave.pk,
        "assignment": assignment.pk,
        "blackout": blackout.pk,
    }


REASON = {"reason": "because"}
REQUESTS = [
    ("GET", "/packages/{package}", None),
    ("GET", "/packages/{package}/content", None),
    ("PATCH", "/packages/{package}/content", b"bytes"),
    ("POST", "/packages/{package}/publish", {"metadata": {"tuf-1.0": ""}}),
    ("POST", "/packages/{package}/withdraw", {"metadata": {"tuf-1.0": ""}}),
    ("GET", "/releases/{release}", None),
    ("POST", "/releases", {"name": "a", "version": "1", "packages": [{"package": "{package}"}]}),
    ("GET", "/vehicles/VIN1", None),
    ("GET", "/vehicles/VIN1/explanation", None),
    ("POST", "/vehicles/VIN1/test-bench", REASON),
    ("POST", "/vehicles/VIN1/target-token", {}),
    ("POST", "/gateway-tokens/{gateway}/revoke", {}),
    ("POST", "/vehicles/VIN1/order", REASON | {"release": "{release}"}),
    ("GET", "/devices/{device}", None),
    ("POST", "/devices/{device}/accept", {}),
    ("POST", "/devices/{device}/reject", REASON),
    ("POST", "/tenant-tokens/{token}/revoke", {}),
    ("POST", "/campaigns/{campaign}/forecast", {}),
    ("GET", "/campaigns/{campaign}/forecast", None),
    ("POST", "/campaigns/suggest", {"release": "{release}", "group": "{group}", "failure_budget": 1}),
    ("POST", "/campaigns/{campaign}/close", REASON),
    ("POST", "/groups/{group}/block-list", REASON),
    ("POST", "/groups/{group}/block-list/lift", REASON),
    ("GET", "/groups/{group}", None),
    ("PATCH", "/groups/{group}", {"name": "b"}),
    ("DELETE", "/groups/{group}?reason=x", None),
    ("GET", "/vehicles/VIN1/record", None),
    ("POST", "/vehicles/VIN1/pseudonymise", REASON),
    ("GET", "/groups/{group}/vehicles", None),
    ("POST", "/groups/{group}/vehicles", {"vehicles": ["VIN1"]}),
    ("POST", "/groups/{group}/vehicles/remove", {"vehicles": ["VIN1"]}),
    ("POST", "/groups", {"name": "a", "vehicles": ["VIN1"]}),
    ("POST", "/campaigns", {"name": "a", "release": "{release}", "group": "{group}", "waves": [{"percent": 100}]}),
    ("GET", "/campaigns/{campaign}", None),
    ("PATCH", "/campaigns/{campaign}", {"name": "b"}),
    ("GET", "/campaigns/{campaign}/waves", None),
    ("GET", "/campaigns/{campaign}/assignments", None),
    ("GET", "/campaigns/{campaign}/decisions", None),
    ("GET", "/campaigns/{campaign}/replay", None),
    ("POST", "/campaigns/{campaign}/submit", {}),
    ("POST", "/campaigns/{campaign}/approve", {}),
    ("POST", "/campaigns/{campaign}/reject", REASON),
    ("POST", "/campaigns/{campaign}/schedule", {"starts_at": "2026-06-02T06:00:00Z"}),
    ("POST", "/campaigns/{campaign}/start", {}),
    ("POST", "/campaigns/{campaign}/pause", REASON),
    ("POST", "/campaigns/{campaign}/resume", REASON),
    ("POST", "/campaigns/{campaign}/cancel", REASON),
    ("POST", "/campaigns/{campaign}/stop", REASON),
    ("POST", "/campaigns/{campaign}/rollback", {"name": "back"}),
    ("POST", "/workshop-cases/{case}/close", {"note": "Flashed."}),
    ("POST", "/waves/{wave}/decide", REASON | {"passed": True}),
    ("POST", "/blackouts", REASON | {"name": "a", "group": "{group}"}),
    ("GET", "/blackouts/{blackout}", None),
    ("POST", "/blackouts/{blackout}/lift", REASON),
    ("POST", "/vehicles/VIN1/time-zone", {"time_zone": "Europe/Berlin"}),
    (
        "POST",
        "/assignments/{assignment}/consents",
        {"decision": "yes", "by": "a", "language": "en", "text_sha256": "0" * 64},
    ),
]


def filled(value, ids):
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, ids) for inner in value]
    if isinstance(value, str) and value.startswith("{"):
        return ids[value.strip("{}")]
    return value


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_another_tenants_object_is_not_found_and_untouched(stranger, foreign, method, path, body):
    before = list(Campaign.objects.values()), list(Wave.objects.values()), Group.objects.count()
    names_version = method == "PATCH" or path.endswith(("/publish", "/withdraw"))
    headers = {"Upload-Offset": "0"} | ({"If-Match": '"1"'} if names_version else {})
    if isinstance(body, bytes):
        headers["content_type"] = "application/octet-stream"

    response = stranger(method, path.format(**foreign), filled(body, foreign), **headers)

    assert response.status_code == 404, response.content
    assert response.json()["code"].endswith("not_found")
    assert (list(Campaign.objects.values()), list(Wave.objects.values()), Group.objects.count()) == before
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("/packages", "/releases", "/vehicles", "/groups", "/campaigns", "/audit", "/blackouts"),
        *("/workshop-cases", "/software-changes", "/devices", "/tenant-tokens"),
    ],
)
def test_lists_hold_only_ones_own(stranger, foreign, path):
    assert stranger.get(path).json() == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize("path", ["/trust/image/root", "/trust/director/root", "/trust/image/targets"])
def test_metadata_of_another_tenant_is_not_found(stranger, foreign, path):
    assert stranger.get(path).status_code == 404


def test_a_reference_to_another_tenants_way_back_is_not_found(stranger, foreign):
    own = make_release(stranger.tenant, make_package(stranger.tenant))
    group = make_group(stranger.tenant)

    response = stranger.post(
        "/campaigns",
        {
            "name": "a",
            "release": own.pk,
            "group": group.pk,
            "waves": [{"percent": 100}],
            "fallback_release": foreign["release"],
        },
    )

    assert response.status_code == 404
    assert not Campaign.objects.filter(tenant=stranger.tenant).exists()
