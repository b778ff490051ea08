from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from django.conf import settings

from otaserver.audit.models import Entry
from otaserver.fleet import operations, queries
from otaserver.fleet.errors import (
    AuthorityInUseError,
    AuthorityMissingError,
    CredentialInvalidError,
    ReasonMissingError,
)
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.models import FleetAuthority
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import enrol, make_csr

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=100)


@pytest.fixture
def tenant():
    tenant = make_tenant("acme")
    operations.create_fleet_authority(tenant, at=NOON)
    return tenant


def rotate(tenant, at=LATER):
    return operations.rotate_fleet_authority(tenant, reason="Every few years.", by="ann", at=at)


def issuer_of(enrolment):
    certificate = x509.load_pem_x509_certificate(enrolment.certificate.encode())
    authorities = {row.certificate_pem: row for row in [*FleetAuthority.objects.all(), *RetiredAuthority.objects.all()]}
    for pem, row in authorities.items():
        try:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pem.encode()))
        except Exception:
            continue
        return row
    return None


def show(enrolment, at):
    serial = f"{x509.load_pem_x509_certificate(enrolment.certificate.encode()).serial_number:x}"
    return operations.identify_certificate(
        enrolment.vehicle.tenant, serial=serial, common_name=enrolment.vehicle.vehicle_id, at=at
    ).vehicle


def test_a_new_ca_issues_and_the_old_one_is_trusted_beside_it(tenant):
    old = FleetAuthority.objects.get()
    before = enrol(tenant, csr=make_csr())

    new = rotate(tenant)
    operations.identify_token(tenant, before.token, at=LATER)
    renewed = operations.renew(before.vehicle, certificate_request=make_csr(), at=LATER)

    assert (issuer_of(before), issuer_of(renewed)) == (RetiredAuthority.objects.get(), new)
    assert renewed.authority == new.certificate_pem != old.certificate_pem
    assert queries.authority_certificates(at=LATER) == new.certificate_pem + old.certificate_pem
    assert show(before, LATER) == before.vehicle
    assert len(list(Path(settings.ONLINE_KEYS).glob("fleet-ca-acme-*"))) == 2
    assert Entry.objects.get(action="fleet_authority.rotated").details == {"reason": "Every few years."}


def test_a_retired_ca_that_vehicles_still_have_certificates_of_is_kept(tenant):
    enrolment = enrol(tenant, csr=make_csr())
    rotate(tenant)
    retired = RetiredAuthority.objects.get()

    with pytest.raises(AuthorityInUseError, match="1 vehicles' certificates"):
        operations.end_retired_authority(retired, reason="Done.", by="ann", at=LATER)

    assert RetiredAuthority.objects.get().ended_at is None
    assert show(enrolment, LATER) == enrolment.vehicle


def test_it_ends_by_itself_when_all_have_renewed(tenant):
    enrolment = enrol(tenant, csr=make_csr())
    operations.identify_token(tenant, enrolment.token, at=NOON)
    rotate(tenant)
    soon = LATER + timedelta(hours=1)
    renewed = operations.renew(enrolment.vehicle, certificate_request=make_csr(), at=soon)
    show(renewed, soon)
    retired = RetiredAuthority.objects.get()

    assert operations.end_retired_authority(retired, reason="Done.", by="ann", at=LATER + timedelta(days=1)) == 0

    assert queries.authority_certificates(at=LATER) == FleetAuthority.objects.get().certificate_pem
    assert operations.end_retired_authority(retired, reason="Done.", by="ann", at=LATER + timedelta(days=2)) == 0
    assert Entry.objects.filter(action="fleet_authority.ended").count() == 1


def test_ended_with_its_certificates_those_are_refused_by_the_server_as_well(tenant):
    enrolment = enrol(tenant, csr=make_csr())
    other = enrol(tenant, "VIN2")
    rotate(tenant)

    ended = operations.end_retired_authority(
        RetiredAuthority.objects.get(), reason="Its key leaked.", by="ann", at=LATER, ends_certificates=True
    )

    assert ended == 1
    with pytest.raises(CredentialInvalidError):
        show(enrolment, LATER)
    assert operations.identify_token(tenant, other.token, at=LATER).vehicle == other.vehicle


def test_certificates_of_the_new_ca_do_not_end_with_the_old_one(tenant):
    rotate(tenant)
    later = enrol(tenant, csr=make_csr(), at=LATER + timedelta(hours=1))

    ended = operations.end_retired_authority(RetiredAuthority.objects.get(), reason="Done.", by="ann", at=LATER)

    assert ended == 0
    assert show(later, LATER + timedelta(hours=2)) == later.vehicle


def test_a_rotation_needs_a_reason_and_a_ca(tenant):
    with pytest.raises(ReasonMissingError):
        operations.rotate_fleet_authority(tenant, reason=" ", by="ann", at=LATER)
    with pytest.raises(AuthorityMissingError):
        operations.rotate_fleet_authority(make_tenant("bare"), reason="Why not.", by="ann", at=LATER)

    assert (RetiredAuthority.objects.count(), FleetAuthority.objects.count()) == (0, 1)
