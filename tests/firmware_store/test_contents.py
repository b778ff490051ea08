"""A package's file is read when it is published, and held against the tenant's keys."""

import pytest

from firmware_store import operations, queries
from firmware_store.errors import (
    ContentsHardwareError,
    ContentsUnsignedError,
    ContentsVersionError,
    VerificationKeyExistsError,
    VerificationKeyRefusedError,
    VerificationKeyRetiredError,
)
from firmware_store.formats.errors import FormatMalformedError, PayloadMismatchError
from firmware_store.models import Package, RoleMetadata, VerificationKey
from firmware_store.states import PackageState
from firmware_store.trust.errors import MetadataStaleError, PayloadKeyRefusedError, PayloadSignatureError
from otaserver.audit.models import Entry
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony, target_entry
from tests.firmware_store.formats.builders import Identity, mender, sha256, sw_description, swu

pytestmark = pytest.mark.django_db
SIGNER, OTHER = Identity(), Identity("other")


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant()).establish()


def publish(ceremony, content, version="1.1", filename="gateway.swu", **fields):
    return ceremony.publish(content, "gateway", version, filename=filename, **fields)


def refused(error, ceremony, content, **fields):
    """It raises, the package says why, and no metadata has changed."""
    before = RoleMetadata.objects.count()
    with pytest.raises(error):
        publish(ceremony, content, **fields)
    row = Package.objects.latest("pk")
    assert (row.state, row.refused_code, row.contents) == (PackageState.REFUSED, error.code, {})
    assert RoleMetadata.objects.count() == before
    assert Entry.objects.latest("number").details == {"code": error.code}


def add_key(ceremony, name="releases", pem=SIGNER.pem, **fields):
    values = {"format": "swu", "hardware_id": ""} | fields
    return operations.add_verification_key(ceremony.tenant, name=name, pem=pem, by="alice", at=NOON, **values)


def test_what_is_in_a_package_is_stored_with_it(ceremony):
    package = publish(ceremony, swu(signer=SIGNER))

    row = Package.objects.get()
    assert row.contents == package.contents
    assert (row.contents["format"], row.contents["version"]) == ("swu", "1.1")
    assert (row.contents["keys"], row.contents["verified_by"]) == ([], [])
    assert row.contents["signers"][0]["subject"] == "CN=signer"
    assert queries.package_contents(row).hardware == ("1.0", "1.2")


def test_a_mender_artifact_is_known_by_its_own_words(ceremony):
    publish(ceremony, mender(), filename="x.mender")

    details = queries.package_contents(Package.objects.get()).details
    assert (details["artifact_name"], details["device_types"]) == ("gateway-1.1", ["gateway"])


def test_a_plain_file_stays_plain(ceremony):
    publish(ceremony, b"firmware", filename="gateway.bin")

    assert queries.package_contents(Package.objects.get()).format == "plain"


def test_a_package_that_was_never_read_counts_as_plain():
    assert queries.package_contents(Package()).format == "plain"


@pytest.mark.parametrize(
    ("error", "content", "fields"),
    [
        (FormatMalformedError, b"070701 but no archive" * 10, {}),
        (PayloadMismatchError, swu(image=b"others"), {}),
        (ContentsVersionError, swu(), {"version": "1.2"}),
        (ContentsHardwareError, swu(), {"hardware_ids": ["gateway:3.0"]}),
        (ContentsHardwareError, mender(), {"filename": "x.mender", "hardware_ids": ["brake"]}),
    ],
    ids=["no archive", "another payload", "another version", "hardware revision", "device type"],
)
def test_what_its_client_would_refuse_is_not_published(ceremony, error, content, fields):
    refused(error, ceremony, content, **fields)


def test_old_content_goes_back_out_under_a_new_version(ceremony):
    publish(ceremony, swu())

    again = publish(ceremony, swu(), "1.1-again")

    assert again.state == PackageState.PUBLISHED
    assert again.contents["version"] == "1.1"


def test_content_of_another_package_or_tenant_has_to_state_its_version(ceremony):
    publish(Ceremony(make_tenant()).establish(), swu())
    ceremony.publish(swu(), "brake", "1.1", filename="x.swu")

    refused(ContentsVersionError, ceremony, swu(), version="1.1-again")


def test_where_a_key_is_configured_the_signature_has_to_hold(ceremony):
    add_key(ceremony)

    refused(ContentsUnsignedError, ceremony, swu())
    refused(PayloadSignatureError, ceremony, swu(signer=OTHER))
    assert publish(ceremony, swu(signer=SIGNER)).contents["verified_by"] == ["releases"]


