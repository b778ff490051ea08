import json
from uuid import UUID, uuid4

import pytest

from otaserver.director import errors
from otaserver.director.models import Manifest
from tests.director.refusals import refuse
from tests.director.signing_vehicle import canonical

pytestmark = pytest.mark.django_db


def test_a_manifest_changed_after_signing_is_refused(car):
    envelope = json.loads(car.manifest())
    envelope["signed"]["report"] = {"attempt": str(uuid4()), "outcome": "success", "code": "", "message": ""}

    refuse(car, canonical(envelope), errors.ManifestMalformedError)


def test_a_signature_over_other_bytes_is_refused_although_its_hash_object_fits(car):
    envelope = json.loads(car.manifest())
    envelope["signatures"][0]["sig"] = car.keys[car.serials[0]].private.sign(b"other").hex()

    refuse(car, canonical(envelope), errors.ManifestSignatureInvalidError)


@pytest.mark.parametrize("hash_object", [{"function": "sha256", "digest": "0" * 64}, {"function": "md5"}, None])
def test_a_signature_with_a_wrong_hash_object_is_refused(car, hash_object):
    envelope = json.loads(car.manifest())
    envelope["signatures"][0]["hash"] = hash_object

    refuse(car, canonical(envelope), errors.ManifestMalformedError)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"signed":1.5}', b'{"a":1,"a":1}', b"\xef\xbb\xbf{}", b"{} trailing", b"\xff"],
)
def test_what_is_not_strict_json_is_refused_as_unreadable(car, body):
    refusal = refuse(car, body, errors.ManifestUnreadableError)

    assert (refusal.code, refusal.status) == ("request.malformed", 400)


def test_the_place_of_a_syntax_error_is_told(car):
    refusal = refuse(car, b'{"signed":\n nothing}', errors.ManifestUnreadableError)

    assert refusal.details == {"line": 2, "column": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"vehicle_id": 7},
        {"vehicle_id": ""},
        {"ecu_version_manifests": []},
        {"ecu_version_manifests": {"X": 1}},
        {"report": "fine"},
        {"report": {"attempt": "7", "outcome": "success", "code": "", "message": ""}},
        {"report": {"attempt": str(UUID(int=1)), "outcome": "splendid", "code": "", "message": ""}},
        {"note": "Größe"},
    ],
)
def test_a_signed_manifest_of_another_shape_is_refused(car, changes):
    reports = car.reports()
    signed = {
        "vehicle_id": car.vehicle.vehicle_id,
        "primary_ecu_serial": car.serials[0],
        "ecu_version_manifests": reports,
    }

    refuse(car, canonical(car.keys[car.serials[0]].envelope(signed | changes)), errors.ManifestMalformedError)


@pytest.mark.parametrize("counter", [0, -1, True, "2", None])
def test_a_counter_that_is_no_positive_integer_is_refused(car, counter):
    reports = car.reports(report_counter=counter)

    refuse(car, car.manifest(reports), errors.ManifestMalformedError)


def test_a_manifest_that_is_too_large_is_refused_and_only_its_beginning_is_kept(car):
    body = car.manifest(note="x" * 256 * 1024)

    refuse(car, body, errors.ManifestTooLargeError)

    assert bytes(Manifest.objects.get().body) == body[: 16 * 1024]


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        ["signature"],
        [{"method": "rsassa-pss"}],
        [{"method": "ed25519", "hash": "sha256"}],
        {"keyid": "x"},
    ],
)
def test_signatures_of_another_shape_are_refused(car, signatures):
    envelope = json.loads(car.manifest()) | {"signatures": signatures}

    refuse(car, canonical(envelope), errors.ManifestMalformedError)


@pytest.mark.parametrize("sig", ["", "zz", "abc", "AB", "00" * 1025])
def test_a_signature_that_is_not_hex_is_refused(car, sig):
    envelope = json.loads(car.manifest())
    envelope["signatures"][0]["sig"] = sig

    refuse(car, canonical(envelope), errors.ManifestMalformedError)


def test_more_signatures_than_are_read_are_refused(car):
    envelope = json.loads(car.manifest())
    envelope["signatures"] *= 9

    refuse(car, canonical(envelope), errors.ManifestMalformedError)
