import pytest

from clients.publisher.errors import CampaignEndedBadlyError, InputError, ServerRefusalError
from clients.publisher.releases import Condition
from firmware_store.models import Release
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.states import CampaignState
from tests.campaigns.campaign_factories import make_running
from tests.clients.publisher.conftest import spec
from tests.factories import NOON, make_group, make_vehicle

pytestmark = pytest.mark.any_database

WAVES = [{"percent": "50"}, {"percent": "100", "max_failed": 1}]


@pytest.fixture
def published(ready, firmware):
    ready.publisher().packages.publish(firmware, spec())
    ready.publisher().releases.create("autumn", "1", [("supplier/engine-1.0", 0)])
    make_group(ready.tenant, *(make_vehicle(ready.tenant) for _ in range(4)), name="everyone")
    return ready


def create(bench, name="first", **fields):
    return bench.publisher().campaigns.create(
        name,
        release=("autumn", "1"),
        group="everyone",
        waves=WAVES,
        settings={"no_way_back_reason": "a first release"},
        **fields,
    )


def test_a_release_holds_packages_with_their_order_conditions_and_notes(published):
    made = published.publisher().releases.create(
        "autumn",
        "2",
        [("supplier/engine-1.0", 3)],
        conditions=[Condition("requires", "brake", ("1", "2")), Condition("conflicts", "radio")],
        notes={"en": "Smoother.", "de": "Geschmeidiger — ü."},
    )

    assert made["packages"] == [
        {"package": made["packages"][0]["package"], "target_name": "supplier/engine-1.0", "position": 3}
    ]
    assert made["conditions"] == [
        {"kind": "requires", "package_name": "brake", "versions": ["1", "2"]},
        {"kind": "conflicts", "package_name": "radio", "versions": []},
    ]
    assert made["notes"] == {"en": "Smoother.", "de": "Geschmeidiger — ü."}


def test_a_release_of_an_unknown_package_is_not_made(published):
    with pytest.raises(InputError, match="no package supplier/none-1"):
        published.publisher().releases.create("autumn", "2", [("supplier/none-1", 0)])

    assert Release.objects.count() == 1


def test_a_release_name_and_version_used_twice_is_refused(published):
    with pytest.raises(ServerRefusalError) as caught:
        published.publisher().releases.create("autumn", "1", [("supplier/engine-1.0", 0)])

    assert caught.value.code == "release.exists"
    assert Release.objects.count() == 1


def test_a_campaign_is_made_from_names_and_goes_through_its_actions(published):
    campaigns = published.publisher().campaigns
    made = create(published)
    states = [made["state"]]

    for action, fields in [
        ("submit", {}),
        ("approve", {}),
        ("start", {}),
        ("pause", {"reason": "lunch"}),
        ("resume", {}),
        ("stop", {"reason": "smoke"}),
        ("resume", {"reason": "no fire"}),
        ("cancel", {"reason": "enough"}),
    ]:
        states.append(campaigns.act("first", action, **fields)["state"])

    assert states == [
        "draft",
        "in_review",
        "approved",
        "running",
        "paused",
        "running",
        "halted",
        "running",
        "cancelled",
    ]


def test_a_rejected_campaign_is_a_draft_with_the_reason(published):
    campaigns = published.publisher().campaigns
    create(published)
    campaigns.act("first", "submit")

    rejected = campaigns.act("first", "reject", reason="too many at once")

    assert (rejected["state"], rejected["reason"]) == ("draft", "too many at once")


def test_a_scheduled_campaign_keeps_its_time(published):
    campaigns = published.publisher().campaigns
    create(published)
    campaigns.act("first", "submit")
    campaigns.act("first", "approve")

    scheduled = campaigns.act("first", "schedule", starts_at="2026-06-02T06:00:00Z")

    assert (scheduled["state"], scheduled["starts_at"]) == ("scheduled", "2026-06-02T06:00:00Z")


def test_a_campaign_shows_its_waves_and_where_its_vehicles_stand(published):
    campaigns = published.publisher().campaigns
    create(published)
    for action in ("submit", "approve", "start"):
        campaigns.act("first", action)

    shown = campaigns.show("first")

    assert shown["counts"] == {"waiting": 4}
    assert [(each["number"], each["percent"], each["max_failed"]) for each in shown["waves"]] == [
        (1, "50.000", 0),
        (2, "100.000", 1),
    ]
    kinds = [each["kind"] for each in campaigns.decisions("first")]
    assert kinds == ["campaign.started", "campaign.approved", "campaign.submitted", "campaign.created"]


def test_watching_ends_with_the_campaign(published):
    create(published)
    Campaign.objects.update(state=CampaignState.RUNNING)
    seen = []

    def finish(campaign):
        seen.append(campaign["state"])
        Campaign.objects.update(state=CampaignState.COMPLETED)

    for campaign in published.publisher().campaigns.watch("first"):
        finish(campaign)

    assert seen == ["running", "completed"]


@pytest.mark.parametrize("state", ["draft", "in_review", "approved", "paused"])
def test_watching_what_waits_for_a_person_ends_and_says_for_what(published, state):
    create(published)
    Campaign.objects.update(state=state)

    with pytest.raises(CampaignEndedBadlyError, match=r"'first' waits until it is .* by a person") as caught:
        list(published.publisher().campaigns.watch("first"))

    assert (caught.value.code, caught.value.exit_code) == ("campaign.waiting", 6)


