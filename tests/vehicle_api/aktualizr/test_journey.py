"""aktualizr's whole way through the server, as that client would go it."""

from datetime import timedelta

import pytest
from django.test import Client

from firmware_store.models import Release
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment, Attempt, Campaign, ConsentRecord, Report
from otaserver.campaigns.queries.explanations import explain
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu as EcuRow
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import tick
from tests.vehicle_api.aktualizr.conftest import NEW, OLD
from tests.vehicle_api.aktualizr.simulated import RSA_KEYS, Ecu, event
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database


def state_of(vehicle_id="VIN1"):
    return Assignment.objects.get(vehicle__vehicle_id=vehicle_id).state


def running(yard, software, *clients, **plan):
    """A campaign of new software for these vehicles, which run the old one."""
    names = [client.subject.partition(",")[0].removeprefix("CN=") for client in clients]
    return yard.campaign(*names, old=software.before, new=software.after, **plan)


def test_from_a_shared_certificate_to_a_soaked_release(yard, software):
    client = software.vehicle()
    assert client.cycle(yard.now) == []
    campaign = running(yard, software, client)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]

    assert state_of() == AssignmentState.SOAKING
    ecu = EcuRow.objects.get()
    assert (ecu.installed_target, ecu.installed_version) == ("supplier/gateway-2.0", "2.0")
    said = Report.objects.order_by("pk").values_list("phase", "outcome", "ecu_serial")
    assert list(said) == [
        ("downloading", "none", "PRIM-VIN1"),
        ("downloaded", "none", "PRIM-VIN1"),
        ("installing", "none", "PRIM-VIN1"),
        ("installed", "none", "PRIM-VIN1"),
        ("finished", "success", ""),
    ]
    yard.advance(hours=9)
    tick(campaign, yard.now)
    assert state_of() == AssignmentState.SUCCEEDED
    assert client.cycle(yard.now) == []


