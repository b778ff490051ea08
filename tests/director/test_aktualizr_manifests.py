"""aktualizr's manifests and what they report, read without any database."""

import copy
import hashlib
import json
from uuid import UUID

import pytest

from firmware_store.trust import primitives
from otaserver.director import correlations, errors
from otaserver.director.aktualizr_manifests import own_keyids, read_aktualizr, signed_bytes
from otaserver.director.aktualizr_results import failure_code, read_report
from otaserver.director.manifests import MAX_BYTES
from tests.vehicle_api.aktualizr.simulated import RSA_KEYS, Aktualizr, Ecu, canonical

ATTEMPT = UUID("11111111-2222-4333-8444-555555555555")
KEY = {"keytype": "ed25519", "scheme": "ed25519"}


@pytest.fixture
def client():
    return Aktualizr([Ecu("PRIM0001", "veh-primary"), Ecu("SEC0001", "veh-secondary", RSA_KEYS[0])])


def installation(code="OK", success=True, correlation=None, **more):
    report = {
        "correlation_id": correlation or correlations.correlation_id(ATTEMPT),
        "raw_report": "Installation succesful",
        "result": {"code": code, "success": success, "description": "as it went"},
        "items": [{"ecu": "PRIM0001", "result": {"code": code, "success": success, "description": "..."}}],
    }
    return {"content_type": "application/vnd.com.here.otac.installationReport.v1", "report": report | more}


def test_a_manifest_of_the_client_is_read_with_its_own_spelling(client):
    client.ecus[1].image = ("noimage", 0, hashlib.sha256(b"").hexdigest())
    client.pending = installation()

    manifest = read_aktualizr(client.manifest())

    assert (manifest.vehicle_id, manifest.primary_serial, manifest.quirks) == (None, "PRIM0001", [])
    found = {report.serial: report for report in manifest.ecus}
    assert (found["PRIM0001"].counter, found["SEC0001"].counter) == (1, None)
    assert {report.target_name for report in manifest.ecus} == {"unknown"}
    assert found["SEC0001"].time == "1970-01-01T00:00:00Z"
    assert (manifest.report.attempt, manifest.report.outcome, manifest.report.code) == (ATTEMPT, "success", "")
    assert manifest.report.message == "OK: as it went [PRIM0001: OK] Installation succesful"


def test_the_bytes_that_both_kinds_of_keys_signed_are_found_again(client):
    manifest = read_aktualizr(client.manifest())
    found = {report.serial: report.signed for report in manifest.ecus} | {"": manifest.signed}
    ed25519 = KEY | {"keyval": {"public": client.primary.public["keyval"]["public"].lower()}}
    rsa = {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": client.ecus[1].public["keyval"]}

    for serial, key in (("PRIM0001", ed25519), ("", ed25519), ("SEC0001", rsa)):
        (signature,) = found[serial].signatures
        assert primitives.verify(key, signature.signature, found[serial].payload)
        assert signature.keyid in own_keyids(key)


def test_a_key_id_is_the_hash_of_the_quoted_value():
    public = "F3" * 32
    expected = hashlib.sha256(f'"{public}"'.encode()).hexdigest()

    assert expected in own_keyids(KEY | {"keyval": {"public": public.lower()}})


def test_what_is_signed_is_escaped_as_the_client_does():
    assert signed_bytes({"b": "Grüße\n", "a": 1}) == b'{"a":1,"b":"Gr\\u00fc\\u00dfe\\n"}'
    # Where jsoncpp and Python differ.
    assert signed_bytes(["\x7f\x7f", "\\u007f", "\\\x7f"]) == b'["\x7f\x7f","\\\\u007f","\\\\\x7f"]'


def changed(client, change):
    envelope = json.loads(client.manifest())
    change(envelope, envelope["signed"], envelope["signed"]["ecu_version_manifests"])
    return canonical(envelope)


def of_primary(**changes):
    return lambda e, s, r: r["PRIM0001"]["signed"].update(changes)


def image(**changes):
    info = {"length": 1, "hashes": {"sha256": "0" * 64}} | changes.pop("fileinfo", {})
    return of_primary(installed_image={"filepath": "supplier/x-1", "fileinfo": info} | changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda e, s, r: e.pop("signatures"),
        lambda e, s, r: e.update(signatures=[]),
        lambda e, s, r: e.update(signatures=e["signatures"] * 9),
        lambda e, s, r: e["signatures"][0].pop("method"),
        lambda e, s, r: e["signatures"][0].update(method="rsa-pkcs1v15"),
        lambda e, s, r: e["signatures"][0].update(sig="not base64!"),
        lambda e, s, r: e["signatures"][0].update(keyid=7),
        lambda e, s, r: e.update(signatures=["x"]),
        lambda e, s, r: e.update(signed=[]),
        lambda e, s, r: s.pop("primary_ecu_serial"),
        lambda e, s, r: s.update(primary_ecu_serial="a b"),
        lambda e, s, r: s.update(ecu_version_manifests=[]),
        lambda e, s, r: r.update(PRIM0001="x"),
        lambda e, s, r: r.update(OTHER=r["PRIM0001"]),
        of_primary(report_counter=2),
        of_primary(report_counter="-1"),
        of_primary(report_counter="0"),
        of_primary(report_counter="²"),
        of_primary(report_counter="9" * 19),
        of_primary(timeserver_time=None),
        of_primary(installed_image=None),
        image(filepath=""),
        image(filepath="a\nb"),
        image(filepath="x" * 201),
        image(fileinfo={"length": -1}),
        image(fileinfo={"length": "1"}),
        image(fileinfo={"length": True}),
        image(fileinfo={"hashes": {"sha512": "0" * 128}}),
        image(fileinfo={"hashes": {"sha256": "0" * 63}}),
    ],
)
def test_what_is_no_manifest_is_refused(client, change):
    with pytest.raises(errors.ManifestMalformedError):
        read_aktualizr(changed(client, change))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"signed":1.5}', b'{"a":1,"a":1}', b"\xef\xbb\xbf{}", b"{} x", b"\xff"]
)
def test_what_two_readers_would_read_differently_is_refused(body):
    with pytest.raises(errors.ManifestUnreadableError):
        read_aktualizr(body)


