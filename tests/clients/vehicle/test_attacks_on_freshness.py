"""Attacks of wire/uptane.md 6.1 that withhold, delay or replay: A2, A4, A5, A6, A7, A9, A26."""

import copy
from datetime import timedelta

import httpx
import pytest

from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.refusals import assert_completed, assert_refused, assert_updatable
from tests.clients.vehicle.repositories import Signer, stamp

DIRECTOR = "/director/metadata/"
IMAGE = "/repo/metadata/"


def drop(request):
    raise httpx.ConnectError("dropped", request=request)


def unavailable(_request):
    return httpx.Response(503)


def order_second_release(oem):
    return oem.order(oem.publish_release("2.0", counter=2))


@pytest.mark.parametrize("answer", [drop, unavailable])
@pytest.mark.parametrize("place", range(11))
def test_a02_a_dropped_request_changes_nothing_and_is_made_again(vehicle, oem, place, answer):
    order_second_release(oem)
    digest = next(iter(oem.director.targets.values()))["hashes"]["sha256"]
    target = next(iter(oem.director.targets)).replace("/", f"/{digest}.")
    paths = [
        DIRECTOR + "timestamp.json",
        DIRECTOR + "2.root.json",
        DIRECTOR + oem.director.latest("snapshot"),
        DIRECTOR + oem.director.latest("targets"),
        IMAGE + "2.root.json",
        IMAGE + "timestamp.json",
        IMAGE + oem.image.latest("snapshot"),
        IMAGE + oem.image.latest("targets"),
        IMAGE + oem.image.latest("supplier"),
        f"/repo/targets/{target}",
        f"/downloads/{digest}",
    ]
    before = (vehicle.trust(), vehicle.runs())
    oem.overrides[paths[place]] = answer

    result = vehicle.run()

    assert result.status == "not_now"
    assert vehicle.runs() == before[1]
    # A dropped image does not undo that its metadata has been verified.
    assert place >= 9 or vehicle.trust() == before[0]
    assert oem.attacks() == []
    oem.overrides.clear()
    assert vehicle.run().status == "installed"


@pytest.mark.parametrize("path", ["/events", "/director/manifest"])
def test_a02_dropped_reports_are_sent_later(vehicle, oem, path):
    attempt = order_second_release(oem)
    oem.overrides[path] = drop

    assert vehicle.run().status == "installed"
    oem.overrides.clear()
    vehicle.run()

    assert oem.finished(attempt) == [("success", "")]
    assert oem.manifests[-1]["report"]["attempt"] == attempt


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("repository", ["director", "image"])
def test_a04_a_frozen_repository_is_refused(vehicle, oem, repository, role):
    for name in ("director", "image"):
        getattr(oem, name).lifetimes = dict.fromkeys(("root", "timestamp", "snapshot", "targets"), 300)
    repo = getattr(oem, repository)
    repo.lifetimes[role] = 2
    repo.publish_root()
    attempt = order_second_release(oem)
    vehicle.later(days=3)
    oem.at += timedelta(days=3)

    recover_to = {"root": 300, "timestamp": 300, "snapshot": 300, "targets": 300}

    before = (vehicle.trust(), vehicle.runs())
    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "freeze")
    assert (vehicle.trust(), vehicle.runs()) == before
    assert oem.attacks()[-1].startswith("freeze:")
    repo.lifetimes, repo.at = recover_to, oem.at
    repo.publish_root()
    assert_completed(vehicle, oem, attempt, mend=repo.publish)
    assert_updatable(vehicle, oem)


def test_a04_unchanged_for_ever_is_found_out_when_the_timestamp_expires(vehicle, oem):
    vehicle.later(hours=25)

    result = vehicle.run()
    again = vehicle.run()

    assert (result.status, again.status) == ("never", "never")
    assert result.detail.startswith("freeze:")
    assert len(oem.attacks()) == 1
    oem.director.at = oem.image.at = vehicle.at
    assert_updatable(vehicle, oem)


def test_a04_not_modified_is_no_answer_to_an_unconditional_request(vehicle, oem):
    vehicle.later(hours=25)
    oem.overrides[DIRECTOR + "timestamp.json"] = lambda _request: httpx.Response(304)

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "answer.invalid")


@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.parametrize("extra", [{"vehicle_id": "VIN2"}, {}])
def test_a05_another_vehicles_director_metadata_is_refused_even_with_higher_versions(vehicle, oem, extra, is_empty):
    attempt = order_second_release(oem)
    other = copy.deepcopy(oem.director)
    other.extra = extra
    other.versions |= dict.fromkeys(("targets", "snapshot", "timestamp"), 1000)
    if is_empty:
        other.targets, other.custom = {}, {}
    other.publish()
    oem.overrides |= {DIRECTOR + name: data for name, data in other.files.items()}

    assert_refused(vehicle, oem, "wrong_vehicle", still=attempt)


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a05_one_file_of_another_vehicle_is_enough(vehicle, oem, role):
    attempt = order_second_release(oem)
    body = oem.director.signed(role) | {"vehicle_id": "VIN2"}
    oem.director.put(role, body)
    if role == "snapshot":
        oem.director.publish_timestamp()

    assert_refused(vehicle, oem, "wrong_vehicle", still=attempt, mend=oem.director.publish)


