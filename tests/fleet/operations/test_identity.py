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


def make_tenant_with_authority():
    tenant = make_tenant()
    operations.create_fleet_authority(tenant, at=NOON)
    return tenant


@pytest.mark.django_db
def test_a_token_identifies_until_it_expires():
    tenant = make_tenant()
    enrolment = enrol(tenant)

    last = enrolment.token_expires_at
    assert operations.identify_token(tenant, enrolment.token, at=last - timedelta(seconds=1)) == enrolment.vehicle
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
def test_identifying_costs_one_query(django_assert_num_queries):
    tenant = make_tenant()
    token = enrol(tenant).token

    with django_assert_num_queries(1):
        assert operations.identify_token(tenant, token, at=NOON).tenant.name == tenant.name


@pytest.mark.django_db
def test_a_blocked_vehicle_is_still_identified():
    tenant = make_tenant()
    enrolment = enrol(tenant)
    operations.block_vehicle(enrolment.vehicle, reason="stolen", by="alice", at=NOON)

    assert operations.identify_token(tenant, enrolment.token, at=NOON).blocked_at == NOON


@pytest.mark.django_db
def test_a_certificate_identifies_however_a_proxy_writes_its_serial_number():
    tenant = make_tenant_with_authority()
    enrolment = enrol(tenant, csr=make_csr())
    serial = serial_of(enrolment)
    padded = serial.zfill(len(serial) + len(serial) % 2).upper()
    colons = ":".join(padded[index : index + 2] for index in range(0, len(padded), 2))

    for written in (serial, serial.upper(), f"00{padded}", colons):
        vehicle = operations.identify_certificate(tenant, serial=written, common_name="vin1", at=NOON)
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
def test_renewal_gives_new_credentials_and_leaves_the_old_ones_a_day():
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())

    new = operations.renew(old.vehicle, certificate_request=make_csr(), at=LATER)

    assert new.token_expires_at == LATER + timedelta(days=365)
    for enrolment in (old, new):
        assert operations.identify_token(tenant, enrolment.token, at=LATER + DAY - timedelta(seconds=1))
        assert operations.identify_certificate(tenant, serial=serial_of(enrolment), common_name="VIN1", at=LATER)
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, old.token, at=LATER + DAY)
    with pytest.raises(CredentialInvalidError):
        operations.identify_certificate(tenant, serial=serial_of(old), common_name="VIN1", at=LATER + DAY)
    assert operations.identify_token(tenant, new.token, at=LATER + DAY)


@pytest.mark.django_db
def test_renewal_of_the_token_alone_leaves_the_certificate_as_it_was():
    tenant = make_tenant_with_authority()
    old = enrol(tenant, csr=make_csr())

    new = operations.renew(old.vehicle, certificate_request=None, at=LATER)

    assert (new.certificate, new.authority) == (None, None)
    assert Credential.objects.get(kind="certificate").expires_at == old.certificate_expires_at


@pytest.mark.django_db
def test_renewing_again_never_lengthens_an_old_credential():
    tenant = make_tenant()
    old = enrol(tenant)
    operations.renew(old.vehicle, certificate_request=None, at=LATER)

    operations.renew(old.vehicle, certificate_request=None, at=LATER + timedelta(hours=12))

    ends = sorted(Credential.objects.values_list("expires_at", flat=True))
    assert ends == [LATER + DAY, LATER + timedelta(hours=36), LATER + timedelta(hours=12, days=365)]


@pytest.mark.django_db
def test_renewal_clears_away_credentials_that_have_ended():
    tenant = make_tenant()
    vehicle = enrol(tenant).vehicle
    for day in range(0, 10, 2):
        operations.renew(vehicle, certificate_request=None, at=LATER + day * DAY)

    assert Credential.objects.count() == 2


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
        vehicle = enrol(make_tenant(), f"VIN{number}").vehicle

        at_once(
            lambda vehicle=vehicle: operations.renew(vehicle, certificate_request=None, at=LATER),
            lambda vehicle=vehicle: operations.revoke_credentials(vehicle, by="alice", at=LATER),
        )

        assert not Credential.objects.filter(vehicle=vehicle, revoked_at=None, expires_at__gt=LATER).exists()
