import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import (
    CredentialInvalidError,
    ProvisioningLifetimeRefusedError,
    ProvisioningNameRefusedError,
    ProvisioningNameTakenError,
    ProvisioningRefusedError,
    ProvisioningUnavailableError,
    ReasonMissingError,
    VehicleIdRefusedError,
)
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.provisioning_models import ProvisioningCredential, ProvisioningPermit
from tests.factories import NOON, make_tenant, make_vehicle
from tests.fleet import provisioned
from tests.fleet.enrolments import enrol, make_ecu

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)


@pytest.fixture
def server_ca(settings, tmp_path):
    return provisioned.write_server_ca(settings, tmp_path)


@pytest.fixture
def tenant(server_ca):
    return make_tenant("acme")


@pytest.fixture
def provisioner(tenant):
    return provisioned.issue(tenant).credential


def serial_of(packed):
    return f"{provisioned.opened(packed).cert.certificate.serial_number:X}"


def name_of(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def identified(tenant, packed, vehicle_id="VIN1", at=NOON):
    return operations.identify_certificate(tenant, serial=serial_of(packed), common_name=vehicle_id, at=at).vehicle


def provision(provisioner, vehicle_id="VIN1", *, lifetime=YEAR, at=NOON):
    return operations.provision(provisioner, vehicle_id, lifetime=lifetime, at=at)


def test_a_shared_credential_holds_the_address_a_key_its_certificate_and_the_servers_ca(tenant, server_ca):
    issued = provisioned.issue(tenant, days=30)

    address, packed = provisioned.unpacked(issued.archive)
    found = provisioned.opened(packed)
    assert address == provisioned.ADDRESS
    assert found.key.public_key() == found.cert.certificate.public_key()
    assert name_of(found.cert.certificate) == "provisioning line-1"
    authority = x509.load_pem_x509_certificate(tenant.fleet_authority.certificate_pem.encode())
    found.cert.certificate.verify_directly_issued_by(authority)
    (along,) = found.additional_certs
    assert along.certificate.public_bytes(Encoding.PEM).decode() == server_ca
    row = ProvisioningCredential.objects.get()
    assert (row.fingerprint, row.expires_at) == (serial_of(packed).lower(), NOON + timedelta(days=30))
    assert list(Entry.objects.values_list("action", "subject", "actor")) == [
        ("provisioning_credential.issued", "line-1", "alice")
    ]


def test_openssl_reads_it_with_an_empty_password(tenant, tmp_path):
    _, packed = provisioned.unpacked(provisioned.issue(tenant).archive)
    (tmp_path / "it.p12").write_bytes(packed)

    command = ["openssl", "pkcs12", "-in", str(tmp_path / "it.p12"), "-passin", "pass:", "-nodes"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert shown.count("BEGIN CERTIFICATE") == 2
    assert shown.count("BEGIN PRIVATE KEY") == 1


@pytest.mark.parametrize("name", ["", "Line 1", "line_1", "x" * 41])
def test_a_name_has_a_form(tenant, name):
    with pytest.raises(ProvisioningNameRefusedError):
        provisioned.issue(tenant, name)

    assert not ProvisioningCredential.objects.exists()


@pytest.mark.parametrize("address", ["", "ota.example", "ftp://ota.example", "https://ota.example/a b"])
def test_an_address_is_one_of_http(tenant, address):
    operations.create_fleet_authority(tenant, at=NOON)
    with pytest.raises(ProvisioningNameRefusedError):
        operations.issue_provisioning_credential(
            tenant, name="line-1", address=address, valid_for=YEAR, by="alice", at=NOON
        )

    assert not ProvisioningCredential.objects.exists()


@pytest.mark.parametrize("days", [0, -1, 3 * 366 + 1])
def test_no_shared_credential_lives_for_ever(tenant, days):
    with pytest.raises(ProvisioningLifetimeRefusedError):
        provisioned.issue(tenant, days=days)

    assert not ProvisioningCredential.objects.exists()


def test_a_name_stands_for_one_credential_of_a_tenant(tenant, provisioner):
    provisioned.issue(make_tenant("other"))

    with pytest.raises(ProvisioningNameTakenError):
        provisioned.issue(tenant)

    assert ProvisioningCredential.objects.count() == 2


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_without_the_servers_own_ca_nothing_is_issued(tenant, settings, tmp_path, content):
    settings.SERVER_CA = ""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
        settings.SERVER_CA = str(tmp_path / "ca.pem")

    with pytest.raises(ProvisioningUnavailableError, match="OTA_SERVER_CA"):
        provisioned.issue(tenant)

    assert not ProvisioningCredential.objects.exists()


def test_without_a_fleet_ca_nothing_is_issued(tenant):
    with pytest.raises(ProvisioningUnavailableError, match="no fleet CA"):
        operations.issue_provisioning_credential(
            tenant, name="line-1", address=provisioned.ADDRESS, valid_for=YEAR, by="alice", at=NOON
        )


def test_a_shared_credential_is_known_by_serial_number_and_name(tenant, provisioner):
    serial = provisioner.fingerprint.upper()

    found = operations.identify_provisioner(tenant, serial=serial, common_name="provisioning line-1", at=NOON)

    assert found == provisioner


@pytest.mark.parametrize(
    "changes", [{"serial": "1234"}, {"serial": ""}, {"common_name": "line-1"}, {"at": NOON + YEAR}]
)
def test_another_or_an_expired_one_is_nobody(tenant, provisioner, changes):
    values = {"serial": provisioner.fingerprint, "common_name": "provisioning line-1", "at": NOON} | changes

    with pytest.raises(CredentialInvalidError):
        operations.identify_provisioner(tenant, **values)


def test_a_revoked_one_or_another_tenants_is_nobody(tenant, provisioner):
    values = {"serial": provisioner.fingerprint, "common_name": "provisioning line-1", "at": NOON}
    with pytest.raises(CredentialInvalidError):
        operations.identify_provisioner(make_tenant("other"), **values)
    operations.revoke_provisioning_credential(provisioner, by="alice", at=NOON)
    operations.revoke_provisioning_credential(provisioner, by="bob", at=NOON + YEAR)

    with pytest.raises(CredentialInvalidError):
        operations.identify_provisioner(tenant, **values)

    assert ProvisioningCredential.objects.get().revoked_at == NOON
    assert Entry.objects.filter(action="provisioning_credential.revoked").count() == 1


def test_neither_kind_of_certificate_passes_for_the_other(tenant, provisioner):
    given = provision(provisioner)

    with pytest.raises(CredentialInvalidError):
        operations.identify_certificate(
            tenant, serial=provisioner.fingerprint, common_name="provisioning line-1", at=NOON
        )
    with pytest.raises(CredentialInvalidError):
        operations.identify_provisioner(tenant, serial=serial_of(given.pkcs12), common_name="VIN1", at=NOON)


def test_a_new_vehicle_gets_a_certificate_of_its_own_that_lives_as_long_as_it_asks(tenant, provisioner, server_ca):
    given = provision(provisioner, lifetime=timedelta(days=3000))

    found = provisioned.opened(given.pkcs12)
    assert name_of(found.cert.certificate) == "VIN1"
    assert found.additional_certs[0].certificate.public_bytes(Encoding.PEM).decode() == server_ca
    assert identified(tenant, given.pkcs12) == given.vehicle == Vehicle.objects.get()
    assert (given.vehicle.protocol, given.vehicle.enrolled_at) == ("aktualizr", None)
    assert Credential.objects.get().expires_at == NOON + timedelta(days=3000)


def test_no_certificate_outlives_the_fleet_ca(tenant, provisioner):
    provision(provisioner, lifetime=timedelta(days=36000))

    authority = x509.load_pem_x509_certificate(tenant.fleet_authority.certificate_pem.encode())
    assert Credential.objects.get().expires_at == authority.not_valid_after_utc


def test_a_vehicle_that_was_only_announced_is_provisioned(tenant, provisioner):
    operations.create_vehicles(tenant, ["VIN1"], at=NOON)

    assert provision(provisioner).vehicle == Vehicle.objects.get()


def test_a_name_that_no_vehicle_can_have_is_refused(provisioner):
    with pytest.raises(VehicleIdRefusedError):
        provision(provisioner, "../VIN1")

    assert not Vehicle.objects.exists()


def test_an_answer_that_was_lost_is_given_again_within_the_hour(tenant, provisioner):
    first = provision(provisioner)
    second = provision(provisioner, at=NOON + timedelta(hours=1))

    with pytest.raises(CredentialInvalidError):
        identified(tenant, first.pkcs12, at=NOON + timedelta(hours=1))
    assert identified(tenant, second.pkcs12, at=NOON + timedelta(hours=1)) == second.vehicle


def test_a_certificate_that_waits_in_a_vehicle_is_not_replaced_later(tenant, provisioner):
    first = provision(provisioner)

    with pytest.raises(ProvisioningRefusedError):
        provision(provisioner, at=NOON + timedelta(hours=1, seconds=1))

    assert identified(tenant, first.pkcs12) == first.vehicle


def test_whoever_holds_a_shared_credential_takes_no_vehicle_over(tenant, provisioner):
    first = provision(provisioner)
    identified(tenant, first.pkcs12)

    with pytest.raises(ProvisioningRefusedError):
        provision(provisioner)

    assert identified(tenant, first.pkcs12) == first.vehicle
    assert Credential.objects.count() == 1


def test_a_vehicle_of_another_protocol_is_not_taken_over_even_before_it_was_seen(tenant, provisioner):
    enrolled = enrol(tenant)
    make_vehicle(tenant, "VIN2")

    for vehicle_id in ("VIN1", "VIN2"):
        with pytest.raises(ProvisioningRefusedError):
            provision(provisioner, vehicle_id)

    assert operations.identify_token(tenant, enrolled.token, at=NOON).vehicle.protocol == "uptane"


@pytest.mark.parametrize("end", ["revoke", "expire"])
def test_a_vehicle_whose_certificate_ended_needs_a_permit(tenant, provisioner, end):
    given = provision(provisioner, lifetime=timedelta(days=30))
    identified(tenant, given.pkcs12)
    if end == "revoke":
        operations.revoke_credentials(given.vehicle, by="alice", at=NOON)

    with pytest.raises(ProvisioningRefusedError):
        provision(provisioner, at=NOON + timedelta(days=31))


def test_with_a_permit_a_vehicle_is_provisioned_once_more_and_what_it_had_ends(tenant, provisioner):
    first = provision(provisioner)
    identified(tenant, first.pkcs12)
    operations.permit_provisioning(first.vehicle, reason="New disk.", by="alice", at=NOON)

    second = provision(provisioner)

    with pytest.raises(CredentialInvalidError):
        identified(tenant, first.pkcs12)
    assert identified(tenant, second.pkcs12) == first.vehicle == Vehicle.objects.get()
    with pytest.raises(ProvisioningRefusedError):
        provision(provisioner)
    entries = Entry.objects.filter(subject__contains="VIN1").order_by("number").values_list("action", "actor")
    assert list(entries) == [
        ("vehicle.provisioning_permitted", "alice"),
        ("vehicle.provisioned_again", "provisioning:line-1"),
    ]


def test_a_lost_answer_costs_no_second_permit(tenant, provisioner):
    first = provision(provisioner)
    identified(tenant, first.pkcs12)
    operations.permit_provisioning(first.vehicle, reason="New disk.", by="alice", at=NOON)
    provision(provisioner)

    third = provision(provisioner)

    assert identified(tenant, third.pkcs12) == first.vehicle


def test_a_permit_ends(tenant, provisioner):
    first = provision(provisioner)
    identified(tenant, first.pkcs12)
    operations.permit_provisioning(first.vehicle, reason="New disk.", by="alice", at=NOON)

    with pytest.raises(ProvisioningRefusedError):
        provision(provisioner, at=NOON + timedelta(days=7))


def test_a_permit_needs_a_reason_and_an_end(tenant):
    vehicle = make_vehicle(tenant)

    with pytest.raises(ReasonMissingError):
        operations.permit_provisioning(vehicle, reason=" ", by="alice", at=NOON)
    with pytest.raises(ProvisioningLifetimeRefusedError):
        operations.permit_provisioning(vehicle, reason="x", by="alice", at=NOON, valid_for=timedelta(days=91))

    assert not ProvisioningPermit.objects.exists()


def test_of_two_at_once_one_vehicle_is_made_and_the_last_certificate_counts(at_once, settings, tmp_path):
    provisioned.write_server_ca(settings, tmp_path)
    tenant = make_tenant("acme")
    provisioner = provisioned.issue(tenant).credential

    results = at_once(*[lambda: provision(provisioner)] * 2)

    assert [type(result).__name__ for result in results] == ["ProvisionedVehicle"] * 2
    assert Vehicle.objects.count() == 1
    assert Credential.objects.filter(revoked_at=None).count() == 1


def test_registering_after_provisioning_makes_the_vehicle_enrolled(tenant, provisioner):
    vehicle = provision(provisioner).vehicle

    operations.register_ecus(vehicle, (make_ecu("P1"),), protocol="aktualizr", at=NOON)

    assert Vehicle.objects.get().enrolled_at == NOON
