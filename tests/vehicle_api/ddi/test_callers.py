"""Who is let in: target tokens, gateway tokens, and what trusted proxies vouch for."""

import pytest

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.watch_models import SeenRequest
from tests.factories import NOON, make_tenant, make_vehicle
from tests.vehicle_api.ddi.conftest import GATEWAY, TOKEN, Device, make_device

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def tenant(server_clock):
    return make_tenant("acme")


@pytest.fixture
def car(tenant):
    return make_device(tenant)[1]


def status(car, authorization="", **headers):
    answer = Device(car.tenant, car.controller, authorization).get(**headers)
    assert answer.content == b"" or answer.status_code == 200
    return answer.status_code


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "TargetToken wrong-token-of-all",
        f"targettoken {TOKEN}",
        f"TargetToken  {TOKEN}",
        f"TargetToken {TOKEN} ",
        TOKEN,
        f"Bearer {TOKEN}",
        f"GatewayToken {TOKEN}",
        "GatewayToken ",
        "TargetToken ",
        "TargetToken \x7f\xff",
        "Basic YTpi",
    ],
)
def test_without_a_good_credential_nothing_is_answered(car, authorization):
    assert status(car, authorization) == 401


def test_each_credential_is_good_for_its_own(car, tenant):
    fleet.create_gateway_token(tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    _, other = make_device(tenant, "dev2", token="token-of-the-second")
    _, foreign = make_device(make_tenant("globex"), "dev1", token="token-of-the-third")

    assert status(car, f"TargetToken {TOKEN}") == 200
    assert status(car, f"GatewayToken {GATEWAY}") == 200
    assert status(other, f"TargetToken {TOKEN}") == 401
    assert status(other, f"GatewayToken {GATEWAY}") == 200
    assert status(foreign, f"TargetToken {TOKEN}") == 401
    assert status(foreign, f"GatewayToken {GATEWAY}") == 401


def test_a_target_token_is_no_bearer_token_of_uptane(car):
    answer = car.client.get(
        "/uptane/acme/director/metadata/timestamp.json", headers={"Authorization": f"Bearer {TOKEN}"}
    )

    assert answer.status_code == 401


def test_a_revoked_token_is_none(car, tenant):
    fleet.revoke_credentials(Vehicle.objects.get(), by="alice", at=NOON)

    assert status(car, f"TargetToken {TOKEN}") == 401


def test_an_unknown_tenant_is_answered_like_a_wrong_token(car):
    answer = car.client.get("/nobody/controller/v1/dev1", headers={"Authorization": f"TargetToken {TOKEN}"})

    assert (answer.status_code, answer.content) == (401, b"")


def test_a_gateway_speaks_for_no_vehicle_of_another_protocol(tenant):
    fleet.create_gateway_token(tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    vehicle = make_vehicle(tenant)

    assert status(Device(tenant, vehicle.vehicle_id), f"GatewayToken {GATEWAY}") == 404
    assert Vehicle.objects.get(pk=vehicle.pk).protocol == "uptane"


@pytest.fixture
def proxied(car, tenant, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    fleet.change_ddi_settings(tenant, {"authorities": ["Fleet-CA", "hash-of-issuer"]}, by="alice", at=NOON)
    return car


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Controller-Id": "dev1", "X-Authority": "other, fleet-ca"}, 200),
        ({"X-Controller-Id": "dev1", "X-Authority-0": "x", "X-Authority-1": "Fleet-CA"}, 200),
        ({"X-Ssl-Client-Cn": "dev1", "X-Ssl-Issuer-Hash-1": "HASH-OF-ISSUER"}, 200),
        ({"X-Ssl-Client-Cn": "dev1", "X-Ssl-Issuer-Hash-1": "x", "X-Ssl-Issuer-Hash-2": "hash-of-issuer"}, 200),
        ({"X-Controller-Id": "dev2", "X-Authority": "Fleet-CA"}, 401),
        ({"X-Controller-Id": "DEV1", "X-Authority": "Fleet-CA"}, 401),
        ({"X-Controller-Id": "dev1", "X-Authority": "Other-CA"}, 401),
        ({"X-Controller-Id": "dev1"}, 401),
        ({"X-Authority": "Fleet-CA"}, 401),
        ({"X-Controller-Id": "dev1", "X-Ssl-Issuer-Hash-1": "hash-of-issuer"}, 401),
        ({"X-Controller-Id": "dev1", "X-Authority": ""}, 401),
    ],
)
def test_a_trusted_proxy_vouches_by_either_family_of_headers(proxied, headers, expected):
    assert status(proxied, **headers) == expected


def test_from_an_untrusted_address_the_same_headers_mean_nothing(proxied, settings):
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]

    assert status(proxied, **{"X-Controller-Id": "dev1", "X-Authority": "Fleet-CA"}) == 401
    assert status(proxied, **{"X-Ssl-Client-Cn": "dev1", "X-Ssl-Issuer-Hash-1": "hash-of-issuer"}) == 401


def test_where_nobody_is_believed_no_header_helps(car, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]

    assert status(car, **{"X-Controller-Id": "dev1", "X-Authority": ""}) == 401
    assert status(car, **{"X-Controller-Id": "dev1", "X-Authority": "Fleet-CA"}) == 401


def test_what_a_proxy_vouches_for_becomes_known(proxied, tenant):
    headers = {"X-Controller-Id": "dev7", "X-Authority": "Fleet-CA"}

    assert status(Device(tenant, "dev7"), **headers) == 200
    assert Vehicle.objects.filter(vehicle_id="dev7").exists()


def test_behind_a_trusted_proxy_links_are_as_the_request_was_sent(proxied, settings):
    settings.ALLOWED_HOSTS = ["ota.example"]
    forwarded = {
        "Host": "ota.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "ota.example",
        "X-Forwarded-Port": "8443",
    }
    answer = proxied.get(**forwarded)
    settings.TRUSTED_PROXIES = []
    direct = proxied.get(**forwarded)

    def base(answer):
        return answer.json()["_links"]["configData"]["href"].partition("/acme/")[0]

    assert (base(answer), base(direct)) == ("https://ota.example:8443", "http://ota.example")


def test_a_host_that_is_not_answered_to_is_refused(proxied):
    assert proxied.get(**{"X-Forwarded-Host": "evil.example"}).status_code == 400
    assert proxied.get(Host="evil.example").status_code == 400


def test_requests_of_a_watched_vehicle_and_refusals_of_a_watched_address_are_kept(car, tenant):
    fleet.watch_vehicle(Vehicle.objects.get(tenant=tenant), hours=1, by="ann", at=NOON)
    fleet.watch_address(tenant, "127.0.0.1", hours=1, by="ann", at=NOON)

    assert (status(car, f"TargetToken {TOKEN}"), status(car, "TargetToken wrong")) == (200, 401)

    kept = SeenRequest.objects.order_by("pk").values_list("status", "vehicle__vehicle_id", "code")
    assert list(kept) == [(200, car.controller, ""), (401, None, "credential.invalid")]
