"""Orders in neutral words, as protocols without signed metadata bring them."""

from datetime import timedelta

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.errors import AttemptNotFoundError
from otaserver.campaigns.operations import ConsentAnswer, consents
from otaserver.campaigns.queries import current_order, last_success, order_numbered
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.rules.windows import Window
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import block_vehicle
from otaserver.fleet.states import Protocol
from tests.campaigns.campaign_factories import at as after
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running, make_versions, report, succeed, tick
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
RAUC = "rauc-hawkbit-c-agent/1.0"
# Noon is a Monday; the window opens at six in the evening.
EVENING = [Window(0b1111111, 18 * 60, 60)]


def make_order(client="", hardware=("gateway", "brake"), **plan):
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, hardware=hardware, protocol=Protocol.DDI, client=client)
    release = make_versions(tenant, "2.0", sha1="51", md5="d5", filename="image.swu")
    campaign = make_running(
        tenant=tenant,
        old=make_versions(tenant),
        release=release,
        group=make_group(tenant, vehicle),
        **plan,
    )
    return in_turn(campaign)[0]


def order(assignment, at=NOON):
    return current_order(Vehicle.objects.get(pk=assignment.vehicle_id), at=at)


def test_an_order_names_its_packages_with_all_that_a_download_needs():
    assignment = make_order()

    found = order(assignment)

    assert (found.number, found.attempt_id) == (1, attempt_of(assignment).pk)
    assert (found.campaign, found.release) == ("spring", "car 2.0")
    assert (found.delivery, found.not_before, found.is_urgent) == (Delivery.INSTALL, None, True)
    assert (found.is_open, found.is_latest) == (True, True)
    package = assignment.campaign.release.items.get(package__name="gateway").package
    first = next(one for one in found.packages if one.name == "gateway")
    assert (first.id, first.version, first.filename) == (package.pk, "2.0", "image.swu")
    assert (first.length, first.sha256, first.sha1, first.md5) == (package.length, package.sha256, "51", "d5")
    assert [hardware for _, hardware in first.ecus] == ["gateway"]


def test_one_package_for_two_ecus_is_downloaded_once():
    found = order(make_order(hardware=("gateway", "brake", "brake")))

    assert sorted(len(package.ecus) for package in found.packages) == [1, 2]


def test_a_vehicle_without_an_order_has_none():
    assert current_order(make_vehicle(), at=NOON) is None


def test_only_a_client_that_holds_is_given_its_order_before_its_window():
    assert order(make_order(windows=EVENING)) is None

    found = order(make_order(RAUC, hardware=("gateway",), windows=EVENING))
    assert (found.delivery, found.not_before) == (Delivery.DOWNLOAD, after(hours=6))
    assert (
        order(make_order(RAUC, hardware=("gateway",), windows=EVENING), at=after(hours=6)).delivery == Delivery.INSTALL
    )


def test_a_window_that_shuts_before_the_vehicle_began_keeps_its_order_back():
    assignment = make_order(windows=[Window(0b1111111, 12 * 60, 60)])

    assert order(assignment).delivery == Delivery.INSTALL
    assert order(assignment, after(hours=2)).delivery == Delivery.WITHHOLD
    report(assignment, "installing")
    assert order(assignment, after(hours=2)).delivery == Delivery.INSTALL


def agree(assignment, decision):
    answer = ConsentAnswer(decision, "owner", "en", "0" * 64)
    operations.record_consent_on_behalf(assignment, answer, recorded_by="alice", at=NOON)


def test_without_consent_the_owner_is_asked_and_the_last_answer_counts():
    assignment = make_order(consent="ask")
    assert (order(assignment).delivery, order(assignment).is_urgent) == (Delivery.ASK, False)

    for decision, expected in [("no", Delivery.ASK), ("yes", Delivery.INSTALL), ("postpone", Delivery.ASK)]:
        agree(assignment, decision)
        assert order(assignment).delivery == expected