@pytest.mark.parametrize("action", ["stop", "cancel"])
def test_watching_a_campaign_that_ends_badly_fails_with_its_reason(published, action):
    campaigns = published.publisher().campaigns
    create(published)
    for step in ("submit", "approve", "start"):
        campaigns.act("first", step)
    campaigns.act("first", action, reason="smoke in the cabin")

    with pytest.raises(CampaignEndedBadlyError, match="smoke in the cabin") as caught:
        list(campaigns.watch("first"))

    assert caught.value.code in ("campaign.halted", "campaign.cancelled")
    assert caught.value.exit_code == 6


def test_watching_ends_where_a_person_has_to_decide_and_says_how(published):
    campaigns = published.publisher().campaigns
    create(published)
    for step in ("submit", "approve", "start"):
        campaigns.act("first", step)
    Wave.objects.filter(number=1).update(state="undecided")

    with pytest.raises(CampaignEndedBadlyError, match="campaign decide first 1 --pass") as caught:
        list(campaigns.watch("first"))

    assert (caught.value.code, caught.value.exit_code) == ("campaign.undecided", 6)


def test_a_roll_back_takes_the_given_release_or_the_approved_way_back(published, tmp_path):
    publisher = published.publisher()
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer")
    publisher.packages.publish(newer, spec("2.0"))
    publisher.releases.create("winter", "1", [("supplier/engine-2.0", 0)])
    publisher.campaigns.create(
        "winter", release=("winter", "1"), group="everyone", waves=WAVES, fallback=("autumn", "1")
    )
    for action in ("submit", "approve", "start"):
        publisher.campaigns.act("winter", action)
    publisher.campaigns.act("winter", "stop", reason="smoke")

    back = publisher.campaigns.roll_back("winter", new_name="back")
    explicit = publisher.campaigns.roll_back("winter", new_name="back again", release=("autumn", "1"))

    assert (back["kind"], back["release"]["name"]) == ("rollback", "autumn")
    assert explicit["release"] == back["release"]


def test_a_roll_back_without_a_way_back_asks_for_the_release(published):
    create(published)

    with pytest.raises(ServerRefusalError, match="name the release"):
        published.publisher().campaigns.roll_back("first", new_name="back")

    assert Campaign.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"release": ("autumn", "9")}, "no release autumn 9"),
        ({"group": "nobody"}, "no group 'nobody'"),
    ],
)
def test_a_name_that_nothing_has_is_told_before_a_draft_is_made(published, change, message):
    fields = {"release": ("autumn", "1"), "group": "everyone", "waves": WAVES} | change

    with pytest.raises(InputError, match=message):
        published.publisher().campaigns.create("first", **fields)

    assert not Campaign.objects.exists()


def test_an_action_that_does_not_exist_is_told(published):
    with pytest.raises(InputError, match="no action 'explode'"):
        published.publisher().campaigns.act("first", "explode")


def test_an_action_at_the_wrong_moment_is_refused_with_the_servers_sentence(published):
    create(published)

    with pytest.raises(ServerRefusalError, match="is draft; it would have to be approved or scheduled") as caught:
        published.publisher().campaigns.act("first", "start")

    assert caught.value.code == "state.invalid_transition"


def test_a_wave_left_to_a_person_is_decided(published):
    campaigns = published.publisher().campaigns
    create(published)
    for action in ("submit", "approve", "start"):
        campaigns.act("first", action)
    operations.advance_campaign(Campaign.objects.get().pk, at=NOON)
    Campaign.objects.get().waves.filter(number=1).update(state="undecided")

    decided = campaigns.decide_wave("first", 1, passed=True, reason="looked at all four")

    assert decided["state"] == "passed"
    with pytest.raises(InputError, match="no wave 9"):
        campaigns.decide_wave("first", 9, passed=True, reason="none")


def test_what_was_forecast_before_the_start_is_kept_and_shown(published, command):
    made = create(published)
    published.publisher().campaigns.act("first", "submit")
    with pytest.raises(ServerRefusalError) as none_yet:
        published.publisher().campaigns.kept_forecast("first")
    operations.keep_forecast(made["id"], at=NOON)

    kept = published.publisher().campaigns.kept_forecast("first")
    shown = command("campaign", "forecast", "first", "--kept")
    refused = command("campaign", "forecast", "first", "--kept", "--runs", "3")

    assert none_yet.value.code == "forecast.not_made"
    assert (kept["places"], kept["refusal"], [each["rate"] for each in kept["outlooks"]]) == ([2, 2], "", [0.005, 0.02])
    assert (shown[0], "4 vehicles in waves of 2, 2." in "".join(shown[1:])) == (0, True)
    assert (refused[0], "give none with --kept" in refused[2]) == (2, True)


def test_everything_of_a_tenant_is_stopped_and_let_go_on_by_command(bench, command):
    campaign = make_running(vehicles=2, tenant=bench.tenant)

    stopped = command("tenant", "stop", "--reason", "A theft of keys is suspected.")
    again = command("tenant", "stop", "--reason", "Once more.")
    campaign.refresh_from_db()
    resumed = command("tenant", "resume", "--reason", "False alarm.")

    assert stopped[:2] == (0, f"Everything of {bench.tenant} is stopped.\n")
    assert (again[0], campaign.state) == (3, "halted")
    assert resumed[:2] == (0, f"Campaigns of {bench.tenant} may start and resume again.\n")
