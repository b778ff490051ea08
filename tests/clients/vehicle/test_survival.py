"""What nobody foresaw ends a cycle, never the vehicle."""

import errno
import itertools
import json
import logging
import os

import httpx
import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.refusals import assert_updatable

TIMESTAMP = "/director/metadata/timestamp.json"
DEEP = b"[" * 60_000


class RaisingHooks(WillingHooks):
    def __init__(self, error):
        self._error = error

    def preconditions(self, conditions):
        raise self._error


class ParkedHooks(WillingHooks):
    def preconditions(self, conditions):
        return HookResult(measured={"parked": True})


@pytest.fixture
def attempt(oem, vehicle):
    use(vehicle, ParkedHooks())
    new = oem.publish_release("2.0", counter=2)
    return oem.order(new, preconditions=[{"name": "parked", "operator": "==", "value": True}])


def use(vehicle, hooks):
    vehicle.hooks = hooks
    vehicle.restart()


def test_a_defect_ends_the_cycle_with_back_off_and_its_traceback_in_the_log(vehicle, oem, attempt, caplog):
    use(vehicle, RaisingHooks(ZeroDivisionError("no wheels")))

    with caplog.at_level(logging.ERROR, logger="clients.vehicle"):
        result = vehicle.run()

    assert (result.status, result.detail) == ("never", "internal: ZeroDivisionError: no wheels")
    assert result.next_seconds <= 5
    assert "Traceback" in caplog.text
    assert "in preconditions" in caplog.text
    assert oem.phases(attempt) == ["downloading", "downloaded"]
    use(vehicle, ParkedHooks())
    assert vehicle.run().status == "installed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_no_defect(vehicle, attempt, error):
    use(vehicle, RaisingHooks(error()))

    with pytest.raises(error):
        vehicle.run()


@pytest.mark.parametrize(
    "headers", [{}, {"Location": "http://[x"}, {"Location": "http://a b/"}, {"Location": "ftp://x/"}]
)
def test_a_redirect_that_leads_nowhere_is_not_now(vehicle, oem, headers):
    oem.overrides[TIMESTAMP] = lambda _request: httpx.Response(302, headers=headers)

    result = vehicle.run()

    assert result.status == "not_now", result
    assert_updatable(vehicle, oem)


@pytest.mark.parametrize("path", ["/events", "/director/manifest", TIMESTAMP])
@pytest.mark.parametrize("content", [b"7", b"[]", b'{"findings":null,"rejected":7}', DEEP])
def test_an_answer_that_cannot_be_read_is_no_defect(vehicle, oem, attempt, path, content):
    statuses = itertools.cycle([200, 503])
    oem.overrides[path] = lambda _request: httpx.Response(next(statuses), content=content)

    vehicle.run()

    result = vehicle.run()

    assert not result.detail.startswith("internal"), result
    assert_updatable(vehicle, oem)


def test_an_etag_that_cannot_be_sent_back_is_not_kept(vehicle, oem):
    honest = oem.director.files["timestamp.json"]
    headers = [(b"ETag", b'"\xff"')]
    oem.overrides[TIMESTAMP] = lambda _request: httpx.Response(200, headers=headers, content=honest)

    assert [vehicle.run().status for _ in range(2)] == ["idle", "idle"]


def test_half_a_surrogate_pair_in_a_refusal_can_be_logged(vehicle, oem, attempt):
    digest = next(iter(oem.director.targets.values()))["hashes"]["sha256"]
    problem = json.dumps({"code": "gone", "detail": "\ud800"}).encode()
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(410, content=problem)

    assert vehicle.run().status == "failed"

    assert oem.logs[-1]["attempt"] == attempt


@pytest.mark.parametrize("name", ["scratch", "downloads", "b"])
def test_a_disk_without_room_for_a_directory_is_not_now(vehicle, oem, attempt, monkeypatch, name):
    use(vehicle, ParkedHooks())
    make = os.mkdir

    def full(path, *arguments, **settings):
        if os.path.basename(path) == name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        make(path, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", full)
        result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "disk_full")
    assert vehicle.run().status == "installed"


def test_a_hook_that_breaks_its_trials_goes_back(vehicle, oem, attempt):
    class Broken(WillingHooks):
        def health(self, release):
            raise OSError("the bus is gone")

    old = vehicle.runs()
    use(vehicle, Broken())

    results = [vehicle.run().status for _ in range(4)]

    assert results == ["never", "never", "never", "failed"]
    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("failure", "reverted")]


def test_a_measured_nan_does_not_keep_events_from_the_server(vehicle, oem, attempt):
    class Unsure(WillingHooks):
        def preconditions(self, conditions):
            return HookResult(Verdict.NOT_YET, "unsure", {"oil": float("nan"), "battery": 3})

    use(vehicle, Unsure())

    assert vehicle.run().status == "held"

    held = [event for event in oem.events if event["phase"] == "held"]
    assert [(event["measured"], event["message"]) for event in held] == [
        ({"battery": 3}, "unsure (measured is not JSON: oil)")
    ]