def test_past_the_deadline_nobody_is_asked_any_more():
    assignment = make_order(consent="ask_with_deadline", consent_deadline_seconds=3600)
    operations.order_to_carry_out(assignment.vehicle, at=NOON)

    before, later = order(assignment, after(minutes=59)), order(assignment, after(hours=1))

    assert (before.delivery, before.is_urgent) == (Delivery.ASK, False)
    assert (later.delivery, later.is_urgent) == (Delivery.INSTALL, True)


def test_that_it_goes_ahead_unanswered_is_on_record_once():
    assignment = make_order(consent="ask_with_deadline", consent_deadline_seconds=3600)
    agree(assignment, "no")

    for minutes in (0, 59, 60, 61):
        operations.order_to_carry_out(assignment.vehicle, at=after(minutes=minutes))

    _, record = assignment.consents.order_by("received_at", "pk")
    assert (record.decision, record.by, record.received_at) == ("deadline", "server", after(hours=1))
    assert record.attempt == assignment.attempts.get()


def test_with_a_yes_before_the_deadline_or_no_room_for_more_answers_none_is_recorded(monkeypatch):
    asked = {"consent": "ask_with_deadline", "consent_deadline_seconds": 3600}
    agreed, full = make_order(**asked), make_order(**asked)
    agree(agreed, "yes")
    monkeypatch.setattr(consents, "MAX_RECORDS", 0)

    for each in (agreed, full):
        for minutes in (0, 60):
            found = operations.order_to_carry_out(each.vehicle, at=after(minutes=minutes))
        assert found.delivery == Delivery.INSTALL

    assert [each.decision for each in (*agreed.consents.all(), *full.consents.all())] == ["yes"]


def test_the_deadline_counts_from_when_the_vehicle_first_heard_of_the_question():
    assignment = make_order(consent="ask_with_deadline", consent_deadline_seconds=3600)
    vehicle = assignment.vehicle

    unheard, parked = order(assignment), order(assignment, after(days=8))
    for minutes in (0, 30):
        operations.order_to_carry_out(vehicle, at=after(days=8, minutes=minutes))

    assert [(each.delivery, each.goes_ahead_at) for each in (unheard, parked)] == [(Delivery.ASK, None)] * 2
    heard = order(assignment, after(days=8, minutes=59))
    assert (heard.delivery, heard.goes_ahead_at) == (Delivery.ASK, after(days=8, hours=1))
    assert order(assignment, after(days=8, hours=1)).delivery == Delivery.INSTALL


def test_a_new_owner_is_asked_for_the_first_time():
    assignment = make_order(consent="ask_with_deadline", consent_deadline_seconds=3600)
    operations.order_to_carry_out(assignment.vehicle, at=NOON)

    operations.record_sale(assignment.vehicle, reason="Sold.", by="ann", at=NOON)

    assert order(assignment, after(days=8)).asked_at is None


def test_a_stop_a_block_or_a_withdrawn_package_takes_the_order_back_at_once():
    blocked, stopped, gone = make_order(), make_order(), make_order()
    block_vehicle(blocked.vehicle, reason="stolen", by="alice", at=NOON)
    operations.stop_campaign(stopped.campaign, reason="smoke", by="alice", at=NOON)
    package = gone.campaign.release.items.first().package
    type(package).objects.filter(pk=package.pk).update(state="withdrawn")

    assert [order(each).delivery for each in (blocked, stopped, gone)] == [Delivery.WITHDRAW] * 3


def test_an_attempt_that_is_over_can_still_be_read():
    assignment = make_order()
    vehicle = assignment.vehicle
    succeed(assignment)

    found = order_numbered(vehicle, 1, at=NOON)

    assert (found.is_open, found.outcome, found.state) == (False, "success", "soaking")
    assert (order(assignment), last_success(vehicle)) == (None, 1)
    with pytest.raises(AttemptNotFoundError):
        order_numbered(vehicle, 2, at=NOON)


def test_a_second_order_makes_the_first_one_the_latest_no_more():
    assignment = make_order(max_attempts=2)
    report(assignment, "finished", "failure", "network")
    tick(assignment.campaign, after(hours=2))

    assert order(assignment, NOON + timedelta(hours=2)).number == 2
    assert not order_numbered(assignment.vehicle, 1, at=NOON).is_latest
