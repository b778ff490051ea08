from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from otaserver.fleet.credentials.certificates import Authority
from otaserver.fleet.credentials.servers import (
    LIFETIME,
    RENEWED_BEFORE,
    is_good,
    issue_server_certificate,
    make_server_authority,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = ["localhost", "127.0.0.1", "[::1]"]


@pytest.fixture(scope="module")
def authority():
    return make_server_authority(at=NOON)


@pytest.fixture(scope="module")
def made(authority):
    return issue_server_certificate(authority, NAMES, at=NOON)


def test_a_servers_certificate_is_for_its_names_and_for_servers_alone(authority, made):
    certificate = x509.load_pem_x509_certificate(made.certificate_pem.encode())

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert [usage.dotted_string for usage in usages] == ["1.3.6.1.5.5.7.3.1"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem.encode()))


def test_a_certificate_stays_until_it_is_old_or_the_names_are_others(authority, made):
    old = NOON + LIFETIME - RENEWED_BEFORE

    assert is_good(made, authority, NAMES, at=NOON)
    assert is_good(made, authority, NAMES, at=old - timedelta(seconds=1))
    assert not is_good(made, authority, NAMES, at=old)
    assert not is_good(made, authority, [*NAMES, "ota.example.com"], at=NOON)


def test_a_certificate_of_another_ca_or_without_its_key_or_unreadable_is_made_anew(authority, made):
    other = issue_server_certificate(make_server_authority(at=NOON), NAMES, at=NOON)

    assert not is_good(other, authority, NAMES, at=NOON)
    assert not is_good(Authority(made.certificate_pem, other.key_pem), authority, NAMES, at=NOON)
    assert not is_good(Authority("nothing", made.key_pem), authority, NAMES, at=NOON)
    assert not is_good(Authority(made.certificate_pem, b"nothing"), authority, NAMES, at=NOON)
