from datetime import timedelta

import pytest
from cryptography import x509

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import CertificateRequestRefusedError, CredentialInvalidError
from otaserver.fleet.models import Credential
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import enrol, make_csr

LATER = NOON + timedelta(days=100)
DAY = timedelta(hours=24)


def serial_of(enrolment):
    return f"{x509.load_pem_x509_certificate(enrolment.certificate.encode()).serial_number:x}"


def is_live(tenant, enrolment, *, at=LATER):
    """Whether the token is good; to ask is to use it."""
    try:
        return operations.identify_token(tenant, enrolment.token, at=at).vehicle == enrolment.vehicle
    except CredentialInvalidError:
        return False


def has_live_certificate(tenant, enrolment, *, at=LATER):
    serial, vehicle = serial_of(enrolment), enrolment.vehicle
    try:
        return operations.identify_certificate(tenant, serial=serial, common_name="VIN1", at=at).vehicle == vehicle
    except CredentialInvalidError:
        return False


def renew(tenant, enrolment, *, csr=None, at=LATER):
    """Ask with the token of an earlier answer for the next, as a vehicle does."""
    vehicle = operations.identify_token(tenant, enrolment.token, at=at).vehicle
    return operations.renew(vehicle, certificate_request=csr, at=at)


def make_tenant_with_authority():
    tenant = make_tenant()
    operations.create_fleet_authority(tenant, at=NOON)
    return tenant


@pytest.mark.django_db
def test_a_token_identifies_until_it_expires():
    tenant = make_tenant()
    enrolment = enrol(tenant)

    last = enrolment.token_expires_at
    assert (
        operations.identify_token(tenant, enrolment.token, at=last - timedelta(seconds=1)).vehicle == enrolment.vehicle
    )
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, enrolment.token, at=last)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "otav_", "\ud800", "x" * 10_000])
def test_nonsense_identifies_nobody(token):
    tenant = make_tenant()
    enrol(tenant)

    with pytest.raises(CredentialInvalidError) as refused:
        operations.identify_token(tenant, token, at=NOON)

    assert refused.value.details == {}


@pytest.mark.django_db
def test_identifying_costs_one_query_after_the_first_time(django_assert_num_queries):
    tenant = make_tenant()
    token = enrol(tenant).token
    operations.identify_token(tenant, token, at=NOON)

    with django_assert_num_queries(1):
        assert operations.identify_token(tenant, token, at=NOON).vehicle.tenant.name == tenant.name


@pytest.mark.django_db
def test_a_blocked_vehicle_is_still_identified():
    tenant = make_tenant()
    enrolment = enrol(tenant)
    operations.block_vehicle(enrolment.vehicle, reason="stolen", by="alice", at=NOON)

    assert operations.identify_token(tenant, enrolment.token, at=NOON).vehicle.blocked_at == NOON


@pytest.mark.django_db
def test_a_certificate_identifies_however_a_proxy_writes_its_serial_number():
    tenant = make_tenant_with_authority()
    enrolment = enrol(tenant, csr=make_csr())
    serial = serial_of(enrolment)
    padded = serial.zfill(len(serial) + len(serial) % 2).upper()
    colons = ":".join(padded[index : index + 2] for index in range(0, len(padded), 2))

    for written in (serial, serial.upper(), f"00{padded}", colons):
        vehicle = operations.identify_certificate(tenant, serial=written, common_name="vin1", at=NOON).vehicle
        assert vehicle == enrolment.vehicle


@pytest.mark.django_db
def test_a_certificate_identifies_neither_in_another_tenant_nor_another_vehicle_nor_after_its_end():
    tenant, other = make_tenant_with_authority(), make_tenant_with_authority()
    enrolment = enrol(tenant, csr=make_csr())
    enrol(other, csr=make_csr())
    serial = serial_of(enrolment)

    for of, common_name, written, at in (
        (other, "VIN1", serial, NOON),
        (tenant, "VIN2", serial, NOON),
        (tenant, "VIN1", "1", NOON),
        (tenant, "VIN1", "", NOON),
        (tenant, "VIN1", serial, enrolment.certificate_expires_at),
    ):
        with pytest.raises(CredentialInvalidError):
            operations.identify_certificate(of, serial=written, common_name=common_name, at=at)


