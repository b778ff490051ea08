import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.errors import (
    CredentialInvalidError,
    GatewayTokenNotFoundError,
    TokenExistsError,
    TokenRefusedError,
)
from otaserver.fleet.models import Credential
from otaserver.fleet.operations import (
    check_gateway_token,
    create_gateway_token,
    give_token,
    identify_pre_shared,
    revoke_credentials,
    revoke_gateway_token,
)
from otaserver.fleet.protocol_models import GatewayToken
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def give(vehicle, token="secret-of-one"):
    return give_token(vehicle, token=token, by="alice", at=NOON)


def is_known(vehicle, token="secret-of-one", tenant=None, vehicle_id=None):
    try:
        found = identify_pre_shared(tenant or vehicle.tenant, vehicle_id or vehicle.vehicle_id, token, at=NOON).vehicle
    except CredentialInvalidError:
        return False
    return found == vehicle


def test_a_given_token_speaks_for_its_vehicle_alone_and_is_not_kept():
    vehicle, other = make_vehicle(), make_vehicle()
    give(vehicle)

    assert is_known(vehicle)
    assert not is_known(vehicle, "secret-of-two")
    assert not is_known(vehicle, vehicle_id="unknown")
    assert not is_known(vehicle, tenant=other.tenant)
    assert "secret" not in Credential.objects.get().fingerprint
    assert Entry.objects.get().details == {}


def test_two_vehicles_may_have_been_flashed_with_one_token():
    one = make_vehicle()
    other = make_vehicle(one.tenant)
    give(one)
    give(other)

    assert is_known(one)
    assert is_known(other)
    assert Credential.objects.values("fingerprint").distinct().count() == 2


def test_a_new_token_ends_the_old_one_and_the_old_one_can_be_given_again():
    vehicle = make_vehicle()
    give(vehicle)
    give(vehicle, "secret-of-two")
    assert (is_known(vehicle), is_known(vehicle, "secret-of-two")) == (False, True)

    give(vehicle)

    assert (is_known(vehicle), is_known(vehicle, "secret-of-two")) == (True, False)


def test_revoked_with_all_credentials_it_is_over():
    vehicle = make_vehicle()
    give(vehicle)

    assert revoke_credentials(vehicle, by="alice", at=NOON) == 1
    assert not is_known(vehicle)


def test_a_made_token_has_the_form_of_hawkbits():
    token = give(make_vehicle(), None)

    assert len(token) == 32
    assert set(token) <= set("0123456789abcdef")


@pytest.mark.parametrize("token", ["", "short", "with space", "x" * 129, "ünïcödeüü"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(TokenRefusedError):
        give(make_vehicle(), token)

    assert not Credential.objects.exists()


def test_a_gateway_token_is_good_in_its_tenant_until_it_is_revoked():
    tenant = make_tenant()
    token = create_gateway_token(tenant, name="line 1", by="alice", at=NOON)
    create_gateway_token(tenant, name="line 2", by="alice", at=NOON)

    check_gateway_token(tenant, token)
    with pytest.raises(CredentialInvalidError):
        check_gateway_token(make_tenant(), token)
    revoke_gateway_token(tenant, name="line 1", by="alice", at=NOON)
    with pytest.raises(CredentialInvalidError):
        check_gateway_token(tenant, token)

    actions = list(Entry.objects.order_by("number").values_list("action", flat=True))
    assert actions == ["gateway_token.created", "gateway_token.created", "gateway_token.revoked"]
    assert not GatewayToken.objects.filter(sha256=token).exists()


def test_a_name_or_a_token_serves_a_tenant_once():
    tenant = make_tenant()
    create_gateway_token(tenant, name="line", token="secret-token", by="alice", at=NOON)

    for name, token in [("line", "other-token"), ("other", "secret-token")]:
        with pytest.raises(TokenExistsError):
            create_gateway_token(tenant, name=name, token=token, by="alice", at=NOON)

    assert GatewayToken.objects.count() == 1


def test_an_unknown_gateway_token_cannot_be_revoked():
    with pytest.raises(GatewayTokenNotFoundError):
        revoke_gateway_token(make_tenant(), name="line", by="alice", at=NOON)