def test_a_manifest_that_is_too_large_is_refused():
    with pytest.raises(errors.ManifestTooLargeError):
        read_aktualizr(b" " * (MAX_BYTES + 1))


def test_hashes_and_methods_may_be_in_either_case(client):
    def spell(envelope, signed, reports):
        envelope["signatures"][0]["method"] = "ED25519"
        image(fileinfo={"hashes": {"sha256": "AB" * 32, "sha512": "0" * 128}})(envelope, signed, reports)

    manifest = read_aktualizr(changed(client, spell))

    assert {report.sha256 for report in manifest.ecus if report.serial == "PRIM0001"} == {"ab" * 32}


def test_an_attack_is_told_in_characters_that_can_be_kept(client):
    manifest = read_aktualizr(changed(client, of_primary(attacks_detected="frozen\nö\x7f")))

    assert {report.attacks for report in manifest.ecus} == {"", "frozen ö"}


def test_a_primary_that_does_not_count_is_noted(client):
    manifest = read_aktualizr(changed(client, lambda e, s, r: r["PRIM0001"]["signed"].pop("report_counter")))

    assert manifest.quirks == ["counter_missing:PRIM0001"]


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        ({}, "no report in it"),
        ([], "no report in it"),
        ("x", "no report in it"),
        (installation(correlation="urn:here-ota:campaign:1111"), "of no order of this server"),
        (installation(correlation="urn:ota:attempt:1111"), "of no order of this server"),
        (installation(result="OK"), "of no order of this server"),
    ],
)
def test_a_report_that_says_nothing_costs_the_manifest_nothing(client, report, problem):
    client.pending = report

    manifest = read_aktualizr(client.manifest())

    assert (manifest.report, manifest.quirks) == (None, [f"report_unread:PRIM0001:{problem}"])


@pytest.mark.parametrize(
    ("code", "success", "outcome", "meaning"),
    [
        ("OK", True, "success", ""),
        ("ALREADY_PROCESSED", True, "success", ""),
        ("NEED_COMPLETION", False, "none", ""),
        ("VERIFICATION_FAILED", False, "failure", "verification_failed"),
        ("INSTALL_FAILED", False, "failure", "install_failed"),
        ("DOWNLOAD_FAILED", False, "failure", "download_failed"),
        ("INTERNAL_ERROR", False, "failure", "internal"),
        ("GENERAL_ERROR", False, "failure", "internal"),
        ("OPERATION_CANCELLED", False, "failure", "interrupted"),
        ("CUSTOM_ERROR", False, "failure", "install_failed"),
        ("UNKNOWN", False, "failure", "install_failed"),
        ("E_17", False, "failure", "install_failed"),
        ("", False, "failure", "install_failed"),
        ("OK", False, "failure", "install_failed"),
        ("veh-primary:OK|veh-secondary:DOWNLOAD_FAILED", False, "failure", "download_failed"),
        ("veh-primary:DOWNLOAD_FAILED|veh-secondary:INSTALL_FAILED", False, "failure", "install_failed"),
        ("a:VERIFICATION_FAILED|b:INSTALL_FAILED", False, "failure", "verification_failed"),
        ("a:OK|b:NEED_COMPLETION", False, "none", ""),
    ],
)
def test_a_result_is_told_in_the_words_of_the_catalogue(code, success, outcome, meaning):
    read = read_report(installation(code, success))

    assert (read.problem, read.report.attempt, read.report.outcome, read.report.code) == ("", ATTEMPT, outcome, meaning)


def test_without_a_flag_the_code_says_whether_it_went_well():
    for code, outcome in (("OK", "success"), ("INSTALL_FAILED", "failure")):
        report = copy.deepcopy(installation(code))
        del report["report"]["result"]["success"]

        assert read_report(report).report.outcome == outcome


def test_a_message_is_kept_as_far_as_it_can_be_read():
    report = installation(raw_report="\x1b[31m" + "x" * 10_000, items=[{"ecu": "A"}, 7])

    assert len(read_report(report).report.message) == 4096
    assert read_report(report).report.message.startswith("OK: as it went  [31mxxx")


@pytest.mark.parametrize("text", ["", "urn:ota:attempt:", "urn:ota:attempt:x", f"urn:x:{ATTEMPT}", str(ATTEMPT)])
def test_only_what_this_server_gave_out_names_an_attempt(text):
    assert correlations.attempt_of(text) is None


def test_the_worst_code_counts():
    assert failure_code(["OK", "DOWNLOAD_FAILED", "INTERNAL_ERROR"]) == "internal"
