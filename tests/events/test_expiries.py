from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.events import operations
from otaserver.fleet.credentials.certificates import AUTHORITY_LIFETIME
from otaserver.fleet.models import Credential, FleetAuthority
from otaserver.fleet.states import CredentialKind
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import ServiceToken
from otaserver.tenants.states import Role
from tests.factories import NOON, make_vehicle

pytestmark = pytest.mark.django_db


def warned(tenant):
    rows = Entry.objects.filter(tenant=tenant).order_by("number")
    return [(entry.action, entry.subject, entry.details["days"]) for entry in rows]


def test_a_token_is_told_once_for_each_threshold_that_it_passes(tenant):
    tenants.issue_service_token(
        tenant, name="ci", role=Role.VIEWER, by="alice", at=NOON, expires_at=NOON + timedelta(days=10)
    )
    for days in (0, 1, 8, 9, 11):
        operations.warn_of_expiry(tenant, at=NOON + timedelta(days=days))

    assert warned(tenant) == [("service_token.expires_soon", "ci", days) for days in (14, 3, 0)]


def test_a_token_that_was_revoked_or_never_ends_is_not_told(tenant):
    for name, ends in (("a", None), ("b", NOON + timedelta(days=1))):
        tenants.issue_service_token(tenant, name=name, role=Role.VIEWER, by="alice", at=NOON, expires_at=ends)
    tenants.revoke_service_token(ServiceToken.objects.get(name="b"), at=NOON)

    assert operations.warn_of_expiry(tenant, at=NOON) == 0
    assert warned(tenant) == []


def test_a_fleet_ca_is_told_a_year_before_its_end(tenant):
    made = NOON - AUTHORITY_LIFETIME + timedelta(days=364)
    FleetAuthority.objects.create(tenant=tenant, certificate_pem="x", key_name="x", created_at=made)

    counts = [operations.warn_of_expiry(tenant, at=NOON) for _ in range(2)]

    assert counts == [1, 0]
    assert warned(tenant) == [("fleet_authority.expires_soon", "fleet CA of acme", 365)]


def test_vehicles_are_told_by_their_number_once_a_week(tenant):
    for number, days in enumerate((-1, 3, 6, 30)):
        Credential.objects.create(
            vehicle=make_vehicle(tenant),
            kind=CredentialKind.TOKEN,
            fingerprint=str(number),
            created_at=NOON,
            expires_at=NOON + timedelta(days=days),
        )

    counts = [operations.warn_of_expiry(tenant, at=NOON + timedelta(days=days)) for days in (0, 1, 7)]

    # On the eighth day both have ended, and there is nothing left to do in time.
    assert counts == [1, 0, 0]
    assert Entry.objects.get().details == {"days": 7, "count": 2}
