from datetime import timedelta

import pytest
from cryptography import x509

from otaserver.audit.models import Entry
from otaserver.audit.queries import first_break
from otaserver.fleet import operations
from otaserver.fleet.credentials import keys
from otaserver.fleet.errors import (
    CertificateRequestRefusedError,
    ClaimUsedError,
    CredentialInvalidError,
    EcuKeyRefusedError,
    EcuSerialTakenError,
    EcusRefusedError,
)
from otaserver.fleet.models import ClaimCode, Credential, Ecu, Vehicle
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import ADDRESS, enrol, make_csr, make_ecu, make_key, make_request

LATER = NOON + timedelta(days=1)


@pytest.mark.django_db
def test_an_enrolled_vehicle_has_its_ecus_and_a_token_that_is_stored_as_a_hash():
    tenant = make_tenant(polling_seconds=60)
    primary, secondary = make_ecu("P", "gateway"), make_ecu("S", "engine")

    enrolment = enrol(tenant, "VIN1", primary, secondary)

    vehicle = Vehicle.objects.get()
    assert (vehicle.tenant, vehicle.vehicle_id, vehicle.enrolled_at) == (tenant, "VIN1", NOON)
    assert vehicle.is_manifest_wanted
    rows = vehicle.ecus.order_by("serial").values_list("serial", "hardware_id", "is_primary", "keyid", "public_key")
    assert list(rows) == [
        ("P", "gateway", True, keys.keyid_of(primary.public_key), primary.public_key),
        ("S", "engine", False, keys.keyid_of(secondary.public_key), secondary.public_key),
    ]
    assert operations.identify_token(tenant, enrolment.token, at=NOON).vehicle == enrolment.vehicle == vehicle
    assert enrolment.token not in Credential.objects.get().fingerprint
    assert (enrolment.token_expires_at, enrolment.polling_seconds) == (NOON + timedelta(days=365), 60)
    assert (enrolment.certificate, enrolment.certificate_expires_at, enrolment.authority) == (None, None, None)
    assert not Entry.objects.exists()


@pytest.mark.django_db
def test_a_vehicle_with_a_certificate_request_gets_a_certificate_of_its_tenants_authority():
    tenant = make_tenant()
    authority = operations.create_fleet_authority(tenant, at=NOON)

    enrolment = enrol(tenant, csr=make_csr())

    certificate = x509.load_pem_x509_certificate(enrolment.certificate.encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem.encode()))
    assert (enrolment.authority, enrolment.certificate_expires_at) == (
        authority.certificate_pem,
        NOON + timedelta(days=825),
    )
    vehicle = operations.identify_certificate(
        tenant, serial=f"{certificate.serial_number:X}", common_name="VIN1", at=NOON
    ).vehicle
    assert vehicle == enrolment.vehicle


@pytest.mark.django_db
def test_where_the_tenant_has_no_authority_a_certificate_request_is_checked_and_not_answered():
    enrolment = enrol(make_tenant(), csr=make_csr())

    assert (enrolment.certificate, enrolment.authority) == (None, None)
    assert [credential.kind for credential in Credential.objects.all()] == ["token"]


@pytest.mark.django_db
def test_a_refused_request_uses_nothing_up_and_stores_nothing():
    tenant = make_tenant()
    code = operations.create_claim_code(tenant, "VIN1", at=NOON)
    same = make_key()
    refusals = [
        (EcusRefusedError, make_request(code, "VIN1", make_ecu("S"))),
        (EcusRefusedError, make_request(code, "VIN1", make_ecu("P", key=same), make_ecu("S", key=same))),
        (EcuKeyRefusedError, make_request(code, "VIN1", make_ecu("P", key={"keytype": "ecdsa"}))),
        (CertificateRequestRefusedError, make_request(code, csr="nonsense")),
    ]

    for error, request in refusals:
        with pytest.raises(error):
            operations.enrol(tenant, request, address=ADDRESS, at=NOON)

    assert (Vehicle.objects.count(), Ecu.objects.count(), Credential.objects.count()) == (0, 0, 0)
    assert ClaimCode.objects.get().used_at is None