@pytest.mark.django_db
def test_a_token_is_no_serial_number_and_a_serial_number_no_token():
    tenant = make_tenant_with_authority()
    enrol(tenant, csr=make_csr())
    token = Credential.objects.get(kind="token")

    with pytest.raises(CredentialInvalidError):
        operations.identify_certificate(tenant, serial=token.fingerprint, common_name="VIN1", at=NOON)


@pytest.mark.django_db
def test_what_is_renewed_serves_until_its_own_end_while_the_new_was_never_used():
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())

    new = renew(tenant, old, csr=make_csr())

    assert new.token_expires_at == LATER + timedelta(days=365)
    last = timedelta(seconds=1)
    assert has_live_certificate(tenant, old, at=old.certificate_expires_at - last)
    assert is_live(tenant, old, at=old.token_expires_at - last)
    assert not has_live_certificate(tenant, old, at=old.certificate_expires_at)
    assert not is_live(tenant, old, at=old.token_expires_at)


@pytest.mark.django_db
@pytest.mark.parametrize("use", [is_live, has_live_certificate])
def test_the_first_use_of_a_new_credential_ends_all_that_it_was_given_for(use):
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())
    new = renew(tenant, old, csr=make_csr())

    assert use(tenant, new)

    assert not is_live(tenant, old)
    assert not has_live_certificate(tenant, old)
    assert is_live(tenant, new)
    assert has_live_certificate(tenant, new)


@pytest.mark.django_db
def test_a_stolen_token_neither_identifies_nor_renews_once_the_new_one_was_used():
    tenant = make_tenant()
    stolen = enrol(tenant)
    new = renew(tenant, stolen)
    assert is_live(tenant, stolen)
    assert is_live(tenant, new, at=LATER + DAY)
    before = list(Credential.objects.values())

    with pytest.raises(CredentialInvalidError):
        renew(tenant, stolen, at=LATER + DAY)

    assert list(Credential.objects.values()) == before
    assert is_live(tenant, new, at=LATER + DAY)


@pytest.mark.django_db
def test_a_vehicle_that_lost_every_answer_asks_again_for_as_long_as_its_token_lasts():
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())
    lost = [renew(tenant, old, csr=make_csr(), at=LATER + day * DAY) for day in range(5)]

    last = renew(tenant, old, csr=make_csr(), at=LATER + 5 * DAY)

    assert Credential.objects.count() == 4
    for answer in lost:
        assert not is_live(tenant, answer, at=LATER + 5 * DAY)
        assert not has_live_certificate(tenant, answer, at=LATER + 5 * DAY)
    assert is_live(tenant, old, at=LATER + 5 * DAY)
    assert is_live(tenant, last, at=LATER + 5 * DAY)


@pytest.mark.django_db
def test_renewal_of_the_token_alone_leaves_the_certificate_as_it_was():
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())

    new = renew(tenant, old)

    assert (new.certificate, new.authority) == (None, None)
    assert is_live(tenant, new)
    assert not is_live(tenant, old)
    assert Credential.objects.get(kind="certificate").expires_at == old.certificate_expires_at
    assert has_live_certificate(tenant, old, at=old.certificate_expires_at - timedelta(seconds=1))


@pytest.mark.django_db
def test_a_certificate_older_than_its_token_ends_with_the_next_one():
    tenant = make_tenant_with_authority()
    first = enrol(tenant, csr=make_csr())
    second = renew(tenant, first)
    third = renew(tenant, second, csr=make_csr(), at=LATER + DAY)
    assert has_live_certificate(tenant, first, at=LATER + DAY)

    assert is_live(tenant, third, at=LATER + DAY)

    assert not has_live_certificate(tenant, first, at=LATER + DAY)


