import json
import stat

import httpx
import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.repositories import stamp
from tests.clients.vehicle.vehicles import Vehicle, install_old_release

TIMESTAMP = "/director/metadata/timestamp.json"


class Hooks(WillingHooks):
    """Remembers what it was asked; answers as told."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def _answer(self, name, question, otherwise=HookResult()):  # noqa: B008 - it is frozen
        self.asked.append((name, question))
        return self.answers.get(name, otherwise)

    def install(self, image):
        return self._answer("install", image)

    def health(self, release):
        return self._answer("health", release)

    def preconditions(self, conditions):
        willing = super().preconditions(conditions)
        return self._answer("preconditions", list(conditions), willing)

    def consent(self, question):
        return self._answer("consent", question)

    def notes(self, notes):
        self._answer("notes", (notes.moment, notes.notes))

    def names(self):
        return [name for name, _ in self.asked]


@pytest.fixture
def new(oem, vehicle):
    return oem.publish_release("2.0", counter=2)


def use(vehicle, **answers):
    vehicle.hooks = Hooks(**answers)
    vehicle.restart()
    return vehicle.hooks


def test_a_vehicle_installs_a_release_on_all_its_ecus(vehicle, oem, new):
    attempt = oem.order(new)

    result = vehicle.run()

    assert (result.status, result.detail) == ("installed", "fleet 2.0")
    assert vehicle.runs() == new
    assert oem.installed() == new
    assert oem.finished(attempt) == [("success", "")]
    assert oem.phases(attempt) == ["downloading", "downloaded", "installing", "installed", "finished"]
    assert oem.manifests[-1]["report"] == {"attempt": attempt, "outcome": "success", "code": "", "message": ""}
    assert oem.problems == []


def test_an_idle_cycle_is_one_conditional_request(vehicle, oem):
    result = vehicle.run()

    assert result.status == "idle"
    assert 540 <= result.next_seconds <= 660
    assert oem.paths() == [TIMESTAMP]
    assert oem.requests[0].headers["Authorization"] == "Bearer token-1"


def test_an_idle_cycle_is_conditional_after_a_restart_too(vehicle, oem):
    vehicle.restart()

    vehicle.run()

    assert oem.paths() == [TIMESTAMP]
    assert "If-None-Match" in oem.requests[0].headers


def test_the_next_root_is_asked_for_once_a_day(vehicle, oem):
    oem.director.lifetimes["timestamp"] = 10
    oem.director.publish()
    vehicle.run()
    oem.requests.clear()

    vehicle.later(hours=23)
    vehicle.run()
    vehicle.later(hours=2)
    vehicle.run()
    vehicle.run()

    assert oem.paths().count("/director/metadata/2.root.json") == 1


def test_a_manifest_is_sent_daily_and_on_request(vehicle, oem):
    oem.director.lifetimes["timestamp"] = 10
    oem.director.publish()
    sent = len(oem.manifests)
    vehicle.run()
    assert len(oem.manifests) == sent
    oem.wants_manifest = True
    vehicle.run()
    assert len(oem.manifests) == sent + 1
    oem.wants_manifest = False
    vehicle.run()
    vehicle.later(hours=25)
    vehicle.run()
    assert len(oem.manifests) == sent + 2


def test_what_runs_already_is_a_success_without_a_download(vehicle, oem):
    attempt = oem.order(vehicle.runs())

    assert vehicle.run().status == "idle"

    assert oem.finished(attempt) == [("success", "")]
    assert not [path for path in oem.paths() if path.startswith(("/repo", "/downloads"))]


def test_only_ecus_that_differ_are_changed(vehicle, oem, new):
    old = vehicle.runs()
    oem.order({"S1": new["S1"]})

    vehicle.run()

    assert vehicle.runs() == old | {"S1": new["S1"]}
    assert len([path for path in oem.paths() if path.startswith("/downloads/")]) == 1


def test_a_finished_attempt_is_not_made_again(vehicle, oem, new):
    attempt = oem.order(new)
    use(vehicle, health=HookResult(Verdict.NO, "no brakes"))
    assert vehicle.run().status == "failed"

    use(vehicle)
    oem.director.publish()
    assert vehicle.run().status == "idle"

    assert oem.finished(attempt) == [("failure", "health_failed")]


def test_a_failed_health_check_returns_all_ecus_to_their_old_slots(vehicle, oem, new):
    old = vehicle.runs()
    attempt = oem.order(new)
    use(vehicle, health=HookResult(Verdict.NO, "no brakes"))

    assert vehicle.run().status == "failed"

    assert vehicle.runs() == old
    assert oem.installed() == old
    assert oem.finished(attempt) == [("failure", "health_failed")]
    assert oem.manifests[-1]["report"] == {
        "attempt": attempt,
        "outcome": "failure",
        "code": "health_failed",
        "message": "no brakes",
    }
    assert oem.logs[-1]["attempt"] == attempt
    assert "token" not in oem.logs[-1]["text"]


def test_a_failed_install_switches_nothing(vehicle, oem, new):
    old = vehicle.runs()
    attempt = oem.order(new)
    use(vehicle, install=HookResult(Verdict.NO, "flash worn out"))

    assert vehicle.run().status == "failed"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("failure", "install_failed")]


def test_a_hook_that_is_not_ready_is_asked_again(vehicle, oem, new):
    oem.order(new)
    hooks = use(vehicle, health=HookResult(Verdict.NOT_YET))

    assert vehicle.run().status == "waiting"
    assert json.loads((vehicle.config.state_dir / "commit.json").read_text())["state"] == "trial"
    assert vehicle.run().status == "waiting"
    hooks.answers.clear()
    assert vehicle.run().status == "installed"

    assert vehicle.runs() == new


def test_a_trial_may_be_started_often_while_its_hook_says_not_yet(vehicle, oem, new):
    oem.order(new)
    hooks = use(vehicle, health=HookResult(Verdict.NOT_YET))

    for _ in range(5):
        assert vehicle.run().status == "waiting"
        vehicle.restart()
    hooks.answers.clear()

    assert vehicle.run().status == "installed"
    assert vehicle.runs() == new


def test_a_trial_without_a_verdict_ends(vehicle, oem, new):
    old = vehicle.runs()
    oem.director.lifetimes["timestamp"] = 10
    oem.order(new)
    use(vehicle, health=HookResult(Verdict.NOT_YET))
    vehicle.run()
    vehicle.later(hours=25)

    assert vehicle.run().status == "failed"

    assert vehicle.runs() == old


def test_a_window_holds_an_order_until_it_opens(vehicle, oem, new):
    attempt = oem.order(new, not_before=stamp(NOON.replace(hour=18)))

    assert vehicle.run().status == "held"
    vehicle.run()
    vehicle.later(hours=6)
    assert vehicle.run().status == "installed"

    assert oem.phases(attempt).count("held") == 1


def test_preconditions_hold_with_what_was_measured(vehicle, oem, new):
    conditions = [{"name": "battery", "operator": ">=", "value": 50}]
    attempt = oem.order(new, preconditions=conditions)
    hooks = use(vehicle, preconditions=HookResult(Verdict.NOT_YET, "battery low", {"battery": 30}))

    assert vehicle.run().detail == "battery low"
    hooks.answers.clear()
    assert vehicle.run().status == "installed"

    (held,) = [event for event in oem.events if event["phase"] == "held"]
    assert (held["attempt"], held["code"], held["measured"]) == (attempt, "precondition", {"battery": 30})
    assert ("preconditions", conditions) in hooks.asked


@pytest.mark.parametrize(("hook", "code"), [("preconditions", "precondition_failed"), ("consent", "consent_refused")])
def test_a_final_no_at_the_gate_refuses_the_order(vehicle, oem, new, hook, code):
    old = vehicle.runs()
    asked = {"preconditions": [{"name": "a", "operator": "==", "value": True}], "consent": {"kind": "owner"}}
    attempt = oem.order(new, **{hook: asked[hook]})
    use(vehicle, **{hook: HookResult(Verdict.NO, "no")})

    assert vehicle.run().status == "refused"
    assert vehicle.run().status == "idle"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("refused", code)]


def test_notes_are_shown_before_and_after_in_the_owners_language(vehicle, oem, new):
    oem.order(new)
    hooks = use(vehicle)

    vehicle.run()

    text = "Bremsen für alle"
    assert [question for name, question in hooks.asked if name == "notes"] == [("before", text), ("after", text)]
    assert hooks.names() == ["notes", "install", "install", "install", "health", "notes"]


def hold(vehicle, oem, new, **order):
    """Download a release and hold it."""
    hooks = use(vehicle, preconditions=HookResult(Verdict.NOT_YET))
    attempt = oem.order(new, preconditions=[{"name": "parked", "operator": "==", "value": True}], **order)
    assert vehicle.run().status == "held"
    hooks.answers.clear()
    return attempt


def test_a_withdrawn_order_is_dropped_and_confirmed(vehicle, oem, new):
    old = vehicle.runs()
    attempt = hold(vehicle, oem, new)
    oem.order_nothing()

    assert vehicle.run().status == "withdrawn"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("refused", "withdrawn")]
    assert not (vehicle.config.state_dir / "downloads").exists()


def test_an_order_replaced_by_another_is_withdrawn(vehicle, oem, new):
    attempt = hold(vehicle, oem, new)
    newer = oem.publish_release("3.0", counter=3)
    oem.order(newer)

    assert vehicle.run().status == "installed"

    assert vehicle.runs() == newer
    assert oem.finished(attempt) == [("refused", "withdrawn")]


def test_an_order_withdrawn_while_it_is_downloaded_is_not_installed(vehicle, oem, new):
    old = vehicle.runs()
    attempt = oem.order(new)
    digest = list(oem.director.targets.values())[-1]["hashes"]["sha256"]
    honest = oem.images[digest]

    def stop_then_serve(_request):
        oem.order_nothing()
        return httpx.Response(200, content=iter([honest]))

    oem.overrides[f"/downloads/{digest}"] = stop_then_serve

    assert vehicle.run().status == "withdrawn"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("refused", "withdrawn")]


def test_the_permit_is_a_timestamp_fetched_unconditionally_right_before_installing(vehicle, oem, new):
    oem.order(new)

    vehicle.run()

    asked = [request for request in oem.requests if request.url.path.endswith("timestamp.json")]
    director = [request for request in asked if "/director/" in request.url.path]
    assert len(director) == 2
    assert "If-None-Match" not in director[-1].headers


def test_without_a_permit_nothing_is_installed_offline(vehicle, oem, new):
    old = vehicle.runs()
    hold(vehicle, oem, new)
    oem.is_down = True

    assert vehicle.run().status == "not_now"

    assert vehicle.runs() == old
    oem.is_down = False
    assert vehicle.run().status == "installed"


@pytest.mark.parametrize(("hours", "status"), [(3, "installed"), (5, "not_now")])
def test_grace_permits_offline_for_some_hours(vehicle, oem, new, hours, status):
    old = vehicle.runs()
    attempt = hold(vehicle, oem, new, grace_hours=4)
    oem.is_down = True
    vehicle.later(hours=hours)

    assert vehicle.run().status == status

    assert vehicle.runs() == (new if status == "installed" else old)
    oem.is_down = False
    vehicle.run()
    assert oem.finished(attempt) == [("success", "")]


def test_failures_back_off_and_recover(vehicle, oem):
    oem.is_down = True

    delays = [vehicle.run().next_seconds for _ in range(12)]

    assert all(2.5 * 2**n <= delay <= 5.0 * 2**n for n, delay in enumerate(delays[:9]))
    assert delays[-1] <= 3600
    oem.is_down = False
    assert 540 <= vehicle.run().next_seconds <= 660


def test_retry_after_is_honoured(vehicle, oem):
    oem.overrides[TIMESTAMP] = lambda _request: httpx.Response(429, headers={"Retry-After": "4000"})

    result = vehicle.run()

    assert result.status == "not_now"
    assert 4000 <= result.next_seconds <= 4400


def test_an_unknown_claim_code_is_not_now(oem, tmp_path):
    vehicle = Vehicle(oem, tmp_path)
    problem = {"code": "claim.invalid", "detail": "no such code"}
    oem.overrides["/enrol"] = lambda _request: httpx.Response(403, json=problem)

    result = vehicle.run()

    assert (result.status, result.detail) == ("not_now", "claim.invalid: no such code")
    assert not (vehicle.config.state_dir / "credentials.json").exists()


def test_keys_are_on_disk_before_the_vehicle_enrols(oem, tmp_path):
    vehicle = Vehicle(oem, tmp_path)
    seen = {}

    def look(request):
        for serial in oem.hardware:
            seen[serial] = (vehicle.config.state_dir / "ecus" / serial / "key").stat().st_mode
        return httpx.Response(503)

    oem.overrides["/enrol"] = look
    vehicle.run()
    oem.overrides.clear()
    vehicle.restart()
    vehicle.run()

    assert {stat.S_IMODE(mode) for mode in seen.values()} == {0o600}
    assert oem.problems == []


def test_a_credential_is_renewed_when_a_third_of_its_life_is_left(vehicle, oem):
    oem.director.lifetimes |= {"timestamp": 100, "snapshot": 100, "targets": 100}
    oem.director.publish()
    credentials = vehicle.config.state_dir / "credentials.json"
    vehicle.later(days=59)
    vehicle.run()
    assert "/renew" not in oem.paths()

    vehicle.later(days=2)
    vehicle.run()

    assert oem.paths().count("/renew") == 1
    assert json.loads(credentials.read_text())["token"] == "token-2"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert oem.requests[-1].headers["Authorization"] == "Bearer token-2"


def test_a_renewal_that_fails_does_not_stop_the_vehicle(vehicle, oem):
    oem.director.lifetimes |= {"timestamp": 100, "snapshot": 100, "targets": 100}
    oem.director.publish()
    oem.overrides["/renew"] = lambda _request: httpx.Response(503)
    vehicle.later(days=61)

    assert vehicle.run().status == "idle"


def test_an_image_that_the_server_refuses_to_give_fails_the_attempt(vehicle, oem, new):
    attempt = oem.order(new)
    digest = next(iter(oem.director.targets.values()))["hashes"]["sha256"]
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(410, json={"code": "target.gone"})

    assert vehicle.run().status == "failed"

    assert oem.finished(attempt) == [("failure", "download_failed")]


@pytest.mark.parametrize("status", [400, 407, 410, 451])
def test_an_error_that_is_not_the_servers_own_ends_nothing(vehicle, oem, new, status):
    attempt = oem.order(new)
    digest = next(iter(oem.director.targets.values()))["hashes"]["sha256"]
    page = httpx.Response(status, text="<html>" + 100_000 * "x")
    oem.overrides[f"/downloads/{digest}"] = lambda _request: page

    assert vehicle.run().status == "not_now"

    assert (oem.finished(attempt), oem.attacks()) == ([], [])
    del oem.overrides[f"/downloads/{digest}"]
    assert vehicle.run().status == "installed"


def test_a_vehicle_without_factory_images_reports_unknown_and_can_be_updated(oem, tmp_path):
    vehicle = Vehicle(oem, tmp_path)
    vehicle.run()
    assert set(oem.installed().values()) == {"unknown"}
    new = oem.publish_release("2.0")
    oem.order(new)

    assert vehicle.run().status == "installed"

    assert vehicle.runs() == new


def test_a_rollback_to_the_other_slot_works_with_an_equal_counter(vehicle, oem):
    old = vehicle.runs()
    oem.order(oem.publish_release("2.0", counter=1))
    vehicle.run()
    oem.order(old)

    assert vehicle.run().status == "installed"

    assert vehicle.runs() == old


def test_many_agents_share_a_process_and_nothing_else(oem, tmp_path):
    vehicles = [Vehicle(oem, tmp_path / str(number)) for number in range(5)]
    for vehicle in vehicles:
        install_old_release(oem, vehicle.config)
        oem.counters.clear()
        assert vehicle.run().status == "idle"

    assert len({(vehicle.config.state_dir / "ecus/P1/key").read_text() for vehicle in vehicles}) == 5