@pytest.mark.django_db
def test_a_serial_of_another_vehicle_of_the_tenant_is_refused_and_the_code_stays_good():
    tenant = make_tenant()
    enrol(tenant, "VIN1", make_ecu("P1"), make_ecu("SHARED"))
    code = operations.create_claim_code(tenant, "VIN2", at=NOON)

    with pytest.raises(EcuSerialTakenError) as refused:
        request = make_request(code, "VIN2", make_ecu("P2"), make_ecu("SHARED"))
        operations.enrol(tenant, request, address=ADDRESS, at=NOON)

    assert refused.value.details == {"serials": ["SHARED"]}
    assert Vehicle.objects.get().vehicle_id == "VIN1"
    operations.enrol(tenant, make_request(code, "VIN2", make_ecu("P2")), address=ADDRESS, at=NOON)


@pytest.mark.django_db
def test_another_tenant_may_have_the_same_vehicle_ids_and_serials():
    first, second = make_tenant(), make_tenant()
    tokens = [enrol(tenant, "VIN1", make_ecu("P")).token for tenant in (first, second)]

    assert operations.identify_token(first, tokens[0], at=NOON).vehicle.tenant == first
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(first, tokens[1], at=NOON)


@pytest.mark.django_db
def test_a_vehicle_made_known_beforehand_keeps_its_row():
    tenant = make_tenant()
    operations.create_vehicles(tenant, ["VIN1"], at=NOON - timedelta(days=1))

    enrol(tenant, "VIN1")

    vehicle = Vehicle.objects.get()
    assert (vehicle.created_at, vehicle.enrolled_at) == (NOON - timedelta(days=1), NOON)
    assert not Entry.objects.exists()


@pytest.mark.django_db
def test_enrolling_again_replaces_ecus_ends_old_credentials_and_is_audited():
    tenant = make_tenant()
    old = enrol(tenant, "VIN1", make_ecu("P"), make_ecu("GONE"))
    Vehicle.objects.update(confirmed_at=NOON, is_manifest_wanted=False)

    new = enrol(tenant, "VIN1", make_ecu("P"), make_ecu("NEW"), at=LATER)

    assert sorted(Ecu.objects.values_list("serial", flat=True)) == ["NEW", "P"]
    with pytest.raises(CredentialInvalidError):
        operations.identify_token(tenant, old.token, at=LATER)
    assert operations.identify_token(tenant, new.token, at=LATER).vehicle == old.vehicle
    vehicle = Vehicle.objects.get()
    assert (vehicle.enrolled_at, vehicle.confirmed_at, vehicle.is_manifest_wanted) == (LATER, None, True)
    entry = Entry.objects.get()
    assert (entry.action, entry.actor) == ("vehicle.enrolled_again", "vehicle")
    assert entry.details == {"ecus": ["NEW", "P"], "revoked_credentials": 1, "address": ADDRESS}
    assert first_break(tenant) is None


@pytest.mark.django_db
def test_an_ecu_keeps_what_it_proved_only_as_long_as_its_key():
    tenant, kept = make_tenant(), make_key()
    enrol(tenant, "VIN1", make_ecu("P", key=kept), make_ecu("S"))
    Ecu.objects.update(report_counter=7, installed_target="a/b-1", installed_sha256="ab", installed_length=3)

    enrol(tenant, "VIN1", make_ecu("P", "other-hardware", key=kept), make_ecu("S"), at=LATER)

    rows = Ecu.objects.order_by("serial").values_list("serial", "hardware_id", "report_counter", "installed_target")
    assert list(rows) == [("P", "other-hardware", 7, "a/b-1"), ("S", "gateway", 0, "")]