@pytest.mark.parametrize("answer", [drop, unavailable, lambda _request: httpx.Response(404)])
def test_a06_without_one_image_none_is_installed(vehicle, oem, answer):
    attempt = order_second_release(oem)
    last = list(oem.director.targets.values())[-1]["hashes"]["sha256"]
    old = vehicle.runs()
    oem.overrides[f"/downloads/{last}"] = answer

    result = vehicle.run()

    assert result.status == "not_now"
    assert vehicle.runs() == old
    assert set(oem.installed().values()) == set(old.values())
    assert oem.finished(attempt) == []
    oem.overrides.clear()
    assert vehicle.run().status == "installed"


@pytest.fixture
def updated(vehicle, oem):
    """A vehicle that has trusted both repositories once."""
    order_second_release(oem)
    assert vehicle.run().status == "installed"
    return vehicle


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("repository", ["director", "image"])
def test_a07_a_lower_version_is_refused(updated, oem, repository, role):
    new = oem.publish_release("3.0", counter=3)
    attempt = oem.order(new)
    repo = getattr(oem, repository)
    trusted = updated.trust()
    assert trusted
    # Signed with the stolen online keys, so that only the version is wrong.
    repo.versions[role] = 0
    if role == "targets":
        repo.publish_targets()
    if role in ("targets", "snapshot"):
        repo.publish_snapshot()
    repo.publish_timestamp()

    before = (updated.trust(), updated.runs())
    result = updated.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "rollback")
    assert (updated.trust(), updated.runs()) == before
    assert oem.attacks()[-1].startswith("rollback:")
    repo.versions[role] = 50
    assert_completed(updated, oem, attempt, mend=repo.publish)
    assert_updatable(updated, oem)


def test_a07_a_snapshot_rollback_is_found_although_the_timestamp_key_is_new(updated, oem):
    oem.publish_release("3.0", counter=3)
    oem.director.rotate("timestamp")
    oem.director.versions["snapshot"] = 0
    oem.director.publish_snapshot()
    oem.director.publish_timestamp()
    before = updated.trust()

    result = updated.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "rollback")
    assert updated.trust() == before
    oem.director.versions["snapshot"] = 50
    assert_updatable(updated, oem)


@pytest.mark.parametrize("repository", ["director", "image"])
def test_a09_a_fast_forward_is_undone_by_rotating_keys(updated, oem, repository):
    repo = getattr(oem, repository)
    honest = dict(repo.versions)
    repo.versions |= dict.fromkeys(("targets", "snapshot", "timestamp"), 2**31 - 2)
    oem.order(oem.publish_release("3.0", counter=3))
    assert updated.run().status == "installed"
    for role in ("targets", "snapshot", "timestamp"):
        repo.rotate(role)
    repo.versions |= {role: honest[role] + 10 for role in ("targets", "snapshot", "timestamp")}
    repo.publish()

    assert_updatable(updated, oem)


def test_a26_time_never_goes_back_behind_a_signed_one(vehicle, oem):
    oem.director.publish_timestamp(signed_at=stamp(NOON))
    assert vehicle.run().status == "idle"
    vehicle.later(days=-20_000)
    vehicle.restart()

    vehicle.run()

    # The RTC says 1971; the manifest says what was signed.
    vehicle.oem.wants_manifest = True
    vehicle.run()
    assert oem.manifests[-1]["ecu_version_manifests"]["P1"]["signed"]["timeserver_time"] == stamp(NOON)
    oem.director.lifetimes["timestamp"] = -1
    oem.director.publish()
    assert vehicle.run().detail.startswith("freeze:")


def test_a26_a_timestamp_without_a_time_keeps_the_old_one(vehicle, oem):
    oem.director.publish_timestamp(signed_at=stamp(NOON + timedelta(hours=2)))
    vehicle.run()
    oem.director.publish_timestamp()
    vehicle.run()
    oem.director.publish_timestamp(signed_at=stamp(NOON - timedelta(hours=2)))
    oem.wants_manifest = True
    vehicle.run()

    time = oem.manifests[-1]["ecu_version_manifests"]["P1"]["signed"]["timeserver_time"]
    assert time == stamp(NOON + timedelta(hours=2))


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59Z", "2027-07-01T00:00:00Z", "soon", 2**31 - 1])
def test_a26_a_time_that_cannot_be_is_refused(vehicle, oem, text):
    oem.director.publish_timestamp(signed_at=text, expires="9999-12-31T23:59:59Z")

    assert_refused(vehicle, oem, "clock")


def test_a26_a_time_signed_with_another_key_is_refused(vehicle, oem):
    body = oem.director.header("timestamp") | {"meta": oem.director.signed("timestamp")["meta"]}
    oem.director.put("timestamp", body | {"signed_at": stamp(NOON + timedelta(hours=3))}, Signer())

    assert_refused(vehicle, oem, "signature")


def test_a26_rotating_the_timestamp_key_forgets_a_time_that_was_set_too_far(vehicle, oem):
    too_far = NOON + timedelta(days=29)
    oem.director.publish_timestamp(signed_at=stamp(too_far), expires=stamp(too_far + timedelta(days=1)))
    assert vehicle.run().status == "idle"
    oem.order(oem.publish_release("2.0", counter=2))
    assert vehicle.run().detail.startswith("freeze:")
    oem.director.rotate("timestamp")

    assert_updatable(vehicle, oem)
