"""A vehicle that stood still for longer than its credentials lived."""

from datetime import timedelta

import pytest

from otaserver.fleet import operations
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Credential
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import enrol

pytestmark = pytest.mark.django_db
END = NOON + timedelta(days=365)
RETURN = NOON + timedelta(days=730)


@pytest.fixture
def tenant():
    return make_tenant("acme")


@pytest.fixture
def enrolment(tenant):
    made = enrol(tenant)
    operations.identify_token(tenant, made.token, at=NOON)
    return made


def renew(tenant, token, at=RETURN):
    vehicle = operations.identify_to_renew(tenant, token, at=at)
    return operations.renew(vehicle, certificate_request=None, at=at)


def test_its_last_token_fetches_new_ones_and_does_nothing_else(tenant, enrolment):
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, enrolment.token, at=RETURN)

    renewed = renew(tenant, enrolment.token)

    assert operations.identify_token(tenant, renewed.token, at=RETURN).vehicle == enrolment.vehicle


def test_where_the_answer_was_lost_it_asks_again(tenant, enrolment):
    lost = renew(tenant, enrolment.token)

    second = renew(tenant, enrolment.token, at=RETURN + timedelta(hours=1))

    assert operations.identify_token(tenant, second.token, at=RETURN + timedelta(hours=1)).vehicle == enrolment.vehicle
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, lost.token, at=RETURN + timedelta(hours=1))


def test_once_the_new_one_was_used_the_old_one_is_worth_nothing(tenant, enrolment):
    renewed = renew(tenant, enrolment.token)
    operations.identify_token(tenant, renewed.token, at=RETURN)

    with pytest.raises(CredentialInvalidError):
        renew(tenant, enrolment.token, at=RETURN + timedelta(hours=1))


def test_a_token_that_was_replaced_before_it_ended_is_worth_nothing(tenant, enrolment):
    newer = renew(tenant, enrolment.token, at=NOON + timedelta(days=1))
    operations.identify_token(tenant, newer.token, at=NOON + timedelta(days=1))

    with pytest.raises(CredentialInvalidError):
        renew(tenant, enrolment.token)


def test_a_token_that_nobody_ever_used_is_worth_nothing(tenant):
    unused = enrol(tenant)

    with pytest.raises(CredentialInvalidError):
        renew(tenant, unused.token)


@pytest.mark.parametrize("end", ["revoked", "sold", "decommissioned"])
def test_what_was_ended_by_somebody_does_not_come_back(tenant, enrolment, end):
    late = END + timedelta(days=10)
    if end == "revoked":
        operations.revoke_credentials(enrolment.vehicle, by="ann", at=late)
    elif end == "sold":
        operations.end_ownership(enrolment.vehicle, at=late)
    else:
        operations.mark_decommissioned(enrolment.vehicle, at=late)

    with pytest.raises(CredentialInvalidError):
        renew(tenant, enrolment.token)

    assert Credential.objects.count() == 1


@pytest.mark.parametrize(("days", "is_late"), [(0, True), (365, True), (366, False)])
def test_how_late_is_for_the_tenant_to_say(tenant, enrolment, days, is_late):
    Tenant.objects.update(late_renewal_days=days)

    if is_late:
        with pytest.raises(CredentialInvalidError):
            renew(tenant, enrolment.token)
    else:
        assert renew(tenant, enrolment.token).vehicle == enrolment.vehicle


def test_another_tenants_token_fetches_nothing(enrolment):
    with pytest.raises(CredentialInvalidError):
        renew(make_tenant("other"), enrolment.token)