@pytest.mark.django_db
def test_after_a_lost_answer_the_same_code_serves_the_same_ecus_until_a_credential_is_seen():
    tenant = make_tenant()
    code = operations.create_claim_code(tenant, "VIN1", at=NOON)
    request = make_request(code, "VIN1", make_ecu("P"), make_ecu("S"))

    def ask(asked=request, at=LATER):
        return operations.enrol(tenant, asked, address=ADDRESS, at=at)

    lost = ask(at=NOON)
    again = ask()
    last = ask(at=LATER + timedelta(hours=1))

    for token in (lost.token, again.token):
        with pytest.raises(CredentialInvalidError):
            operations.identify_token(tenant, token, at=LATER)
    # Somebody else who has seen the code cannot put other ECUs in their place.
    with pytest.raises(ClaimUsedError):
        ask(make_request(code, "VIN1", make_ecu("P"), make_ecu("S")))
    operations.identify_token(tenant, last.token, at=LATER + timedelta(hours=1))
    with pytest.raises(ClaimUsedError):
        ask(at=LATER + timedelta(hours=2))
    assert Vehicle.objects.get().ecus.count() == 2


@pytest.mark.django_db
def test_a_code_does_not_serve_again_after_its_credentials_were_revoked_or_another_code_was_used():
    tenant = make_tenant()
    code, other = (operations.create_claim_code(tenant, "VIN1", at=NOON) for _ in range(2))
    ecu = make_ecu("P")
    vehicle = operations.enrol(tenant, make_request(code, "VIN1", ecu), address=ADDRESS, at=NOON).vehicle
    operations.revoke_credentials(vehicle, by="alice", at=NOON)
    with pytest.raises(ClaimUsedError):
        operations.enrol(tenant, make_request(code, "VIN1", ecu), address=ADDRESS, at=LATER)

    operations.enrol(tenant, make_request(other, "VIN1", ecu), address=ADDRESS, at=LATER)

    with pytest.raises(ClaimUsedError):
        operations.enrol(tenant, make_request(code, "VIN1", ecu), address=ADDRESS, at=LATER)


@pytest.mark.django_db
def test_enrolling_again_does_not_unblock():
    tenant = make_tenant()
    vehicle = enrol(tenant).vehicle
    operations.block_vehicle(vehicle, reason="stolen", by="alice", at=NOON)

    enrol(tenant, at=LATER)

    assert Vehicle.objects.get().blocked_at == NOON


def test_of_two_enrolments_with_one_code_at_once_exactly_one_wins(at_once):
    tenant = make_tenant()
    for number in range(5):
        vehicle_id = f"VIN{number}"
        code = operations.create_claim_code(tenant, vehicle_id, at=NOON)

        def one(code=code, vehicle_id=vehicle_id):
            return operations.enrol(tenant, make_request(code, vehicle_id), address=ADDRESS, at=NOON)

        results = at_once(one, one, one)

        assert [type(result) for result in results if isinstance(result, Exception)] == [ClaimUsedError] * 2
    assert Credential.objects.count() == Vehicle.objects.count() == Ecu.objects.count() == 5


def test_of_two_vehicles_that_claim_one_serial_at_once_exactly_one_gets_it(at_once):
    tenant = make_tenant()
    for number in range(5):
        ids = [f"VIN{number}A", f"VIN{number}B"]
        codes = operations.create_claim_codes(tenant, ids, at=NOON)

        def enrolling(vehicle_id, code, serial):
            request = make_request(code, vehicle_id, make_ecu(serial, is_primary=True))
            return lambda: operations.enrol(tenant, request, address=ADDRESS, at=NOON)

        results = at_once(*(enrolling(vehicle_id, code, f"P{number}") for vehicle_id, code in codes.items()))

        assert [type(result) for result in results if isinstance(result, Exception)] == [EcuSerialTakenError]
        assert Ecu.objects.filter(serial=f"P{number}").count() == 1
    assert ClaimCode.objects.filter(used_at=None).count() == 5


def test_two_codes_for_one_vehicle_at_once_leave_one_vehicle_with_one_live_token(at_once):
    tenant = make_tenant()
    first, second = (operations.create_claim_code(tenant, "VIN1", at=NOON) for _ in range(2))

    results = at_once(
        *(
            lambda code=code: operations.enrol(tenant, make_request(code), address=ADDRESS, at=NOON)
            for code in (first, second)
        )
    )

    assert {result.vehicle for result in results} == {Vehicle.objects.get()}
    assert Credential.objects.filter(revoked_at=None).count() == 1
    assert Entry.objects.get().action == "vehicle.enrolled_again"