def test_a_cycle_asks_in_the_order_of_the_client_and_for_images_only_with_news(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    client.requests.clear()

    client.check(yard.now)
    first = list(client.requests)
    client.requests.clear()
    client.primary.image = (software.new.target_name, software.new.length, software.new.sha256)
    client.check(yard.now)

    assert first == [
        "PUT director/manifest",
        *[f"GET director/{number}.root.json" for number in (1, 2)],
        "GET director/targets.json",
        *[f"GET repo/{number}.root.json" for number in (1, 2)],
        "GET repo/timestamp.json",
        "GET repo/snapshot.json",
        "GET repo/targets.json",
        "GET repo/delegations/supplier.json",
    ]
    assert client.requests == ["PUT director/manifest", "GET director/2.root.json", "GET director/targets.json"]


def test_two_ecus_get_their_packages_by_one_order(yard):
    versions = {}
    for version in ("1.0", "2.0"):
        gateway = yard.publish("engine", version, b"engine " + version.encode())
        brake = yard.publish("brake", version, b"brake " + version.encode(), hardware="brake", role="chips")
        versions[version] = (gateway, brake)
    client = yard.vehicle(secondary=True, runs=versions["1.0"])
    campaign = yard.campaign("VIN1", old=yard.release(*versions["1.0"]), new=yard.release(*versions["2.0"]))

    assert sorted(client.cycle(yard.now)) == ["chips/brake-2.0", "supplier/engine-2.0"]

    assert set(EcuRow.objects.values_list("installed_version", flat=True)) == {"2.0"}
    yard.advance(hours=9)
    tick(campaign, yard.now)
    assert state_of() == AssignmentState.SUCCEEDED


def test_a_campaign_in_waves_reaches_them_all(yard, software):
    clients = [software.vehicle(f"VIN{number}") for number in range(4)]
    campaign = running(yard, software, *clients, waves=(50, 100))

    for _ in range(3):
        for client in clients:
            client.cycle(yard.now)
        yard.advance(hours=9)
        tick(campaign, yard.now)

    assert set(Assignment.objects.values_list("state", flat=True)) == {AssignmentState.SUCCEEDED}
    assert Campaign.objects.get().state == "completed"


def test_a_failed_installation_counts_and_the_order_is_gone_so_that_it_does_not_loop(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    client.outcome = "INSTALL_FAILED"

    assert client.cycle(yard.now) == []
    again = client.check(yard.now)

    assignment = Assignment.objects.get()
    assert (assignment.state, assignment.code) == (AssignmentState.FAILED, "install_failed")
    assert assignment.message.startswith("INSTALL_FAILED: as it went [PRIM-VIN1: INSTALL_FAILED]")
    assert again == []


def test_a_verification_failure_is_a_failure_without_any_event(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    (ordered,) = client.check(yard.now)
    client._report(ordered, "VERIFICATION_FAILED", items=[])

    client.send_manifest()

    assignment = Assignment.objects.get()
    assert (assignment.state, assignment.code) == (AssignmentState.FAILED, "verification_failed")


def test_a_failed_download_is_tried_again_by_a_new_attempt(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client)
    (ordered,) = client.check(yard.now)
    client._report(ordered, "DOWNLOAD_FAILED", items=[])
    client.send_manifest()
    assert client.check(yard.now) == []
    waiting = Assignment.objects.get()

    yard.wait_until(waiting.next_attempt_at)
    tick(campaign, yard.now)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["failure", "success"]


def test_a_report_that_was_not_heard_is_repeated_and_counts_once(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    (ordered,) = client.check(yard.now)
    client._report(ordered, "INSTALL_FAILED", items=[])
    report = client.pending

    for _ in range(3):
        client.pending = report
        client.send_manifest()

    assert Report.objects.filter(phase="finished").count() == 1
    assert state_of() == AssignmentState.FAILED


def test_what_was_proved_counts_without_any_report(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    client.primary.image = (software.new.target_name, software.new.length, software.new.sha256)

    client.send_manifest()

    assert state_of() == AssignmentState.SOAKING


# The client cannot wait: the server does.
NIGHT = Window(EVERY_DAY, 22 * 60, 8 * 60)


def test_an_order_is_withheld_while_the_window_is_closed(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client, windows=[NIGHT])
    assert state_of() == AssignmentState.WAITING
    assert client.cycle(yard.now) == []
    assert Assignment.objects.get().code == "withheld_window"

    yard.advance(hours=11)
    tick(campaign, yard.now)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]


def test_an_order_that_was_not_fetched_in_its_window_is_not_seen_after_it_and_again_in_the_next(yard, software):
    client = software.vehicle()
    yard.advance(hours=11)
    campaign = running(yard, software, client, windows=[NIGHT], offer_timeout_seconds=7 * 86400)
    tick(campaign, yard.now)
    assert state_of() == AssignmentState.OFFERED

    yard.wait_until(yard.now.replace(hour=6) + timedelta(days=1))
    by_day = client.check(yard.now)
    yard.wait_until(yard.now.replace(hour=22))
    by_night = client.check(yard.now)

    assert by_day == []
    assert [one.name for one in by_night] == ["supplier/gateway-2.0"]
    assert Attempt.objects.count() == 1


def test_an_order_that_its_vehicle_never_asks_for_in_its_window_waits_for_the_next_and_ends_with_the_reason(
    yard, software
):
    client = software.vehicle()
    yard.advance(hours=11)
    campaign = running(yard, software, client, windows=[NIGHT], offer_timeout_seconds=2 * 86400)
    tick(campaign, yard.now)
    morning = yard.now.replace(hour=6) + timedelta(days=1)
    sentences, offered = [], []

    for day in range(3):
        # For an hour the server waits for word of what was fetched in the window's last moment.
        yard.wait_until(morning + timedelta(days=day, minutes=30))
        tick(campaign, yard.now)
        offered.append(state_of() == AssignmentState.OFFERED)
        yard.wait_until(morning + timedelta(days=day, hours=2))
        assert client.check(yard.now) == []
        tick(campaign, yard.now)
        tick(campaign, yard.now + timedelta(minutes=6))
        sentences.append((state_of(), Assignment.objects.get().code))
        yard.wait_until(morning + timedelta(days=day, hours=17))
        tick(campaign, yard.now)

    missed = "withheld_window_missed"
    assert offered == [True, True, True]
    assert sentences == [("waiting", missed), ("waiting", missed), ("lapsed", missed)]
    assert list(Attempt.objects.order_by("number").values_list("code", flat=True)) == [missed] * 3
    assert "did not ask while one was open" in explain(Assignment.objects.get(), at=yard.now)


def test_a_download_does_not_begin_once_the_window_has_shut(yard, software):
    client = software.vehicle()
    yard.advance(hours=11)
    campaign = running(yard, software, client, windows=[NIGHT])
    tick(campaign, yard.now)
    (ordered,) = client.check(yard.now)
    yard.wait_until(yard.now.replace(hour=6) + timedelta(days=1))

    check_problem(client.call("GET", f"repo/{ordered.path}"), 403, "download.forbidden")

    assert client.download(ordered) is None


def test_consent_and_preconditions_are_waited_for_on_the_server(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client, consent="ask")
    assert (state_of(), client.cycle(yard.now)) == (AssignmentState.WAITING, [])
    answer = campaigns.ConsentAnswer(decision="yes", by="Erika", language="de", text_sha256="0" * 64)
    campaigns.record_consent_on_behalf(Assignment.objects.get(), answer, recorded_by="portal", at=yard.now)

    tick(campaign, yard.now)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]


def test_the_owner_is_asked_by_the_client_itself_before_anything_is_ordered(yard, software):
    client = software.vehicle()
    other = software.vehicle("VIN2")
    Release.objects.filter(pk=software.after.pk).update(notes={"de": "Sanfter anfahren.", "fr": "Mieux."})
    campaign = running(yard, software, client, consent="ask")

    (asked,) = client.call("GET", "campaigner/campaigns").json()["campaigns"]
    answer = event("campaign_accepted", {"campaignId": asked["id"]}, yard.now)
    foreign = other.call("POST", "events", [answer]).json()
    odd = client.call("POST", "events", [answer | {"event": {"campaignId": "x"}}]).json()
    assert not ConsentRecord.objects.exists()
    twice = [client.call("POST", "events", [answer]).json() for _ in range(2)]

    assert asked == {
        "id": str(Assignment.objects.get().pk),
        "name": "spring",
        "size": software.new.length,
        "autoAccept": False,
        "metadata": [{"type": "DESCRIPTION", "value": "Sanfter anfahren."}],
    }
    assert [one["rejected"][0]["code"] for one in (foreign, odd)] == ["consent.not_awaited", "request.fields_invalid"]
    assert twice == [{"accepted": 1, "rejected": []}] * 2
    record = ConsentRecord.objects.get()
    assert (record.decision, record.recorded_by, record.language, record.is_text_known) == (
        "yes",
        "vehicle:VIN1",
        "de",
        True,
    )
    tick(campaign, yard.now)
    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert client.call("GET", "campaigner/campaigns").json() == {"campaigns": []}


@pytest.mark.parametrize("kind", ["campaign_declined", "campaign_postponed"])
def test_an_owner_who_does_not_agree_gets_nothing(yard, software, kind):
    client = software.vehicle()
    campaign = running(yard, software, client, consent="ask")
    (asked,) = client.call("GET", "campaigner/campaigns").json()["campaigns"]

    client.call("POST", "events", [event(kind, {"campaignId": asked["id"]}, yard.now)])
    tick(campaign, yard.now)

    assert (asked["metadata"], client.cycle(yard.now), state_of()) == ([], [], AssignmentState.WAITING)


# Aborting is withdrawing what the Director lists.
def test_a_stopped_campaign_is_not_seen_any_more_and_its_withdrawal_is_confirmed_by_the_next_check(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client)
    client.check(yard.now)
    campaigns.stop_campaign(campaign, by="alice", at=yard.now, reason="Smoke.")
    assert state_of() == AssignmentState.WITHDRAWING

    assert client.check(yard.now) == []

    assert state_of() == AssignmentState.WITHDRAWN


def test_a_stop_reaches_a_client_that_has_the_metadata_already_at_its_download(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client)
    (ordered,) = client.check(yard.now)
    campaigns.stop_campaign(campaign, by="alice", at=yard.now, reason="Smoke.")

    assert client.download(ordered) is None


def test_what_was_installed_before_the_stop_was_heard_counts(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client)
    client.meanwhile = lambda: campaigns.stop_campaign(campaign, by="alice", at=yard.now, reason="Smoke.")

    client.cycle(yard.now)

    assert state_of() == AssignmentState.SOAKING


@pytest.mark.parametrize("by", ["block", "tenant"])
def test_a_blocked_vehicle_and_a_stopped_tenant_are_shown_nothing(yard, software, by):
    client = software.vehicle()
    running(yard, software, client)
    if by == "block":
        fleet.block_vehicle(Vehicle.objects.get(), reason="Stolen.", by="alice", at=yard.now)
    else:
        Tenant.objects.update(stopped_at=yard.now)

    assert client.check(yard.now) == []
    response = client.call("GET", f"repo/targets/{software.new.target_name}")
    check_problem(response, 403, "download.forbidden")


# Lives of vehicles.
def announce(serial, at):
    fleet.announce_ecu_swap(Vehicle.objects.get(), old_serial=serial, reason="Crash.", by="alice", at=at)


def test_a_replaced_secondary_registers_proves_and_is_updated(yard, software):
    client = software.vehicle(secondary=True)
    client.ecus[1] = Ecu("SEC-NEW", "brake", RSA_KEYS[1])
    check_problem(client.register(), 403, "ecu.change_not_announced")
    announce("SEC-VIN1", yard.now)

    assert client.register().status_code == 200
    assert client.send_manifest().json() == {"findings": []}

    running(yard, software, client)
    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert state_of() == AssignmentState.SOAKING
    assert sorted(EcuRow.objects.values_list("serial", flat=True)) == ["PRIM-VIN1", "SEC-NEW"]


def test_an_order_for_an_ecu_that_is_replaced_meanwhile_is_taken_back(yard, software):
    client = software.vehicle()
    campaign = running(yard, software, client)
    (ordered,) = client.check(yard.now)
    yard.advance(minutes=1)
    client.ecus = [Ecu("PRIM-NEW", "gateway", image=client.primary.image)]
    client.counter = 0
    announce("PRIM-VIN1", yard.now)
    client.register()
    client.send_manifest()

    tick(campaign, yard.now)
    tick(campaign, yard.now)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert ordered.ecus == {"PRIM-VIN1": "gateway"}
    assert Attempt.objects.filter(packages__has_key="PRIM-NEW").count() == 1


def test_an_unreachable_secondary_proves_nothing_and_costs_the_primary_nothing(yard, software):
    client = software.vehicle(secondary=True)
    running(yard, software, client)
    client.ecus[1].is_reachable = False

    answer = client.send_manifest().json()
    left_out = client.ecus.pop()
    without = client.send_manifest().json()

    assert answer == {"findings": ["report_resent:SEC-VIN1"]}
    assert without == {"findings": ["missing_ecu:SEC-VIN1"]}
    client.ecus.append(left_out)
    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert state_of() == AssignmentState.SOAKING


def test_a_vehicle_that_was_reset_is_provisioned_again_by_permit_and_goes_on(yard, software):
    first = software.vehicle()
    fleet.permit_provisioning(Vehicle.objects.get(), reason="New disk.", by="alice", at=yard.now)

    second = software.vehicle(registered=False)
    second.ecus = [Ecu("PRIM-VIN1", "gateway")]
    assert second.register().status_code == 200
    running(yard, software, second)

    check_problem(first.call("GET", "director/targets.json"), 401, "credential.invalid")
    assert second.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert Vehicle.objects.count() == 1


def test_a_client_that_comes_back_walks_ten_roots(yard, software):
    client = software.vehicle()
    client.check(yard.now)
    for _ in range(10):
        for repository in ("director", "image"):
            yard.bench.publisher().trust.rotate_root(repository, new_keys=True)
    running(yard, software, client)

    assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
    assert (client.director.root.version, client.images.root.version) == (11, 11)


def test_the_bytes_are_those_that_were_published_with_a_part_where_one_is_asked_for(yard, software):
    client = software.vehicle()
    running(yard, software, client)
    (ordered,) = client.check(yard.now)
    address = client.call("GET", f"repo/{ordered.path}")["Location"].removeprefix("http://testserver")

    rest = Client().get(address, headers={"Range": f"bytes={len(OLD)}-"})

    assert rest.status_code == 206
    assert b"".join(rest.streaming_content) == NEW[len(OLD) :]