@pytest.mark.django_db
def test_using_a_new_credential_never_lengthens_an_ended_one():
    tenant = make_tenant()
    first = enrol(tenant)
    second = renew(tenant, first)
    assert is_live(tenant, second)
    third = renew(tenant, second)

    assert is_live(tenant, third, at=LATER + DAY)

    assert sorted(Credential.objects.values_list("expires_at", flat=True)) == [LATER + DAY, third.token_expires_at]


@pytest.mark.django_db
def test_renewal_clears_away_credentials_that_have_ended():
    tenant = make_tenant()
    enrolment = enrol(tenant)
    for day in range(5):
        enrolment = renew(tenant, enrolment, at=LATER + day * DAY)

    assert Credential.objects.count() == 2


@pytest.mark.django_db
def test_what_was_never_used_cannot_be_renewed():
    vehicle = enrol(make_tenant()).vehicle
    before = list(Credential.objects.values())

    with pytest.raises(CredentialInvalidError):
        operations.renew(vehicle, certificate_request=None, at=LATER)

    assert list(Credential.objects.values()) == before


@pytest.mark.django_db
def test_a_refused_certificate_request_renews_nothing():
    vehicle = enrol(make_tenant()).vehicle
    before = list(Credential.objects.values())

    with pytest.raises(CertificateRequestRefusedError):
        operations.renew(vehicle, certificate_request="nonsense", at=LATER)

    assert list(Credential.objects.values()) == before


@pytest.mark.django_db
def test_revocation_ends_everything_at_once_and_is_audited_once():
    tenant = make_tenant_with_authority()
    enrolment = enrol(tenant, csr=make_csr())

    assert operations.revoke_credentials(enrolment.vehicle, by="alice", at=LATER) == 2
    assert operations.revoke_credentials(enrolment.vehicle, by="alice", at=LATER) == 0

    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, enrolment.token, at=LATER)
    with pytest.raises(CredentialInvalidError):
        operations.identify_certificate(tenant, serial=serial_of(enrolment), common_name="VIN1", at=LATER)
    with pytest.raises(CredentialInvalidError):
        operations.renew(enrolment.vehicle, certificate_request=None, at=LATER)
    entry = Entry.objects.get()
    assert (entry.action, entry.actor, entry.details) == ("vehicle.credentials_revoked", "alice", {"count": 2})


def test_a_renewal_at_the_moment_of_a_revocation_leaves_no_live_credential(at_once):
    for number in range(5):
        tenant = make_tenant()
        enrolment = enrol(tenant, f"VIN{number}")
        vehicle = operations.identify_token(tenant, enrolment.token, at=NOON).vehicle

        at_once(
            lambda vehicle=vehicle: operations.renew(vehicle, certificate_request=None, at=LATER),
            lambda vehicle=vehicle: operations.revoke_credentials(vehicle, by="alice", at=LATER),
        )

        assert not Credential.objects.filter(vehicle=vehicle, revoked_at=None, expires_at__gt=LATER).exists()


def test_a_first_use_at_the_moment_of_another_renewal_leaves_the_vehicle_one_way_in(at_once):
    for number in range(5):
        tenant = make_tenant()
        old = enrol(tenant, f"VIN{number}")
        new = renew(tenant, old)

        newer, was_used = at_once(
            lambda tenant=tenant, old=old: renew(tenant, old),
            lambda tenant=tenant, new=new: is_live(tenant, new),
        )

        # Replaced before its use, or used before the other was asked for, or between the two steps of asking.
        assert was_used or not isinstance(newer, CredentialInvalidError)
        assert is_live(tenant, new) == was_used
        assert is_live(tenant, old) == (not was_used)


def test_a_first_use_twice_at_once_is_one(at_once):
    tenant = make_tenant()
    old = enrol(tenant)
    new = renew(tenant, old)

    assert at_once(*[lambda: is_live(tenant, new)] * 3) == [True] * 3

    assert not is_live(tenant, old)
    assert Credential.objects.filter(revoked_at=None, expires_at__gt=LATER).count() == 1
