from datetime import timedelta

import pytest

from otaserver.tenants import operations
from otaserver.tenants.errors import TenantExistsError, TenantNameRefusedError, TokenInvalidError, TokenNameTakenError
from otaserver.tenants.models import ServiceToken, Tenant
from otaserver.tenants.states import Role
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


def test_a_tenant_name_is_folded_to_lower_case():
    assert operations.create_tenant("DEFAULT", at=NOON).name == "default"


def test_a_tenant_cannot_be_created_twice_in_any_case():
    operations.create_tenant("brand", at=NOON)

    with pytest.raises(TenantExistsError):
        operations.create_tenant("Brand", at=NOON)

    assert Tenant.objects.count() == 1


def test_a_reserved_name_is_refused_and_nothing_is_stored():
    with pytest.raises(TenantNameRefusedError):
        operations.create_tenant("api", at=NOON)

    assert not Tenant.objects.exists()


def test_a_token_authenticates_until_it_expires():
    tenant = make_tenant()
    token = operations.issue_service_token(
        tenant, name="ci", role=Role.VIEWER, by="alice", at=NOON, expires_at=NOON + timedelta(hours=1)
    )

    assert operations.authenticate_token(token, at=NOON + timedelta(minutes=59)).tenant == tenant
    with pytest.raises(TokenInvalidError):
        operations.authenticate_token(token, at=NOON + timedelta(hours=1))


def test_the_token_itself_is_nowhere_in_the_database():
    token = operations.issue_service_token(make_tenant(), name="ci", role=Role.VIEWER, by="alice", at=NOON)

    stored = ServiceToken.objects.values().get()
    assert not any(token in str(value) for value in stored.values())


def test_a_revoked_token_is_refused_like_an_unknown_one():
    token = operations.issue_service_token(make_tenant(), name="ci", role=Role.VIEWER, by="alice", at=NOON)
    operations.revoke_service_token(ServiceToken.objects.get(), at=NOON)

    with pytest.raises(TokenInvalidError) as revoked:
        operations.authenticate_token(token, at=NOON)
    with pytest.raises(TokenInvalidError) as unknown:
        operations.authenticate_token("ota_guess", at=NOON)

    assert str(revoked.value) == str(unknown.value)


def test_two_tokens_of_a_tenant_cannot_share_a_name():
    tenant = make_tenant()
    operations.issue_service_token(tenant, name="ci", role=Role.VIEWER, by="alice", at=NOON)

    with pytest.raises(TokenNameTakenError):
        operations.issue_service_token(tenant, name="ci", role=Role.VIEWER, by="alice", at=NOON)

    assert ServiceToken.objects.count() == 1


def test_use_is_noted_at_most_once_a_minute():
    token = operations.issue_service_token(make_tenant(), name="ci", role=Role.VIEWER, by="alice", at=NOON)

    for seconds in (0, 30, 61):
        operations.authenticate_token(token, at=NOON + timedelta(seconds=seconds))
        if seconds == 30:
            assert ServiceToken.objects.get().last_used_at == NOON

    assert ServiceToken.objects.get().last_used_at == NOON + timedelta(seconds=61)