def test_a_key_is_for_one_format_and_one_tenant(ceremony):
    add_key(ceremony)
    add_key(Ceremony(make_tenant()), pem=OTHER.pem)

    publish(ceremony, mender(), "1.1", "x.mender")
    publish(ceremony, swu(sw_description(version="2"), signer=SIGNER), "2")


def test_hardware_with_a_key_of_its_own_goes_by_that_alone(ceremony):
    add_key(ceremony)
    add_key(ceremony, "brakes", OTHER.pem, hardware_id="brake")

    refused(PayloadSignatureError, ceremony, swu(signer=SIGNER), hardware_ids=["brake"])
    refused(PayloadSignatureError, ceremony, swu(signer=SIGNER), hardware_ids=["brake", "gateway"])
    assert publish(ceremony, swu(signer=OTHER), hardware_ids=["brake"]).contents["verified_by"] == ["brakes"]


def test_of_two_keys_either_will_do_while_signers_change(ceremony):
    old, new = add_key(ceremony), add_key(ceremony, "next", OTHER.pem)

    first = publish(ceremony, swu(signer=SIGNER))
    second = publish(ceremony, swu(sw_description(version="2"), signer=OTHER), "2")
    operations.retire_verification_key(old, by="alice", at=NOON)

    assert (first.contents["verified_by"], second.contents["verified_by"]) == (["releases"], ["next"])
    assert (first.contents["keys"], second.contents["keys"]) == ([old.pk, new.pk], [old.pk, new.pk])
    refused(PayloadSignatureError, ceremony, swu(sw_description(version="3"), signer=SIGNER), version="3")


def test_a_retired_key_checks_nothing_and_is_retired_once(ceremony):
    key = add_key(ceremony)
    operations.retire_verification_key(key, by="alice", at=NOON)

    assert publish(ceremony, swu()).contents["verified_by"] == []
    with pytest.raises(VerificationKeyRetiredError):
        operations.retire_verification_key(key, by="alice", at=NOON)
    actions = [entry.action for entry in Entry.objects.filter(action__startswith="verification_key")]
    assert sorted(actions) == ["verification_key.added", "verification_key.retired"]


def test_a_signer_whose_time_is_over_signs_nothing(ceremony):
    late = Identity("late", days=-0.5)
    add_key(ceremony, pem=late.pem)

    refused(PayloadSignatureError, ceremony, swu(signer=late))


def test_a_key_added_while_a_package_waits_counts_for_it(ceremony):
    content = swu()
    package = ceremony.upload(content, "gateway", "1.1", filename="x.swu")
    metadata = ceremony.role("supplier", 1, entries={package.target_name: target_entry(package, content)})
    with pytest.raises(MetadataStaleError):
        operations.publish_package(package, metadata=metadata, expected_version=7, by="alice", at=NOON)
    assert Package.objects.get().contents["format"] == "swu"
    add_key(ceremony)

    with pytest.raises(ContentsUnsignedError):
        operations.publish_package(package, metadata=metadata, expected_version=0, by="alice", at=NOON)

    assert Package.objects.get().state == PackageState.REFUSED


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (VerificationKeyRefusedError, {"name": ""}),
        (VerificationKeyRefusedError, {"name": " x"}),
        (VerificationKeyRefusedError, {"name": "x" * 81}),
        (VerificationKeyRefusedError, {"format": "plain"}),
        (VerificationKeyRefusedError, {"hardware_id": "a b"}),
        (VerificationKeyRefusedError, {"format": "mender", "pem": SIGNER.pem}),
        (VerificationKeyRefusedError, {"format": "raucb", "pem": SIGNER.key_pem}),
        (PayloadKeyRefusedError, {"pem": "no PEM"}),
        (VerificationKeyExistsError, {"name": "taken"}),
    ],
)
def test_a_key_that_checks_nothing_is_refused(ceremony, error, fields):
    add_key(ceremony, "taken")
    entries = Entry.objects.count()

    with pytest.raises(error):
        add_key(ceremony, **{"name": "new"} | fields)

    assert VerificationKey.objects.get().name == "taken"
    assert Entry.objects.count() == entries


def test_the_digest_of_a_payload_is_the_one_of_its_bytes(ceremony):
    publish(ceremony, swu())

    (payload,) = queries.package_contents(Package.objects.get()).payloads
    assert payload.sha256 == sha256(bytes(range(256)) * 8)
